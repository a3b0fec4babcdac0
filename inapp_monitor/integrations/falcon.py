"""Falcon: a middleware component for the route, an error handler that keeps the app's own answer.

`Monitor(app)` installs both where it is handed the `falcon.App`. Which handler answers for
`Exception`, and where sinks and static routes are mounted, Falcon keeps private: without them its
default answer and `(unrouted)` remain.
"""

from __future__ import annotations

from typing import Any

from inapp_monitor.ground.current_request import ENVIRON_KEY

_MARK = "_inapp_monitor"


def install(app: Any) -> None:
    """Add the component and the handler to a Falcon app, once; other objects are left alone."""
    import falcon

    if not isinstance(app, falcon.App):
        return
    own = getattr(app, "_error_handlers", {}).get(Exception)
    if hasattr(own, _MARK):
        return

    def on_error(request: Any, response: Any, error: BaseException, params: Any) -> None:
        exchange = request.env.get(ENVIRON_KEY)
        if exchange is not None:
            exchange.capture(error)
        if own is None:
            raise falcon.HTTPInternalServerError
        own(request, response, error, params)

    setattr(on_error, _MARK, True)
    app.add_middleware(RouteComponent(app))
    app.add_error_handler(Exception, on_error)


class RouteComponent:
    """Falcon middleware that notes the URI template."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def process_resource(self, request: Any, response: Any, resource: Any, params: Any) -> None:  # noqa: ARG002
        """Called after routing, before the responder."""
        exchange = request.env.get(ENVIRON_KEY)
        if exchange is not None and request.uri_template:
            exchange.route = exchange.below_prefix(request.uri_template)

    def process_response(self, request: Any, response: Any, resource: Any, succeeded: bool) -> None:  # noqa: ARG002
        """Called at the end; without a resource it was a sink, a static route or nothing."""
        exchange = request.env.get(ENVIRON_KEY)
        if resource is None and exchange is not None and exchange.route is None:
            prefix = self._prefix_of(request.path)
            if prefix is not None:
                exchange.route = exchange.below_prefix(f"{prefix.rstrip('/')}/*")

    def _prefix_of(self, path: str) -> str | None:
        """Where the sink or static route that serves `path` is mounted."""
        for matcher, _, is_sink in getattr(self._app, "_sink_and_static_routes", ()):
            if matcher.match(path):
                text = matcher.pattern if is_sink else getattr(matcher, "_prefix", None)
                return text if isinstance(text, str) else None
        return None
