"""werkzeug, and what stands on it (Flask): the rule of the request that the framework put into
environ. It is there only while the request's context is alive, hence asked in start_response."""

from __future__ import annotations

from typing import Any

from inapp_monitor.middleware import Exchange


def route_of(exchange: Exchange) -> object:
    """The matched rule with the prefix that dispatchers moved into SCRIPT_NAME."""
    try:
        environ: Any = exchange.environ
        rule: str = environ["werkzeug.request"].url_rule.rule
    except (KeyError, AttributeError, TypeError):  # not Flask's, or nothing matched
        return None
    if environ.get("SCRIPT_NAME", "") == exchange.script_name:
        return rule
    return exchange.below_prefix(rule)
