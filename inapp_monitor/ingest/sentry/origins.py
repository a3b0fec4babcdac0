"""Which pages of other origins may send: what browsers call CORS. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit


def is_allowed(origin: str, host: str, allowed: Sequence[str]) -> bool:
    """Whether a page of an origin may send with a key.

    Args:
        origin: The header, "" of what is no browser: the key alone decides.
        host: The host that the request was sent to; its own pages may always send.
        allowed: `https://shop.example`, `shop.example`, `*.example.com`, or `*`.
    """
    if not origin or "*" in allowed:
        return True
    try:
        parts = urlsplit(origin.strip().lower())
        name = parts.hostname or ""
        parts.port  # noqa: B018  # raises for one that is no number
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not name:
        return False
    if parts.netloc == host.strip().lower():
        return True
    return any(_matches(parts.scheme, parts.netloc, name, rule) for rule in allowed)


def _matches(scheme: str, netloc: str, name: str, rule: str) -> bool:
    wanted, separator, rest = rule.partition("://")
    if separator and wanted != scheme:
        return False
    rule = rest if separator else rule
    compared = netloc if ":" in rule else name
    if rule.startswith("*."):
        return compared.endswith(rule[1:])
    return compared == rule
