"""Who may send numbers: who has the dashboard's token, or the one for senders alone."""

from __future__ import annotations

from collections.abc import Callable

from werkzeug.wrappers import Response

from inapp_monitor.ground.process import late_imports
from inapp_monitor.web.access.auth import Access, Gate
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame.request import MonitorRequest
from inapp_monitor.web.pages import failure

_NOT_MEANT = "send the token with the request, a session alone is not enough"


def answer(
    gate: Gate,
    backend: Backend,
    request: MonitorRequest,
    refuse: Callable[[MonitorRequest, Access], Response],
) -> Response:
    """Answer a request that brings numbers. It holds no place: pages are not kept waiting by it.

    Args:
        refuse: Answers one that has no token, or a wrong one.
    """
    environ, guard = request.environ, backend.guard
    try:
        request.access = gate.check_sender(environ)
    except Exception as error:  # noqa: BLE001  # an authorizer that fails lets nobody in
        guard.failed("authorizer", error)
        return failure.page(backend, request, 403, "the authorizer of this dashboard failed")
    if not request.access.allowed:
        refused = refuse(request, request.access)
        # libcurl with any authentication, as in collectd, sends its password only when asked.
        refused.headers.add("WWW-Authenticate", 'Basic realm="inapp-monitor"')
        return refused
    if not gate.may_change(environ, request.access, request.headers.get("X-CSRF-Token", "")):
        return failure.page(backend, request, 403, _NOT_MEANT)
    try:
        with late_imports.loading():  # a megabyte of protocols: most sites never receive numbers
            from inapp_monitor.web.ingest import endpoints

        response = endpoints.answer(backend, request)
    except Exception as error:  # noqa: BLE001  # never the app's matter
        guard.failed("ingest by HTTP", error)
        message = "this failed; the status page and the app's log say why"
        return failure.page(backend, request, 500, message)
    guard.recovered("ingest by HTTP")
    return response
