"""Django: a signal for exceptions; for the route a middleware of ours, or without it the response
object that Django hands to the server.

The middleware is the official way and works below any other WSGI layer:

    MIDDLEWARE = ["inapp_monitor.integrations.django.middleware", ...]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from inapp_monitor.middleware import RECORD_KEY, Exchange


def install(app: object) -> None:  # noqa: ARG001  # the signal serves every Django app at once
    """Listen to Django's `got_request_exception`."""
    from django.core.signals import got_request_exception

    got_request_exception.connect(
        _on_exception, weak=False, dispatch_uid="inapp_monitor.got_request_exception"
    )


def _on_exception(sender: object, request: Any = None, **_: Any) -> None:  # noqa: ARG001
    error = sys.exception()
    exchange = request.environ.get(RECORD_KEY) if hasattr(request, "environ") else None
    if exchange is not None and error is not None:
        if exchange.route is None:
            exchange.route = _template(getattr(request, "resolver_match", None))
        exchange.capture(error)


def route_of_body(exchange: Exchange, body: Any) -> object:  # noqa: ARG001
    """The template, by way of the request in the response's private list of things to close."""
    for closer in getattr(body, "_resource_closers", ()):
        request = getattr(closer, "__self__", None)
        template = _template(getattr(request, "resolver_match", None))
        if template is not None:
            return template
    return None


def middleware(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Django middleware that notes the matched route."""

    def note_route(request: Any) -> Any:
        response = get_response(request)
        exchange = request.environ.get(RECORD_KEY) if hasattr(request, "environ") else None
        if exchange is not None:
            exchange.route = _template(request.resolver_match)
        return response

    return note_route


def _template(match: Any) -> str | None:
    route = getattr(match, "route", None)
    return f"/{route}" if isinstance(route, str) else None
