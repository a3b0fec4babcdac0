"""`/dashboards`: named sets of charts, made on `/explore` or kept as files, exported, imported."""

from __future__ import annotations

from typing import Any

from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.dashboards import format
from inapp_monitor.web.dashboards.library import DashboardLibrary
from inapp_monitor.web.frame import templating
from inapp_monitor.web.frame.links import address
from inapp_monitor.web.frame.request import UPLOAD_PATH, MonitorRequest
from inapp_monitor.web.frame.routing import Route
from inapp_monitor.web.frame.visit import Visit
from inapp_monitor.web.kept.process_state import process_state
from inapp_monitor.web.pages import explore

_MEDIA_TYPES = {"toml": "application/toml", "json": "application/json"}


def gather(visit: Visit) -> dict[str, Any]:
    """All dashboards, and what is wrong with files."""
    known = library(visit.backend)
    return {"dashboards": known.names(), "problems": known.problems()}


def gather_one(visit: Visit, name: str) -> dict[str, Any]:
    """One dashboard: its document, which can be posted back, and its charts."""
    known = library(visit.backend)
    document = known.get(name)
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
    title = document["title"] or name
    return {"name": name, "title": title, "file": known.file_of(name), "panels": drawn}


def export(backend: Backend, request: MonitorRequest, name: str, form: str) -> Response:  # noqa: ARG001
    """The document alone, as a file to keep."""
    write = format.WRITERS.get(form)
    document = library(backend).get(name) if write else None
    if write is None or document is None:
        raise NotFound("there is no such dashboard or format")
    media_type = _MEDIA_TYPES[form.rpartition(".")[2]]
    response = Response(write(name, document), content_type=media_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.{form}"'
    return response


def add(backend: Backend, request: MonitorRequest) -> Response:
    """From `/explore`: append the drawn targets to a dashboard, made when it is new."""
    name = request.form.get("name", "").strip()
    targets = [text for text in request.form.getlist("target") if text]
    panel = {
        "title": request.form.get("title", ""),
        "targets": targets,
        "shape": request.form.get("shape", "line"),
    }
    known = library(backend)
    document = known.get(name) or {"title": "", "panels": []}
    document = format.checked({**document, "panels": [*document["panels"], panel]})
    known.put(name, document, backend.clock.wall())
    return _to(request, f"/dashboards/{name}")


def upload(backend: Backend, request: MonitorRequest) -> Response:
    """Import by the form: a file or pasted text; with what is wrong, and the text, when it is."""
    file = request.files.get("file")
    data = file.read() if file is not None else b""
    text = data.decode("utf-8", "replace") or request.form.get("text", "")
    name = request.form.get("name", "").strip()
    try:
        if not text.strip():
            raise QueryError("choose a file or paste its text")
        found = format.read(text)
        stem = (file.filename or "").partition(".")[0] if file is not None else ""
        name = name or found.name or stem
        if not name:
            raise QueryError("give the dashboard a name: the text has none")
        library(backend).put(name, found.document, backend.clock.wall())
    except QueryError as error:
        view = templating.view_of(backend, request)
        visit = Visit(backend, request, view)
        given = {"problem": str(error), "text": text, "name": name}
        data_of_page = {**gather(visit), "given": given}
        if request.wants_json:
            raise
        return templating.html_answer(
            backend, request, "dashboards.html", data_of_page, view, 400, here="/dashboards"
        )
    return _to(request, f"/dashboards/{name}")


def replace(backend: Backend, request: MonitorRequest, name: str) -> Response:
    """Import: the body, JSON or TOML, becomes the dashboard."""
    text = request.get_data().decode("utf-8", "replace")
    document = format.read(text).document
    library(backend).put(name, document, backend.clock.wall())
    return _to(request, f"/dashboards/{name}")


def remove(backend: Backend, request: MonitorRequest, name: str) -> Response:
    """Delete one panel (`panel`, counted from 0), or the whole dashboard."""
    known = library(backend)
    document = known.get(name)
    if document is None:
        raise NotFound("there is no such dashboard")
    number = request.form.get("panel", "")
    if not number:
        known.delete(name)
        return _to(request, "/dashboards")
    if not (number.isascii() and number.isdigit() and int(number[:4]) < len(document["panels"])):
        raise QueryError(f"panel {number[:20]!r} must be a number of a panel, from 0")
    del document["panels"][int(number[:4])]
    known.put(name, document, backend.clock.wall())
    return _to(request, f"/dashboards/{name}")


def library(backend: Backend) -> DashboardLibrary:
    """The dashboards that a backend knows."""
    return DashboardLibrary(backend.database, process_state(backend).dashboard_files)


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
    Route("/dashboards/<name:name>/export.<form>", export),
    Route("/dashboards", add, ("POST",), changes_state=True),
    Route(UPLOAD_PATH, upload, ("POST",), changes_state=True),
    Route("/dashboards/<name:name>", replace, ("POST",), changes_state=True),
    Route("/dashboards/<name:name>/delete", remove, ("POST",), changes_state=True),
]
