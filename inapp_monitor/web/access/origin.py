"""What a request says about its host, its peer and the page that sent it. Pure.

Nothing here decides who may see anything.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,255})(?::\d{1,5})?", re.ASCII)
#: Headers of proxies, load balancers and content networks: the kinds of names that they use.
_FORWARDING = re.compile(
    r"HTTP_(?:VIA|CF_\w+|CDN_\w+|FLY_\w+|FASTLY_\w+|X_(?:VARNISH|REQUEST_START|QUEUE_START|ENVOY_\w+"
    r"|AMZN?_\w+|AZURE_\w+|APPENGINE_\w+|GOOGLE_\w+|ORIGINAL_\w+|ORIGIN(?:ATING)?_\w+|SCHEME"
    r"|REWRITE_\w+|HTTPS)"
    r"|\w*(?:FORWARDED|REAL_IP|CLIENT_?IP|CONNECTING_IP|REMOTE_(?:IP|ADDR|HOST)|PROXY)\w*)",
    re.ASCII,
)
_BROWSER_MARKS = (
    "HTTP_ORIGIN",
    "HTTP_REFERER",
    "HTTP_COOKIE",
    "HTTP_SEC_FETCH_SITE",
    "HTTP_SEC_FETCH_MODE",
)


def host_name(environ: Mapping[str, Any]) -> str:
    """The Host header's name in lower case without port; "" when it is missing or malformed."""
    match = _HOST.fullmatch(str(environ.get("HTTP_HOST", "")))
    return match[1].strip("[]").lower() if match else ""


def is_host_allowed(environ: Mapping[str, Any], allowed: tuple[str, ...]) -> bool:
    """Whether the request's Host is one that the settings name; `.example.com` allows subdomains.

    With no names set, every well-formed or missing Host is fine.
    """
    if "HTTP_HOST" in environ and not host_name(environ):
        return False
    if not allowed:
        return True
    host = host_name(environ)
    return any(
        host == name.lower() or (name.startswith(".") and host.endswith(name.lower()))
        for name in allowed
    )


def is_same_origin(environ: Mapping[str, Any]) -> bool:
    """Whether nothing says that the request comes from a page of another host.

    Our pages are sent with `no-referrer`, which makes browsers say `Origin: null` for their own
    forms: that proves nothing either way, and `Sec-Fetch-Site` or the CSRF token has to.
    """
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = environ.get("HTTP_ORIGIN")
    if origin in (None, "null"):
        return True
    try:
        return urlsplit(str(origin)).netloc == str(environ.get("HTTP_HOST", "")) != ""
    except ValueError:
        return False


def is_forwarded(environ: Mapping[str, Any]) -> bool:
    """Whether a proxy shows itself in a header; one that adds none cannot be seen."""
    return any(_FORWARDING.fullmatch(name) for name in environ)


def is_program(environ: Mapping[str, Any]) -> bool:
    """Whether no browser sent this: a browser names the origin of every POST, and has cookies."""
    return not any(environ.get(name) for name in _BROWSER_MARKS)


def is_loopback(address: str) -> bool:
    """Whether an address, not a name, is one of this machine's loopback interface."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def network_of(address: str) -> str:
    """What stands for a peer's address: of IPv6 the network of 64 bits that one customer has."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)
