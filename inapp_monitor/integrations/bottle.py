"""Bottle: leaves the matched route in environ, and hands a failing view's exc_info to
start_response (0.13), where the request path sees it."""

from __future__ import annotations

from inapp_monitor.request.exchange import Exchange


def route_of(exchange: Exchange) -> object:
    """The rule of Bottle's route, below whatever prefix a dispatcher moved out of the path."""
    environ = exchange.environ
    route = environ.get("bottle.route") if environ is not None else None
    rule = getattr(route, "rule", None)
    return exchange.below_prefix(rule) if isinstance(rule, str) else None
