"""`/logs`: what the app logged in all workers, chosen by level, logger, route, words and time.

`/logs.json` is the same as data, with `after=` only what came since a cursor (for clients that
follow it), and `/logs.ndjson` all that matches, a JSON object a line, oldest first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response

from inapp_monitor.ground.workers.route_names import RouteFacts
from inapp_monitor.logs import search
from inapp_monitor.logs.keeper import LogFacts
from inapp_monitor.logs.rows import LEVELS
from inapp_monitor.logs.search import Wanted
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame import templating
from inapp_monitor.web.frame.request import MonitorRequest
from inapp_monitor.web.frame.routing import Route
from inapp_monitor.web.frame.view import View
from inapp_monitor.web.frame.visit import Visit

_MOST, _USUAL = 1_000, 200
_FILTERS = ("logger", "route", "text", "request", "issue")
#: Levels that can be chosen: what is below is not heard.
_CHOICE = ("INFO", "WARNING", "ERROR", "CRITICAL")
_FOLLOW_S = 2


def gather(visit: Visit) -> dict[str, Any]:
    """The newest records that match, newest first; `level`, `logger`, `route`, `text`, `request`,
    `issue` choose, `limit` bounds them, `after` leaves out what somebody has seen."""
    backend, request, view = visit
    wanted = _wanted(request, view)
    limit = _number(request, "limit", _USUAL, _MOST)
    after = _number(request, "after", 0, 2**60)
    found = [] if backend.logs is None else list(_find(backend, wanted, limit + 1, after))
    slugs = {route: slug for slug, route in visit.facts.of(RouteFacts).routes.items()}
    requests = sorted({row["request"] for row in found if row.get("request")})
    traces = backend.traces.known(requests[:_MOST]) if backend.traces is not None else set()
    records = [
        {
            **row,
            "slug": slugs.get(row.get("route", ""), ""),
            "has_trace": row.get("request") in traces,
        }
        for row in found[:limit]
    ]
    setting = backend.loaded.settings.log_level
    return {
        "records": records,
        "more": len(found) > limit,
        "limit": limit,
        "cursor": records[0]["cursor"] if records else after,
        "wanted": {name: getattr(wanted, name) for name in ("level", *_FILTERS)},
        "filtered": any(request.args.get(name) for name in ("level", *_FILTERS)),
        "levels": [name for name in reversed(LEVELS) if name in _CHOICE],
        "least": setting,
        "oldest": None if backend.logs is None else search.oldest(backend.logs),
        "dropped": visit.facts.of(LogFacts).dropped,
        "follow_s": _FOLLOW_S,
    }


def download(backend: Backend, request: MonitorRequest) -> Response:
    """All records that match, oldest first, as NDJSON."""
    backend.refresh()
    wanted = _wanted(request, templating.view_of(backend, request))
    found = [] if backend.logs is None else list(_find(backend, wanted, None, 0))
    found.reverse()
    response = Response(_lines(found), mimetype="application/x-ndjson")
    response.headers["Content-Disposition"] = 'attachment; filename="logs.ndjson"'
    return response


def _lines(found: list[dict[str, Any]]) -> Iterator[bytes]:
    for row in found:
        yield json.dumps(row, separators=(",", ":")).encode() + b"\n"


def _find(
    backend: Backend, wanted: Wanted, most: int | None, after: int
) -> Iterator[dict[str, Any]]:
    assert backend.logs is not None
    return islice(search.find(backend.logs, wanted, after=after), most)


def _wanted(request: MonitorRequest, view: View) -> Wanted:
    given = {name: request.args.get(name, "").strip()[:200] for name in _FILTERS}
    level = request.args.get("level", "").strip().upper()
    if level and level not in LEVELS:
        raise BadRequest(f"level must be one of {', '.join(reversed(LEVELS))}")
    end = float("inf") if view.is_live else float(view.end)
    return Wanted(level=level, start=float(view.start), end=end, **given)


def _number(request: MonitorRequest, name: str, usual: int, most: int) -> int:
    text = request.args.get(name, "") or str(usual)
    if not text.isascii() or not text.isdigit() or len(text) > 20 or int(text) > most:
        raise BadRequest(f"{name} must be a number of at most {most}")
    return int(text)


ROUTES = [
    *templating.page("/logs", "/logs.json", gather, "logs.html"),
    Route("/logs.ndjson", download),
]
