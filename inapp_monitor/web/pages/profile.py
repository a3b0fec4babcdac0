"""`/routes/<slug>/profile`: which functions a route spends its time in, as a flame graph."""

from __future__ import annotations

from typing import Any

from werkzeug.exceptions import NotFound

from inapp_monitor.ground.workers.route_names import RouteFacts
from inapp_monitor.traces import profile_tree
from inapp_monitor.web.findings import flame, route_table
from inapp_monitor.web.frame import templating
from inapp_monitor.web.frame.visit import Visit


def gather(visit: Visit, slug: str) -> dict[str, Any]:
    """The profiles of a route in the period, put together; `method` and `focus` choose."""
    backend, request, view = visit
    methods = sorted(route_table.names(backend).get(slug, ()))
    route = visit.facts.of(RouteFacts).routes.get(slug)
    if not methods and route is None:
        raise NotFound("there is no such route")
    method = request.args.get("method", "")[:20] or (methods[0] if methods else "GET")
    focus = request.args.get("focus", "")[:400]
    tree = profile_tree.empty()
    if backend.profiles is not None:
        tree = backend.profiles.read(slug, method, view.start, view.end)
    shown = flame.focused(tree, focus) if focus else tree
    if shown is None:
        raise NotFound("this function is in no profile of this period")
    boxes = flame.boxes(shown) if shown["root"][1] else []
    return {
        "slug": slug,
        "route": route or slug,
        "method": method,
        "methods": methods,
        "focus": focus,
        "requests": tree["requests"],
        "since": tree.get("since"),
        "boxes": boxes,
        "width": flame.WIDTH,
        "height": flame.height(boxes),
        "functions": flame.table(profile_tree.functions(shown)),
        "is_on": backend.loaded.settings.traces and backend.loaded.settings.profiles,
    }


ROUTES = templating.page(
    "/routes/<name:slug>/profile", "/routes/<name:slug>/profile.json", gather, "profile.html"
)
