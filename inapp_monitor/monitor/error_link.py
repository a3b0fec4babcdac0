"""On a development server: a note on the exception that leads from the error page, and from the
traceback in the terminal, to its issue (PEP 678; Flask's and Django's debug pages show notes).

Nowhere else is an exception of the application touched.
"""

from __future__ import annotations

from inapp_monitor.ground.development_server import is_development_server
from inapp_monitor.ground.process import late_imports
from inapp_monitor.request.wsgi_types import Environ


def is_wanted(environ: Environ | None) -> bool:
    """Whether a developer is looking."""
    return environ is not None and is_development_server(environ)


def add(error: BaseException, environ: Environ, mount: str, issue_id: str | None) -> None:
    """Note on an exception where its issue is."""
    if issue_id is None:
        return
    with late_imports.loading():
        from inapp_monitor.web.access import login_token

    place = str(environ.get("SCRIPT_NAME", "")) + mount
    note = f"inapp-monitor: {login_token.root_url(environ, place)}errors/{issue_id}"
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)
