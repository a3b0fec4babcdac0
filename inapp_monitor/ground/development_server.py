"""Servers that exist for development only: how they call themselves. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Flask's, werkzeug's, Django's and wsgiref's.
_SERVERS = ("Werkzeug/", "WSGIServer/")


def is_development_server(environ: Mapping[str, Any]) -> bool:
    """Whether the server calls itself one."""
    return str(environ.get("SERVER_SOFTWARE", "")).startswith(_SERVERS)
