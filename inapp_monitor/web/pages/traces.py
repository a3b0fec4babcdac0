"""`/traces`: kept requests by time and duration, by route and reason; one is in `trace_page`.

"Trace my next requests" sets a cookie in this browser: each of its requests is then kept, for a
quarter of an hour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.wrappers import Response

from inapp_monitor.ground.workers.route_names import RouteFacts
from inapp_monitor.traces import asking
from inapp_monitor.traces.kept_trace import WHY
from inapp_monitor.traces.trace_table import SDK_PREFIX
from inapp_monitor.web import human
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.findings.traffic import axis_from
from inapp_monitor.web.frame import drawing, templating
from inapp_monitor.web.frame.links import address
from inapp_monitor.web.frame.request import MonitorRequest
from inapp_monitor.web.frame.routing import Route
from inapp_monitor.web.frame.visit import Visit
from inapp_monitor.web.pages import trace_page

_MOST, _SHOWN = 500, 100


def gather(visit: Visit) -> dict[str, Any]:
    """The slowest of the period that are kept; `route` (a slug), `method`, `only` and `at_least`
    (milliseconds) choose."""
    backend, request, _ = visit
    wanted = _wanted(request)
    rows = rows_of(visit, **wanted) if backend.traces is not None else []
    return {
        "traces": rows[:_SHOWN],
        "count": len(rows),
        "most": _SHOWN,
        "chart": _chart(visit, rows),
        "wanted": wanted,
        "filtered": any(wanted.values()),
        "reasons": list(WHY),
        "routes": sorted(visit.facts.of(RouteFacts).routes.items(), key=lambda each: each[1]),
        "is_on": backend.loaded.settings.traces,
        "is_asking": asking.COOKIE in request.cookies,
        "may_ask": backend.live,
        "lasts_min": asking.LASTS_S // 60,
    }


def rows_of(visit: Visit, **wanted: Any) -> list[dict[str, Any]]:
    """Kept traces of the visit's period with the routes' names, the slowest first."""
    backend, _, view = visit
    assert backend.traces is not None
    given = {("slug" if name == "route" else name): value for name, value in wanted.items()}
    given["at_least_ms"] = float(given.pop("at_least", 0) or 0)
    end = view.end + 1.0 if view.is_live else view.end
    rows = backend.traces.rows(view.start, end, **given, limit=_MOST)
    routes = visit.facts.of(RouteFacts).routes
    for row in rows:
        row["project"] = ""
        if row["slug"].startswith(SDK_PREFIX):
            _, row["project"], row["route"] = row["slug"].split(":", 2)
        else:
            row["route"] = routes.get(row["slug"], row["slug"])
        row["why"] = row["why"].split()
        del row["draw"]
    return rows


def _wanted(request: MonitorRequest) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        name: request.args.get(name, "").strip()[:200] for name in ("route", "method", "only")
    }
    if wanted["only"] not in {"", *WHY}:
        raise BadRequest(f"only must be one of {', '.join(WHY)}")
    text = request.args.get("at_least", "") or "0"
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise BadRequest("at_least must be a whole number of milliseconds")
    return {**wanted, "at_least": int(text)}


def _chart(visit: Visit, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    if not rows:
        return None
    view = visit.view
    query = [(name, value) for name, value in view.query() if value]
    points = [
        {
            "timestamp": row["started"],
            "value": row["ms"],
            "kind": {"4": "warn", "5": "crit", "": "dim"}.get(row["status"][:1], "ok"),
            "label": f"{row['method']} {row['path']} took {human.value(row['ms'], 'ms')}, "
            f"{row['status'] or 'no answer'}",
            "href": address(visit.request.root, f"/traces/{row['id']}", query),
        }
        for row in rows
    ]
    start = axis_from(view, min(row["started"] for row in rows))
    return drawing.chart(
        "Kept requests", "ms", start, view.end, [], summary="each a link to its trace",
        description=f"{len(rows)} kept requests of this period by duration",
        change=("", False), points=points,
    )  # fmt: skip


def ask(backend: Backend, request: MonitorRequest) -> Response:
    """Set or remove this browser's cookie, then show the page again."""
    value = backend.trace_cookie() if backend.live else ""
    if not value:
        raise NotFound("nothing is traced on request here")
    response = Response(status=303, headers={"Location": address(request.root, "/traces")})
    scope: dict[str, Any] = {"path": "/", "httponly": True, "samesite": "Lax"}
    scope["secure"] = request.is_secure_cookie
    if request.form.get("action") == "stop":
        response.delete_cookie(asking.COOKIE, **scope)
    else:
        response.set_cookie(asking.COOKIE, value, max_age=asking.LASTS_S, **scope)
    return response


ROUTES = [
    *templating.page("/traces", "/traces.json", gather, "traces.html"),
    Route("/traces", ask, methods=("POST",), changes_state=True),
    *trace_page.ROUTES,
]
