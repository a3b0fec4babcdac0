"""werkzeug, and what stands on it (Flask): the rule of the request that the framework put into
environ. It is there only while the request's context is alive, hence asked in start_response."""

from __future__ import annotations

from inapp_monitor.middleware import Exchange


def route_of(exchange: Exchange) -> object:
    """The matched rule with the prefix that dispatchers moved into SCRIPT_NAME."""
    environ = exchange.environ
    if environ is None:
        return None
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    if rule is None:
        return None
    return exchange.below_prefix(rule.rule)
