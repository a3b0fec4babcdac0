"""Pyramid: subscribers on the finished router's registry; works for an app made by
`Configurator.make_wsgi_app`. An unhandled exception leaves the router by itself."""

from __future__ import annotations

from typing import Any

from inapp_monitor.ground.current_request import ENVIRON_KEY

_MARK = "inapp_monitor.installed"


def install(app: Any) -> None:
    """Subscribe to a router's events; other objects are left alone."""
    from pyramid.interfaces import IContextFound, INewResponse
    from pyramid.router import Router

    if not isinstance(app, Router) or getattr(app.registry, _MARK, False):
        return
    app.registry.registerHandler(_on_context_found, (IContextFound,))
    app.registry.registerHandler(_on_response, (INewResponse,))
    setattr(app.registry, _MARK, True)


def _on_context_found(event: Any) -> None:
    request = event.request
    exchange = request.environ.get(ENVIRON_KEY)
    if exchange is None:
        return
    matched = getattr(request, "matched_route", None)
    if matched is not None:
        exchange.route = exchange.below_prefix(f"/{matched.pattern.lstrip('/')}")
    else:
        exchange.route = f"<traversal {type(request.context).__qualname__}>/{request.view_name}"


def _on_response(event: Any) -> None:
    from pyramid.httpexceptions import HTTPException, HTTPNotFound

    exchange = event.request.environ.get(ENVIRON_KEY)
    if exchange is None:
        return
    missing = event.response.status_int == 404 or isinstance(
        getattr(event.request, "exception", None), HTTPNotFound
    )
    if missing and str(exchange.route).startswith("<traversal"):
        exchange.route = None  # the view's name came from the URL: anybody could invent names
    handled = getattr(event.request, "exc_info", None)
    if event.response.status_int < 500:
        return  # a view of the app's own made an answer of it
    if handled and handled[1] is not None and not isinstance(handled[1], HTTPException):
        exchange.capture(handled[1])
