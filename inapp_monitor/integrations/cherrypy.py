"""CherryPy: has no templates, so the path up to the handler's own arguments names a request; a hook
for exceptions. `Monitor(app)` installs the hook where it is handed the `cherrypy.Application` or
`cherrypy.tree`."""

from __future__ import annotations

import sys
from typing import Any

from inapp_monitor.middleware import RECORD_KEY, Exchange


def install(app: Any) -> None:
    """Add the hook to an application's configuration; other objects are left alone."""
    import cherrypy

    # Whatever follows the hook's name keeps it beside a hook of the application's own.
    hook = {"/": {"hooks.before_error_response.inapp_monitor": _on_error}}
    applications = app.apps.values() if isinstance(app, cherrypy._cptree.Tree) else [app]
    for application in applications:
        if isinstance(application, cherrypy.Application):
            application.merge(hook)


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
        return _static_section(request)
    arguments = list(getattr(handler, "args", ()) or ())
    parts = [part for part in request.path_info.split("/") if part]
    if arguments:
        parts[len(parts) - len(arguments) :] = ["*"] * len(arguments)
    return f"{request.script_name}/{'/'.join(parts)}"


def _static_section(request: Any) -> str | None:
    """`/static/*` where the staticdir tool answered instead of a handler."""
    configuration = getattr(request, "config", None) or {}
    if getattr(request, "handler", None) is None and configuration.get("tools.staticdir.on"):
        section = configuration.get("tools.staticdir.section", "")
        return f"{request.script_name}{section.rstrip('/')}/*"
    return None
