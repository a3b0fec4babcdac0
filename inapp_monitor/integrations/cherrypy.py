"""CherryPy: has no templates, so the path up to the handler's own arguments names a request; hooks
for that and for exceptions. `Monitor(app)` installs them where it is handed the
`cherrypy.Application` or `cherrypy.tree`; without them what tools have wrapped has no name."""

from __future__ import annotations

import sys
from typing import Any

from inapp_monitor.ground.current_request import ENVIRON_KEY
from inapp_monitor.request.exchange import Exchange


def install(app: Any) -> None:
    """Add the hooks to an application's configuration; other objects are left alone."""
    import cherrypy

    # Whatever follows a hook's name keeps it beside a hook of the application's own.
    hooks = {
        "hooks.on_start_resource.inapp_monitor": _on_resource,
        "hooks.before_error_response.inapp_monitor": _on_error,
    }
    applications = app.apps.values() if isinstance(app, cherrypy._cptree.Tree) else [app]
    for application in applications:
        if isinstance(application, cherrypy.Application):
            application.merge({"/": hooks})


def _exchange_of(request: Any) -> Exchange | None:
    """The request's exchange; None where no monitor is around it, or no WSGI server."""
    exchange: Exchange | None = getattr(request, "wsgi_environ", {}).get(ENVIRON_KEY)
    return exchange


def _on_resource() -> None:
    """Name the request after its handler, before tools put another one around it."""
    import cherrypy

    request = cherrypy.serving.request
    exchange = _exchange_of(request)
    if exchange is not None and not _is_static(request):
        exchange.route = _template(request)  # an internal redirect's last one


def _on_error() -> None:
    import cherrypy

    request = cherrypy.serving.request
    exchange = _exchange_of(request)
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
    if environ is None or environ.get(ENVIRON_KEY) is not exchange:
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
    if getattr(request, "handler", None) is None and _is_static(request):
        section = request.config.get("tools.staticdir.section", "")
        return f"{request.script_name}{section.rstrip('/')}/*"
    return None


def _is_static(request: Any) -> bool:
    """Whether the staticdir tool may answer instead of a handler."""
    configuration = getattr(request, "config", None) or {}
    return bool(configuration.get("tools.staticdir.on"))
