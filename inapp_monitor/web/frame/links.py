"""Addresses below the mount: quoted, relative to this host, with the state of the page in them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, unquote, urlencode

_PATH = re.compile(r"/(?!/)[A-Za-z0-9_\-./?=&%+,:~*()]{0,2000}", re.ASCII)
#: How often a path is decoded to see what it may become on its way.
_DECODED = 4


def address(root: str, path: str, query: Iterable[tuple[str, str]] = ()) -> str:
    """A link to `path` below the mount; it cannot leave this host.

    Args:
        root: The mount as the request saw it, "" at the top.
        path: Starts with one slash; quoted here.
        query: Parameters; those with an empty value are left out.
    """
    given = [(name, value) for name, value in query if value != ""]
    suffix = f"?{urlencode(given, errors='replace')}" if given else ""
    place = quote(path.lstrip("/"), safe="/-._~", errors="replace")
    return quote(root, safe="/-._~", errors="replace") + "/" + place + suffix


def below_mount(wanted: str) -> str:
    """An address below the mount that was asked for, or "/" when it would lead out of it.

    Browsers and proxies take `..` away, also `%2e%2e` and behind a backslash: such a path, however
    often it is encoded, is no address of the dashboard.
    """
    if not _PATH.fullmatch(wanted):
        return "/"
    path = wanted.partition("?")[0]
    for _ in range(_DECODED):
        path, before = unquote(path), path
        if path == before:
            break
    else:
        return "/"
    if path.startswith("//") or not path.isprintable() or "\\" in path:
        return "/"
    return "/" if any(part in (".", "..") for part in path.split("/")) else wanted
