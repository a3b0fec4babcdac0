"""What a server hands an application of a request: the one place where tests make it."""

from __future__ import annotations

import io
from typing import Any

Environ = dict[str, Any]


def environ_of(path: str = "/", method: str = "GET", **more: Any) -> Environ:
    """A complete environ that `wsgiref.validate` accepts; `more` is added, or put in its place."""
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(b"sent"),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **more,
    }
