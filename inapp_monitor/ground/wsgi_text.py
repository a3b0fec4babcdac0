"""The text that a client sent, from the strings of a WSGI environ. Pure; knows no keys."""

from __future__ import annotations


def decode(wsgi_string: str) -> str:
    """The text: PEP 3333 passes bytes as latin-1, browsers send UTF-8. Never raises."""
    return wsgi_string.encode("latin-1", "replace").decode("utf-8", "replace")
