"""`/check-ins`: jobs that report to us when they run, and those that did not."""

from __future__ import annotations

from typing import Any

from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame import templating
from inapp_monitor.web.frame.request import MonitorRequest
from inapp_monitor.web.frame.routing import Route
from inapp_monitor.web.frame.visit import Visit
from inapp_monitor.web.pages import issue_page

_PATH = "/check-ins"


def gather(visit: Visit) -> dict[str, Any]:
    """The jobs, those that are not well first."""
    door = visit.backend.sentry
    return {
        "jobs": door.cron_monitors.rows() if door is not None else [],
        "can_act": visit.backend.may_act and door is not None,
    }


def forget(backend: Backend, request: MonitorRequest) -> Response:
    """Take a job out of the list."""
    if backend.sentry is None or not backend.may_act:
        raise NotFound("jobs cannot be changed here")
    form = request.form
    backend.sentry.cron_monitors.forget(
        *(form.get(name, "")[:200] for name in ("project", "slug", "environment"))
    )
    return issue_page.back_to(request, _PATH)


ROUTES = [
    *templating.page(_PATH, f"{_PATH}.json", gather, "check_ins.html"),
    Route(f"{_PATH}/forget", forget, methods=("POST",), changes_state=True),
]
