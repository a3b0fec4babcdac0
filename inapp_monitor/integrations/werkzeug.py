"""werkzeug, and what stands on it (Flask): the rule of the request that the framework put into
environ. It is there only while the request's context is alive, hence asked in start_response."""

from __future__ import annotations

from collections.abc import Callable
from sys import exception
from typing import TYPE_CHECKING, Any

from inapp_monitor.request.exchange import Exchange
from inapp_monitor.request.wsgi_types import Environ

if TYPE_CHECKING:
    from werkzeug.routing import Map


def route_of(exchange: Exchange) -> object:
    """The matched rule with the prefix that dispatchers moved into SCRIPT_NAME."""
    try:
        environ: Any = exchange.environ
        if "werkzeug.request" not in environ:  # cheaper than an exception for every request
            return None
        request = environ["werkzeug.request"]
        rule: str = (request or _request_of_escape()).url_rule.rule
    except (KeyError, AttributeError, TypeError):  # not Flask's, or nothing matched
        return None
    return exchange.below_prefix(rule)


def _request_of_escape() -> Any:
    """Flask's request after its context is gone, from the traceback of what escaped: the
    SystemExit of a server's timeout, for which the route matters most."""
    error = exception()
    traceback = None if error is None else error.__traceback__
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code.co_name == "wsgi_app" and "ctx" in frame.f_code.co_varnames:
            return frame.f_locals["ctx"].request
        traceback = traceback.tb_next
    return None


def rules(url_map: Map) -> Callable[[Environ], str | None]:
    """For `Monitor(app, route=rules(url_map))`: an application of plain werkzeug, matched again."""
    from werkzeug.exceptions import HTTPException
    from werkzeug.routing import RequestRedirect

    def route(environ: Environ) -> str | None:
        try:
            rule, _ = url_map.bind_to_environ(environ).match(return_rule=True)
        except (HTTPException, RequestRedirect):  # nothing there, or not for this method
            return None
        return str(rule.rule)

    return route
