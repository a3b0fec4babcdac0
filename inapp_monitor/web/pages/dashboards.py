"""`/dashboards`: named sets of charts, made on `/explore`, kept, exported and imported as JSON."""

from __future__ import annotations

import json
from typing import Any

from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from inapp_monitor.exceptions import QueryError
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.pages import explore, templating
from inapp_monitor.web.pages.links import address
from inapp_monitor.web.pages.visit import Visit
from inapp_monitor.web.request import MonitorRequest
from inapp_monitor.web.routing import Route
from inapp_monitor.web.shelf import Shelf, checked


def gather(visit: Visit) -> dict[str, Any]:
    """All dashboards."""
    return {"dashboards": Shelf(visit.backend.database).names()}


def gather_one(visit: Visit, name: str) -> dict[str, Any]:
    """One dashboard: its document, which can be posted back, and its charts."""
    document = Shelf(visit.backend.database).get(name)
    if document is None:
        raise NotFound("there is no such dashboard")
    drawn = []
    for panel in document["panels"]:
        try:
            chart, problem = explore.picture(visit, panel["targets"], panel["shape"]), ""
        except QueryError as error:
            chart, problem = None, str(error)
        if chart is not None:
            chart["title"] = panel["title"] or ", ".join(panel["targets"])
        drawn.append({**panel, "chart": chart, "problem": problem})
    return {"name": name, "title": document["title"] or name, "panels": drawn}


def add(backend: Backend, request: MonitorRequest) -> Response:
    """From `/explore`: append the drawn targets to a dashboard, made when it is new."""
    name = request.form.get("name", "").strip()
    targets = [text for text in request.form.getlist("target") if text]
    panel = {
        "title": request.form.get("title", ""),
        "targets": targets,
        "shape": request.form.get("shape", "line"),
    }
    shelf = Shelf(backend.database)
    document = shelf.get(name) or {"title": "", "panels": []}
    document = checked({**document, "panels": [*document["panels"], panel]})
    shelf.put(name, document, backend.clock.wall())
    return _to(request, f"/dashboards/{name}")


def replace(backend: Backend, request: MonitorRequest, name: str) -> Response:
    """Import: a JSON body becomes the dashboard."""
    try:
        given = json.loads(request.get_data())
    except (ValueError, RecursionError):
        raise QueryError("the body must be a JSON object") from None
    Shelf(backend.database).put(name, checked(given), backend.clock.wall())
    return _to(request, f"/dashboards/{name}")


def remove(backend: Backend, request: MonitorRequest, name: str) -> Response:
    """Delete one panel (`panel`, counted from 0), or the whole dashboard."""
    shelf = Shelf(backend.database)
    document = shelf.get(name)
    if document is None:
        raise NotFound("there is no such dashboard")
    number = request.form.get("panel", "")
    if not number:
        shelf.delete(name)
        return _to(request, "/dashboards")
    if not (number.isascii() and number.isdigit() and int(number[:4]) < len(document["panels"])):
        raise QueryError(f"panel {number[:20]!r} must be a number of a panel, from 0")
    del document["panels"][int(number[:4])]
    shelf.put(name, document, backend.clock.wall())
    return _to(request, f"/dashboards/{name}")


def _to(request: MonitorRequest, path: str) -> Response:
    response = Response(status=303)
    response.autocorrect_location_header = False
    response.headers["Location"] = address(request.root, path)
    return response


ROUTES = [
    *templating.page("/dashboards", "/dashboards.json", gather, "dashboards.html"),
    *templating.page(
        "/dashboards/<name:name>", "/dashboards/<name:name>.json", gather_one, "dashboard.html"
    ),
    Route("/dashboards", add, ("POST",), changes_state=True),
    Route("/dashboards/<name:name>", replace, ("POST",), changes_state=True),
    Route("/dashboards/<name:name>/delete", remove, ("POST",), changes_state=True),
]
