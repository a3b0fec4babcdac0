"""The login page: a form for the token, and how to find it."""

from __future__ import annotations

from werkzeug.wrappers import Response

from inapp_monitor.web.access.login_token import FILE_NAME
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame.links import address
from inapp_monitor.web.frame.request import MonitorRequest
from inapp_monitor.web.frame.templating import html_answer


def page(
    backend: Backend, request: MonitorRequest, status: int, wanted: str, tried: bool = False
) -> Response:
    """The form; `wanted` is where to go afterwards. Shows no name and no number of the app."""
    query = [("next", wanted)] if wanted != "/" else []
    data = {
        "action": address(request.root, "/login", query),
        "tried": tried,
        "throttled": status == 429,
        "file": FILE_NAME,
        "given": bool(backend.loaded.settings.token),
    }
    return html_answer(backend, request, "login.html", data, status=status)
