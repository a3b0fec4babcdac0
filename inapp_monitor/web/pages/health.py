"""`/health`: 200 while no rule of severity `page` is CRITICAL and somebody judges, else 503.

For load balancers and `check_http`. Without a token it says `ok` or `failing` and no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from werkzeug.wrappers import Response

from inapp_monitor.ground.config import Settings
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.findings import alert_states
from inapp_monitor.web.frame import templating
from inapp_monitor.web.frame.request import MonitorRequest
from inapp_monitor.web.frame.routing import Route

#: Seconds that an answer is good for: everybody may ask, as often as they like.
_KEPT_S = 2.0


def answer(backend: Backend, request: MonitorRequest) -> Response:
    """The status, as JSON."""
    found = backend.cache.get("health", lambda: alert_states.everything(backend), _KEPT_S)
    failing = [
        row["name"]
        for row in found["rules"]
        if row["severity"] == "page" and any(map(_is_failing, row["series"]))
    ]
    status = "unknown" if found["stale"] else "failing" if failing else "ok"
    data: dict[str, Any] = {"status": status}
    if request.access.allowed:
        data |= {"critical": failing, "problems": found["problems"], "judged": found["judged"]}
    return templating.json_answer(data, 200 if status == "ok" else 503)


def routes(settings: Settings) -> list[Route]:
    """Its address where everybody may ask; nothing is there then but the status."""
    return [Route("/health", answer, admits_itself=True)] if settings.public_health else []


def _is_failing(state: Mapping[str, Any]) -> bool:
    """CRITICAL, acknowledged or not; what a downtime has foreseen is none."""
    return state["hard_status"] == "CRITICAL" and not state["in_downtime"]


ROUTES = [Route("/health", answer)]
