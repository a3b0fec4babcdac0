"""Flask: announces the exceptions that it turns into a 500 by a signal; extensions announce more by
it, so what is answered decides. The route comes from `integrations.werkzeug`; where that finds
none, from Flask's own request, whose environ may be a copy, or from matching the path again.

Async views run in another thread, which has a copy of the context: `Flask.async_to_sync`, which is
there to be overridden, notes the request in it. That is not public as a hook for all apps at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from operator import attrgetter
from typing import Any
from weakref import WeakSet

from flask import Flask, got_request_exception, has_request_context, request

from inapp_monitor.ground import current_request
from inapp_monitor.ground.current_request import ENVIRON_KEY
from inapp_monitor.integrations import werkzeug
from inapp_monitor.request.exchange import Exchange, Shortcut

_MARK = "_inapp_monitor_installed"
_SHORTCUT: Shortcut = ("werkzeug.request", attrgetter("url_rule.rule"))


#: The applications that are watched.
_apps: WeakSet[Flask] = WeakSet()


def install(app: object) -> None:
    """Listen to Flask's `got_request_exception`, which serves every Flask app at once; again and
    again has no further effect."""
    if isinstance(app, Flask):
        _apps.add(app)
    got_request_exception.connect(_on_exception, weak=False)
    if not hasattr(Flask.async_to_sync, _MARK):
        Flask.async_to_sync = _entering(Flask.async_to_sync)  # type: ignore[method-assign]


def _entering(convert: Callable[..., Any]) -> Callable[..., Any]:
    """An `async_to_sync` whose functions note the request in the context that will be copied: the
    first of a process would be missed, because asgiref is loaded by it."""

    @wraps(convert)
    def async_to_sync(app: Any, function: Callable[..., Any]) -> Callable[..., Any]:
        run = convert(app, function)

        def run_in_request(*arguments: Any, **named: Any) -> Any:
            record = current_request.get()
            if record is not None:
                current_request.enter(record)
            return run(*arguments, **named)

        return run_in_request

    setattr(async_to_sync, _MARK, True)
    return async_to_sync


def shortcut_for(app: object) -> Shortcut | None:
    """The rule of the request that Flask leaves in environ; no dispatcher is in between."""
    return _SHORTCUT if isinstance(app, Flask) else None


def route_of(exchange: Exchange) -> object:
    """The rule of the request that is being answered in this context, where a layer handed on a
    copy of environ; that of the path, where nothing was answered and the context is over."""
    if has_request_context():
        environ = request.environ
        if request.url_rule is None or environ.get(ENVIRON_KEY) is not exchange:
            return None
        return exchange.below_prefix(request.url_rule.rule, environ)
    if exchange.status is None and sys.exception() is None:
        return _route_by_path(exchange)
    return None


def _route_by_path(exchange: Exchange) -> object:
    """The rule that the path matches, in the only application that has one."""
    environ = exchange.environ or {}
    matched = (werkzeug.rules(app.url_map)(environ) for app in list(_apps))
    found = {rule for rule in matched if rule is not None}
    return exchange.below_prefix(found.pop()) if len(found) == 1 else None


def _on_exception(sender: object, exception: BaseException, **_: Any) -> None:  # noqa: ARG001
    exchange = request.environ.get(ENVIRON_KEY)
    if exchange is not None:
        if exchange.route is None:  # it may escape without a start_response
            exchange.route = werkzeug.route_of(exchange)
        exchange.announce(exception)
