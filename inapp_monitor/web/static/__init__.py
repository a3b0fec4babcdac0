"""Stylesheet, script and icon: read once, served from memory by name, never from the disk."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from typing import NamedTuple

from werkzeug.wrappers import Request, Response

from inapp_monitor.web.charts import theme


class Asset(NamedTuple):
    """A file as it is sent; `version` is a digest of its bytes."""

    body: bytes
    mimetype: str
    version: str


_TYPES = {
    "monitor.css": "text/css",
    "monitor.js": "text/javascript",
    "theme.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


@cache
def assets() -> dict[str, Asset]:
    """All assets by name."""
    folder = resources.files(__package__)
    made = {}
    for name, mimetype in _TYPES.items():
        text = (folder / name).read_text("utf-8")
        if mimetype == "text/css":
            text = _variables() + text + theme.EMBEDDED
        body = text.encode("utf-8")
        made[name] = Asset(body, mimetype, hashlib.sha256(body).hexdigest()[:12])
    return made


def _variables() -> str:
    """Colours of the system's theme, of one that was chosen on the page, and of paper."""
    light = f"color-scheme:light;--bg:#f7f8fa;--acc:#2563a8;--on:#fff;{theme.LIGHT}"
    dark = f"color-scheme:dark;--bg:#12161c;--acc:#6aa9e9;--on:#10151b;{theme.DARK}"
    return (
        f":root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"
        f":root[data-theme=light]{{{light}}}:root[data-theme=dark]{{{dark}}}"
        f"@media print{{:root,:root[data-theme]{{{light};--bg:#fff}}}}"
    )


def version(name: str) -> str:
    """What makes an asset's address change with its contents."""
    return assets()[name].version


def answer(request: Request) -> Response | None:
    """The asset that a request asks for; None for any other address.

    Open to everybody: the login page needs them and they say nothing about the app.
    """
    folder, _, name = request.path.lstrip("/").partition("/")
    if folder != "static" or request.method not in ("GET", "HEAD"):
        return None
    asset = assets().get(name)
    if asset is None:
        return None
    response = Response(asset.body, mimetype=asset.mimetype)
    known = request.args.get("v") == asset.version
    lasting = "private, max-age=31536000, immutable"
    response.headers["Cache-Control"] = lasting if known else "no-cache"
    response.set_etag(asset.version)
    return response.make_conditional(request)
