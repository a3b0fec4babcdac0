"""Bottle: leaves the matched route in environ, and hands a failing view's exc_info to
start_response (0.13), where the request path sees it."""

from __future__ import annotations

from inapp_monitor.middleware import Exchange


def route_of(exchange: Exchange) -> object:
    """The rule of Bottle's route; mounted applications come with the mount's prefix."""
    environ = exchange.environ
    route = environ.get("bottle.route") if environ is not None else None
    return getattr(route, "rule", None)
