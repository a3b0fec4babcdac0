"""CherryPy: has no templates, so the path up to the handler's own arguments names a request; a hook
for exceptions. `Monitor(app)` installs the hook where it is handed the `cherrypy.Application`."""

from __future__ import annotations

import sys
from typing import Any

from inapp_monitor.middleware import RECORD_KEY, Exchange


def install(app: Any) -> None:
    """Add the hook to an application's configuration; other objects are left alone."""
    import cherrypy

    if isinstance(app, cherrypy.Application):
        app.merge({"/": {"hooks.before_error_response": _on_error}})


def _on_error() -> None:
    import cherrypy

    request = cherrypy.serving.request
    exchange = request.wsgi_environ.get(RECORD_KEY)
    error = sys.exception()
    if exchange is not None and error is not None:
        if exchange.route is None:
            exchange.route = _template(request)
        exchange.capture(error)


def route_of_body(exchange: Exchange, body: object) -> object:  # noqa: ARG001
    """The template of the request that is being answered in this thread."""
    import cherrypy

    request = cherrypy.serving.request
    environ = getattr(request, "wsgi_environ", None)
    if environ is None or environ.get(RECORD_KEY) is not exchange:
        return None
    return _template(request)


def _template(request: Any) -> str | None:
    """`/users/show/*`: the request's path with a star for each argument of its handler."""
    handler: Any = getattr(request, "handler", None)
    while hasattr(handler, "oldhandler"):  # tools such as encode wrap the handler
        handler = handler.oldhandler
    if getattr(handler, "callable", None) is None:
        return None
    arguments = list(getattr(handler, "args", ()) or ())
    parts = [part for part in request.path_info.split("/") if part]
    if arguments:
        parts[len(parts) - len(arguments) :] = ["*"] * len(arguments)
    return f"{request.script_name}/{'/'.join(parts)}"
