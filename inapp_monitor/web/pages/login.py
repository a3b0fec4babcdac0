"""The login page: a form for the token, and how to find it."""

from __future__ import annotations

from werkzeug.wrappers import Response

from inapp_monitor.ground.development_server import is_development_server
from inapp_monitor.web.access.login_token import FILE_NAME
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame.links import address
from inapp_monitor.web.frame.request import MonitorRequest
from inapp_monitor.web.frame.templating import html_answer


def page(
    backend: Backend,
    request: MonitorRequest,
    status: int,
    wanted: str,
    *,
    tried: bool = False,
    wait_s: int = 0,
) -> Response:
    """The form. Shows no name and no number of the app.

    Args:
        wanted: Where to go afterwards.
        tried: A token was sent.
        wait_s: It was not judged; seconds until one will be.
    """
    query = [("next", wanted)] if wanted != "/" else []
    data = {
        "action": address(request.root, "/login", query),
        "tried": tried,
        "wait_s": wait_s,
        "development": is_development_server(request.environ),
        "file": FILE_NAME,
        "given": bool(backend.loaded.settings.token),
    }
    return html_answer(backend, request, "login.html", data, status=status)
