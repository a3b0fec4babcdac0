"""On a development server: a note on the exception that leads from the error page, and from the
traceback in the terminal, to its issue (PEP 678; Flask's and Django's debug pages show notes).

Nowhere else is an exception of the application touched.
"""

from __future__ import annotations

from inapp_monitor.ground.development_server import is_development_server
from inapp_monitor.ground.process import late_imports
from inapp_monitor.request.wsgi_types import Environ

_THIS_MACHINE = frozenset(("localhost", "127.0.0.1", "::1"))


def is_wanted(environ: Environ | None) -> bool:
    """Whether a developer is looking."""
    return environ is not None and is_development_server(environ)


def add(error: BaseException, environ: Environ, mount: str, issue_id: str | None) -> None:
    """Note on an exception where its issue is."""
    if issue_id is None:
        return
    note = f"inapp-monitor: {_root_url(environ, mount)}errors/{issue_id}"
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)


def _root_url(environ: Environ, mount: str) -> str:
    """The dashboard's address by the name of this machine under which the browser knows it: to a
    browser `localhost` and `127.0.0.1` are two sites, and the session belongs to one of them.
    """
    with late_imports.loading():
        from inapp_monitor.web.access import login_token, origin

    place = str(environ.get("SCRIPT_NAME", "")) + mount
    if origin.host_name(environ) in _THIS_MACHINE:
        scheme = "https" if environ.get("wsgi.url_scheme") == "https" else "http"
        return f"{scheme}://{environ['HTTP_HOST']}{place}/"
    return login_token.root_url(environ, place)
