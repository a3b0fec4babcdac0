"""`/alerts`: every rule with its state, the worst first; what was sent to whom; a test of that."""

from __future__ import annotations

from typing import Any

from werkzeug.exceptions import Conflict, NotFound
from werkzeug.wrappers import Response

from inapp_monitor.alerts.notice import trial
from inapp_monitor.alerts.outbox import Outbox
from inapp_monitor.alerts.sender import NotifierFacts, part_of
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.findings import alert_states
from inapp_monitor.web.frame import templating
from inapp_monitor.web.frame.request import MonitorRequest
from inapp_monitor.web.frame.routing import Route
from inapp_monitor.web.frame.visit import Visit
from inapp_monitor.web.pages.issue_page import back_to

_SENT = 20
_SHOWN_SERIES = 5


def gather(visit: Visit) -> dict[str, Any]:
    """All rules with all their states."""
    backend = visit.backend
    return {
        **alert_states.everything(backend),
        "sent": alert_states.sent(backend, _SENT),
        "notifiers": [
            {"name": name, "type": kind, "fault": _fault(backend, name), "tested": tested}
            for name, kind, tested in visit.facts.of(NotifierFacts).notifiers
        ],
        "shown_series": _SHOWN_SERIES,
        "can_act": backend.may_act,
    }


def send_test(backend: Backend, request: MonitorRequest) -> Response:
    """Put a notice about nothing into the outbox, for each notifier: the leader sends it."""
    if not backend.may_act:
        raise NotFound("nothing is sent from here")
    facts = backend.known().of(NotifierFacts)
    names = [name for name, _, tested in facts.notifiers if tested]
    settings = backend.loaded.settings
    app = settings.app_name or templating.default_name(backend)
    if not names or not Outbox(backend.database).add(trial(app, backend.clock.wall()), names):
        raise Conflict("there is no notifier, or the disk refuses: see the status page")
    return back_to(request, "/alerts")


def _fault(backend: Backend, name: str) -> str:
    """Why this process could not send the last notice; "" when it could, or has not tried."""
    fault = backend.guard.faults.get(part_of(name))
    return "" if fault is None else fault.last


ROUTES = [
    *templating.page("/alerts", "/alerts.json", gather, "alerts.html"),
    Route("/alerts", send_test, methods=("POST",), changes_state=True),
]
