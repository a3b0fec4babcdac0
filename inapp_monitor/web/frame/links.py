"""Addresses below the mount: quoted, relative to this host, with the state of the page in them."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote, urlencode


def address(root: str, path: str, query: Iterable[tuple[str, str]] = ()) -> str:
    """A link to `path` below the mount; it cannot leave this host.

    Args:
        root: The mount as the request saw it, "" at the top.
        path: Starts with one slash; quoted here.
        query: Parameters; those with an empty value are left out.
    """
    given = [(name, value) for name, value in query if value != ""]
    suffix = f"?{urlencode(given)}" if given else ""
    return quote(root, safe="/-._~") + "/" + quote(path.lstrip("/"), safe="/-._~") + suffix
