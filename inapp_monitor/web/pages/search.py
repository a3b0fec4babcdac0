"""`/search`: jumps to the route, issue, 404, series or dashboard that a word is part of."""

from __future__ import annotations

from typing import Any

from inapp_monitor.ground.workers.route_names import RouteFacts
from inapp_monitor.web.findings import issue_list, missing, route_table
from inapp_monitor.web.frame import templating
from inapp_monitor.web.frame.visit import Visit
from inapp_monitor.web.pages import dashboards

_MOST = 30
_KINDS = ("routes", "issues", "not_found", "series", "dashboards")


def gather(visit: Visit) -> dict[str, Any]:
    """What matches, ignoring case: plain text, no pattern."""
    backend, request, _ = visit
    text = request.args.get("q", "").strip()[:200]
    word = text.lower()
    if not word:
        nothing: dict[str, Any] = dict.fromkeys(_KINDS, ())
        return {"text": "", **nothing}
    known = visit.facts.of(RouteFacts).routes
    routes: list[dict[str, Any]] = [
        {"slug": slug, "route": known.get(slug) or slug, "methods": methods}
        for slug, methods in route_table.names(backend).items()
    ]
    issues = issue_list.newest(backend, 200)
    rows = missing.most_frequent(backend, request.host, 200)
    series = [leaf.path for leaf in backend.store.leaves() if word in leaf.path.lower()]
    return {
        "text": text,
        "routes": [r for r in routes if word in r["route"].lower() or word in r["slug"]][:_MOST],
        "issues": [i for i in issues if word in _issue_text(i)][:_MOST],
        "not_found": [row for row in rows if word in row["path"].lower()][:_MOST],
        "series": series[:_MOST],
        "dashboards": [
            entry
            for entry in dashboards.library(backend).names()
            if word in entry["name"].lower() or word in entry["title"].lower()
        ][:_MOST],
    }


def _issue_text(issue: dict[str, Any]) -> str:
    return " ".join(
        str(issue.get(name) or "") for name in ("id", "type", "title", "culprit")
    ).lower()


ROUTES = templating.page("/search", "/search.json", gather, "search.html")
