"""Whether a page of the app itself has sent a visitor to an address that is not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

#: What browsers and crawlers ask for unasked: no page of the app links there.
_UNASKED = (
    "/favicon.ico",
    "/robots.txt",
    "/apple-touch-icon",
    "/.well-known/",
    "/browserconfig.xml",
)


def is_own_link(environ: Mapping[str, Any], referer: str, path: str) -> bool:
    """Whether the Referer is another page of this host, as the client or its proxy calls it."""
    if path.startswith(_UNASKED):
        return False
    try:
        parts = urlsplit(referer)
    except ValueError:
        return False
    host = parts.netloc.lower()
    if not host or parts.scheme not in ("http", "https") or parts.path == path:
        return False  # what asks for it gives itself as the page: a scanner's habit
    named = (environ.get("HTTP_HOST"), environ.get("HTTP_X_FORWARDED_HOST"))
    return any(isinstance(name, str) and name.lower() == host for name in named)
