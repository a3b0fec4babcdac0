"""`/alerts`: every rule and its state, the worst first; what was sent, and to whom."""

from __future__ import annotations

from typing import Any

from inapp_monitor.web.findings import alert_states
from inapp_monitor.web.frame import templating
from inapp_monitor.web.frame.visit import Visit

_SENT = 20
_SHOWN_SERIES = 5


def gather(visit: Visit) -> dict[str, Any]:
    """All rules with all their states."""
    backend = visit.backend
    return {
        **alert_states.everything(backend),
        "sent": alert_states.sent(backend, _SENT),
        "shown_series": _SHOWN_SERIES,
        "can_act": backend.may_act,
    }


ROUTES = templating.page("/alerts", "/alerts.json", gather, "alerts.html")
