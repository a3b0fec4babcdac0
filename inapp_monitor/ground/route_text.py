"""The text of a route, in whatever form a framework or user gave it. Pure; gives no other names.

A route is a template such as `/users/<int:id>`, or an object whose `rule` is one (Flask, werkzeug,
Bottle).
"""

from __future__ import annotations


def template_of(route: object) -> str | None:
    """The template as an honest string; None when there is none. Never raises."""
    if route is None:
        return None
    try:
        text = getattr(route, "rule", route)
    except Exception:  # noqa: BLE001  # somebody else's property
        return None
    # By type: `isinstance` asks a stranger for its `__class__`, which may raise.
    return str.__str__(text) if issubclass(type(text), str) else None
