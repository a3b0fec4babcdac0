"""Flask: announces the exceptions that it turns into a 500 by a signal. The route comes from
`integrations.werkzeug`."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from inapp_monitor.ground.current_request import ENVIRON_KEY
from inapp_monitor.integrations import werkzeug
from inapp_monitor.request.exchange import Shortcut

_SHORTCUT: Shortcut = ("werkzeug.request", attrgetter("url_rule.rule"))


def install(app: object) -> None:  # noqa: ARG001  # the signal serves every Flask app at once
    """Listen to Flask's `got_request_exception`; again and again has no further effect."""
    from flask import got_request_exception

    got_request_exception.connect(_on_exception, weak=False)


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
