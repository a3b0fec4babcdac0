"""Flask: announces the exceptions that it turns into a 500 by a signal. The route comes from
`integrations.werkzeug`.

Async views run in another thread, which has a copy of the context: `Flask.async_to_sync`, which is
there to be overridden, notes the request in it. That is not public as a hook for all apps at once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from operator import attrgetter
from typing import Any

from inapp_monitor.ground import current_request
from inapp_monitor.ground.current_request import ENVIRON_KEY
from inapp_monitor.integrations import werkzeug
from inapp_monitor.request.exchange import Shortcut

_MARK = "_inapp_monitor_installed"
_SHORTCUT: Shortcut = ("werkzeug.request", attrgetter("url_rule.rule"))


def install(app: object) -> None:  # noqa: ARG001  # the signal serves every Flask app at once
    """Listen to Flask's `got_request_exception`; again and again has no further effect."""
    from flask import Flask, got_request_exception

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
    from flask import Flask

    return _SHORTCUT if isinstance(app, Flask) else None


def _on_exception(sender: object, exception: BaseException, **_: Any) -> None:  # noqa: ARG001
    from flask import request

    exchange = request.environ.get(ENVIRON_KEY)
    if exchange is not None:
        if exchange.route is None:  # it may escape without a start_response
            exchange.route = werkzeug.route_of(exchange)
        exchange.capture(exception)
