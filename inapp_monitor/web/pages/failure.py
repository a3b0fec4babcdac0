"""Answers to what cannot be answered: one line for machines, a page that helps for people."""

from __future__ import annotations

from http import HTTPStatus

from werkzeug.wrappers import Response

from inapp_monitor.ground.visible_text import visible_line
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame.request import MonitorRequest
from inapp_monitor.web.frame.templating import html_answer, json_answer


def page(backend: Backend, request: MonitorRequest, status: int, message: str) -> Response:
    """A failure as JSON, as HTML for browsers, or as one line of text."""
    line = visible_line(" ".join(message.split()))
    if request.wants_json:
        return json_answer({"error": line, "status": status}, status)
    if request.wants_html:
        data = {"status": status, "reason": _reason(status), "message": line}
        data["inside"] = request.access.allowed
        return html_answer(backend, request, "failure.html", data, status=status)
    return Response(line + "\n", status=status, mimetype="text/plain")


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
