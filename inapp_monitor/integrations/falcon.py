"""Falcon: a middleware component for the route, an error handler that keeps Falcon's own answer.

`Monitor(app)` installs both where it is handed the `falcon.App`.
"""

from __future__ import annotations

from typing import Any

from inapp_monitor.middleware import RECORD_KEY

_MARK = "_inapp_monitor_installed"


def install(app: Any) -> None:
    """Add the component and the handler to a Falcon app; other objects are left alone."""
    import falcon

    if not isinstance(app, falcon.App) or getattr(app, _MARK, False):
        return
    app.add_middleware(RouteComponent())
    own = getattr(app, "_python_error_handler", None)  # private: keeps Falcon's own 500 answer

    def on_error(request: Any, response: Any, error: BaseException, params: Any) -> None:
        exchange = request.env.get(RECORD_KEY)
        if exchange is not None:
            exchange.capture(error)
        if own is None:
            raise falcon.HTTPInternalServerError
        own(request, response, error, params)

    app.add_error_handler(Exception, on_error)
    try:
        setattr(app, _MARK, True)
    except AttributeError:  # slots: installed once all the same, by the component's own check
        pass


class RouteComponent:
    """Falcon middleware that notes the URI template."""

    def process_resource(self, request: Any, response: Any, resource: Any, params: Any) -> None:  # noqa: ARG002
        """Called after routing, before the responder."""
        exchange = request.env.get(RECORD_KEY)
        template = request.uri_template
        if exchange is not None and template:
            exchange.route = exchange.below_prefix(template)
