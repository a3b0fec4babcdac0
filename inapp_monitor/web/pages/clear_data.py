"""`/clear`: everything that was recorded is forgotten, once somebody has typed the word for it."""

from __future__ import annotations

from typing import Any

from werkzeug.exceptions import BadRequest, NotFound, ServiceUnavailable
from werkzeug.wrappers import Response

from inapp_monitor.web import clearing
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame import templating
from inapp_monitor.web.frame.request import MonitorRequest
from inapp_monitor.web.frame.routing import Route
from inapp_monitor.web.frame.visit import Visit
from inapp_monitor.web.pages import issue_page

#: What is typed to confirm.
WORD = "clear"


def gather(visit: Visit) -> dict[str, Any]:
    """What there is to be forgotten."""
    backend = visit.backend
    return {
        "series": len(backend.store.leaves()),
        "issues": len(backend.triage.list_issues(backend.loaded.settings.max_issues)),
        "data_dir": str(backend.loaded.settings.data_dir),
        "word": WORD,
        "can_act": backend.may_act,
    }


def clear(backend: Backend, request: MonitorRequest) -> Response:
    """Forget everything, then show the overview."""
    database, settings = backend.database, backend.loaded.settings
    if not backend.may_act or database is None:
        raise NotFound("data cannot be cleared here")
    if request.form.get("confirm", "").strip().lower() != WORD:
        raise BadRequest(f"nothing was cleared: type the word {WORD} into the field to confirm")
    backend.refresh()
    try:
        clearing.clear(database, settings.data_dir, settings, backend.clock.wall())
    except OSError as error:
        raise ServiceUnavailable(f"not everything was cleared, try again: {error}") from None
    backend.cache.clear()
    return issue_page.back_to(request, "/")


ROUTES = [
    *templating.page("/clear", "/clear.json", gather, "clear_data.html"),
    Route("/clear", clear, methods=("POST",), changes_state=True),
]
