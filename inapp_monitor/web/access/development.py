"""Development servers: which they are, and what `dev_access` opens without a token.

A request alone cannot prove that it comes from this machine: what a proxy or a tunnel of this
machine sends that speaks HTTP/1.1, rewrites Host and adds no header is byte for byte what a local
browser sends. That is why `dev_access` is off unless somebody switches it on, and why a development
server shows a link with the token instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inapp_monitor.ground.development_server import is_development_server
from inapp_monitor.web.access.origin import host_name, is_forwarded, is_loopback


def shows_link_at_start(environ: Mapping[str, Any]) -> bool:
    """Whether the people at the terminal want the login link at each start.

    Not of a server that has a process for each request: it would be each request.
    """
    return is_development_server(environ) and not environ.get("wsgi.multiprocess")


def is_local_development(environ: Mapping[str, Any]) -> bool:
    """Whether this looks like a browser on the developer's own machine at a development server.

    All of it must fit: a server made for development, a loopback peer, a loopback Host (a rebound
    DNS name is refused), no trace of a proxy, and no other site's page asking in the background.
    """
    if not is_development_server(environ):
        return False
    if environ.get("SERVER_PROTOCOL") not in ("HTTP/1.1", "HTTP/2"):
        return False  # browsers and curl speak 1.1; nginx asks its upstream in 1.0 by default
    if is_forwarded(environ) or not is_loopback(str(environ.get("REMOTE_ADDR", ""))):
        return False
    host = host_name(environ)
    if not (host == "localhost" or host.endswith(".localhost") or is_loopback(host)):
        return False
    return (
        environ.get("HTTP_SEC_FETCH_SITE", "none") in ("none", "same-origin")
        or environ.get("HTTP_SEC_FETCH_MODE") == "navigate"
    )
