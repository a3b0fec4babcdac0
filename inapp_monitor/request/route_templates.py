"""Plain WSGI: templates such as `/users/<id>` that name requests by their path.

`Monitor(app, route=["/", "/users/<id>", "/files/<path:name>"])`: a placeholder stands for one
segment, one of kind `path` for any number; the first template that matches names the request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from inapp_monitor.ground.wsgi_text import decode
from inapp_monitor.request.exchange import Exchange

_PLACEHOLDER = re.compile(r"<(?:(\w+):)?\w+>")


def by_path(templates: Iterable[str]) -> Callable[[Exchange], str | None]:
    """An asker that matches the request's path, as it was on entry.

    Raises:
        ValueError: something that is no text, or has angle brackets that are no placeholder.
    """
    names = list(templates)
    matchers = re.compile("|".join(f"({_pattern(name)})" for name in names))
    decodes = not all(name.isascii() for name in names)

    def route(exchange: Exchange) -> str | None:
        path = exchange.path or "/"
        match = matchers.fullmatch(decode(path) if decodes else path)
        return names[match.lastindex - 1] if match and match.lastindex else None

    return route


def _pattern(template: object) -> str:
    if not isinstance(template, str) or not template.startswith("/"):
        raise ValueError(f"a route template must start with a slash, got {template!r}")
    pattern, end = "", 0
    for placeholder in _PLACEHOLDER.finditer(template):
        pattern += re.escape(template[end : placeholder.start()])
        pattern += ".+" if placeholder[1] == "path" else "[^/]+"
        end = placeholder.end()
    rest = template[end:]
    if "<" in rest or ">" in rest:
        raise ValueError(f"a placeholder of {template!r} is not like <name> or <path:name>")
    return pattern + re.escape(rest)
