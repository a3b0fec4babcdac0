"""`/now.json`: how many requests each worker has answered so far.

A page that is open asks each second and draws the difference. Nothing is flushed or read from the
store for that.
"""

from __future__ import annotations

from werkzeug.wrappers import Response

from inapp_monitor.request.live import WorkerFacts
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame import templating
from inapp_monitor.web.frame.request import MonitorRequest
from inapp_monitor.web.frame.routing import Route


def show(backend: Backend, request: MonitorRequest) -> Response:  # noqa: ARG001
    """`now` is in epoch seconds; `live` are requests that a worker is answering."""
    workers = backend.known().of(WorkerFacts).workers
    rows = [{name: row.get(name) for name in ("pid", "requests", "live")} for row in workers]
    answer = templating.json_answer({"now": backend.clock.wall(), "workers": rows})
    answer.headers["Cache-Control"] = "no-store"
    return answer


ROUTES = [Route("/now.json", show)]
