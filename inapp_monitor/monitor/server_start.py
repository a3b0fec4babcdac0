"""When a development server begins to serve a monitored application: its dashboard's address.

Their classes (werkzeug's, which `flask run` uses too, wsgiref's and with it Django's) begin with
`serve_forever`, which is wrapped as soon as a monitor is made beside a loaded one; wsgiref's is
loaded for that where the program that makes the monitor imports it further down. Servers for
production never call it. Which application a server has is found by the attributes in which
frameworks and middlewares keep what they wrap; where it is not found, nothing is shown, and the
first request shows it, as everywhere.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
import types
import weakref
from collections.abc import Iterator
from typing import Any, Final, Protocol

from inapp_monitor.ground.process import late_imports
from inapp_monitor.monitor.core import Core

_WSGIREF: Final = "wsgiref.simple_server"
_SERVERS: Final = (("werkzeug.serving", "BaseWSGIServer"), (_WSGIREF, "WSGIServer"))
#: Where applications keep the one that they wrap.
_WRAPPED: Final = ("wsgi_app", "app", "application", "_app")
#: Applications within applications that are looked at.
_MOST: Final = 50
_MARK = "_inapp_monitor_shows_address"


class Served(Protocol):
    """A monitor."""

    _core: Core


_monitors: weakref.WeakSet[Any] = weakref.WeakSet()


def watch(monitor: object) -> None:
    """Show the dashboard's address when a server that is loaded begins to serve this monitor."""
    _monitors.add(monitor)
    if _WSGIREF not in sys.modules and _will_import_wsgiref():
        with contextlib.suppress(Exception), late_imports.loading():
            importlib.import_module(_WSGIREF)
    for module, name in _SERVERS:
        server = getattr(sys.modules.get(module), name, None)
        if server is not None and not hasattr(server.serve_forever, _MARK):
            server.serve_forever = _showing(server.serve_forever)


def _will_import_wsgiref() -> bool:
    """Whether the program that is starting, or a function of it, imports wsgiref's server."""
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") == "__main__":
            code = frame.f_code
            functions = [each for each in code.co_consts if type(each) is types.CodeType]
            names = {name for each in (code, *functions) for name in each.co_names}
            if not names.isdisjoint((_WSGIREF, "simple_server")):
                return True
        frame = frame.f_back
    return False


def _showing(serve_forever: Any) -> Any:
    @functools.wraps(serve_forever)
    def serve(server: Any, *arguments: Any, **options: Any) -> Any:
        for monitor in _served_by(server):
            _show(monitor._core, server)
        return serve_forever(server, *arguments, **options)

    setattr(serve, _MARK, True)
    return serve


def _served_by(server: Any) -> Iterator[Any]:
    """The monitors that wrap the server's application, or are wrapped in it."""
    waiting = [_attributes(server).get("app") or _attributes(server).get("application")]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST:
        app = waiting.pop()
        if type(app) is types.MethodType:  # no code of the application may run here
            app = app.__self__
        if app is None or id(app) in seen:
            continue
        seen.add(id(app))
        if any(app is monitor for monitor in _monitors):
            yield app
        else:
            attributes = _attributes(app)
            waiting += [attributes.get(name) for name in _WRAPPED]


def _attributes(thing: object) -> dict[str, Any]:
    """Those of the object itself: asking for others might run code of the application."""
    try:
        found = object.__getattribute__(thing, "__dict__")
    except AttributeError:
        return {}
    return found if type(found) is dict else {}


def _show(core: Core, server: Any) -> None:
    try:
        address = server.server_address
        if not isinstance(address, tuple):
            return  # a Unix socket
        is_encrypted = getattr(server, "ssl_context", None) is not None
        facts = {
            "SERVER_NAME": str(address[0]),
            "SERVER_PORT": str(address[1]),
            "wsgi.url_scheme": "https" if is_encrypted else "http",
        }
        with late_imports.loading():
            from inapp_monitor.web.access import login_token
        url = login_token.root_url(facts, core.settings.mount)
        if core.authorizer is not None:
            login_token.announce_address(url)
        else:
            token = login_token.obtain(core.settings, core.guard)
            login_token.announce(token, url, at_each_start=True)
            if token.source == "setting":
                login_token.announce_address(url)
        login_token.keep_address(core.settings.data_dir, url, core.guard)
    except Exception as error:  # noqa: BLE001  # the monitor's own
        core.guard.failed("address at start", error)
