"""Django: a signal for exceptions; for the route, the handler's `resolve_request` where
`Monitor(app)` is handed Django's own application, or the middleware of this file below any other
WSGI layer:

    MIDDLEWARE = ["inapp_monitor.integrations.django.middleware", ...]

Without both, the response object that Django returns to the server shows it, except for files.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

from inapp_monitor.ground.current_request import ENVIRON_KEY
from inapp_monitor.request.exchange import Exchange

_MARK = "_inapp_monitor_installed"
#: Anchors of `re_path`; a `^` inside brackets negates and stays.
_ANCHOR = re.compile(r"(?<!\[)\^|\$$|\\Z$")


def install(app: Any) -> None:
    """Listen to Django's `got_request_exception`, and note the route of `app`'s requests."""
    from django.core.handlers.wsgi import WSGIHandler
    from django.core.signals import got_request_exception

    got_request_exception.connect(
        _on_exception, weak=False, dispatch_uid="inapp_monitor.got_request_exception"
    )
    if isinstance(app, WSGIHandler) and not hasattr(app, _MARK):
        app.resolve_request = _noting(app.resolve_request)
        setattr(app, _MARK, True)


def _on_exception(sender: object, request: Any = None, **_: Any) -> None:  # noqa: ARG001
    error = sys.exception()
    exchange = _note_route(request)
    if exchange is not None and error is not None:
        exchange.capture(error)


def _note_route(request: Any) -> Exchange | None:
    """Write the matched template into the request's exchange, and return that."""
    exchange: Exchange | None = getattr(request, "environ", {}).get(ENVIRON_KEY)
    if exchange is not None and exchange.route is None:
        exchange.route = template_of_match(exchange, getattr(request, "resolver_match", None))
    return exchange


def route_of_body(exchange: Exchange, body: Any) -> object:
    """The template, by way of the request in the response's private list of things to close."""
    for closer in getattr(body, "_resource_closers", ()):
        request = getattr(closer, "__self__", None)
        template = template_of_match(exchange, getattr(request, "resolver_match", None))
        if template is not None:
            return template
    return None


def _noting(resolve: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A handler's `resolve_request` that notes the matched route, before the view runs."""

    def resolve_request(request: Any) -> Any:
        found = resolve(request)
        _note_route(request)
        return found

    return resolve_request


def middleware(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Django middleware that notes the matched route."""

    def note_route(request: Any) -> Any:
        response = get_response(request)
        _note_route(request)
        return response

    def process_view(request: Any, *_: object) -> None:
        _note_route(request)  # for those who ask while the view runs

    note_route.process_view = process_view  # type: ignore[attr-defined]  # as Django wants it
    return note_route


def template_of_match(exchange: Exchange, match: Any) -> str | None:
    route = getattr(match, "route", None)
    if not isinstance(route, str):
        return None
    return exchange.below_prefix(f"/{_ANCHOR.sub('', route)}")
