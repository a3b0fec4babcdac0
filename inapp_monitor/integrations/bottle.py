"""Bottle: leaves the matched route in environ, and hands a failing view's exc_info to
start_response (0.13), where the request path sees it."""

from __future__ import annotations

import sys
from typing import Any

from inapp_monitor.ground.current_request import ENVIRON_KEY
from inapp_monitor.request.exchange import Exchange


def route_of(exchange: Exchange) -> object:
    """The rule of Bottle's route, below whatever prefix a dispatcher moved out of the path."""
    environ: Any = exchange.environ or {}
    if "bottle.route" not in environ:
        environ = _copy_in_use(exchange)
    rule = getattr(environ.get("bottle.route"), "rule", None)
    return exchange.below_prefix(rule, environ) if isinstance(rule, str) else None


def _copy_in_use(exchange: Exchange) -> Any:
    """The environ that Bottle got where a layer in between handed on a copy."""
    request = getattr(sys.modules.get("bottle"), "request", None)
    try:
        environ: Any = getattr(request, "environ", None) or {}
    except RuntimeError:  # Bottle, which something else has loaded, has no request in this thread
        return {}
    return environ if environ.get(ENVIRON_KEY) is exchange else {}
