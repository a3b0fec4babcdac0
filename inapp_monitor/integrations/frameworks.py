"""Connects the frameworks that are loaded in a process, by one file of this folder for each.

Each file can be deleted alone. It is loaded only when its framework is, uses only that framework's
public hooks (where it cannot, it says so), and writes what it learns into the request's `Exchange`.
It must not know the monitor.

A file may offer:
    install(app) -> None            connect hooks; called more than once, with any application
    shortcut_for(app)               where the route of each request to this application lies
    route_of(exchange) -> object    the route, asked inside start_response
    route_of_body(exchange, body)   the route, asked with what the application returned
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from inapp_monitor.ground.exceptions import ConfigError
from inapp_monitor.ground.guard import Guard
from inapp_monitor.request.exchange import BodyAsker, RouteAsker, Shortcut
from inapp_monitor.request.wsgi_types import Environ

#: Framework's top-level module to the file here.
FRAMEWORKS = {
    "werkzeug": "werkzeug",
    "flask": "flask",
    "django": "django",
    "pyramid": "pyramid",
    "bottle": "bottle",
    "falcon": "falcon",
    "cherrypy": "cherrypy",
}


def unwrap(app: object) -> object:
    """The framework's application object behind a WSGI callable: `app.wsgi_app` is Flask's app."""
    return getattr(app, "__self__", app)


class ConnectedFrameworks:
    """The frameworks that are loaded in this process and how to ask them.

    Attributes:
        shortcut, route_askers, body_askers: See `exchange.Hooks`; the latter two grow when a
            framework is loaded.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._modules: dict[str, ModuleType] = {}
        self.shortcut: Shortcut | None = None
        self.route_askers: list[RouteAsker] = []
        self.body_askers: list[BodyAsker] = []

    def refresh(self, app: object) -> None:
        """Connect the frameworks that have been loaded by now."""
        for framework, name in FRAMEWORKS.items():
            if framework in sys.modules:
                try:
                    self._connect(framework, name, unwrap(app))
                except Exception as error:  # noqa: BLE001  # a framework of another shape
                    self._guard.failed(f"{framework} integration", error)

    def _connect(self, framework: str, name: str, app: object) -> None:
        module: Any = self._modules.get(framework)
        if module is None:
            try:
                module = importlib.import_module(f"{__package__}.{name}")
            except ModuleNotFoundError as error:
                if error.name != f"{__package__}.{name}":
                    raise
                return  # this file has been deleted: nobody wants it
            self._modules[framework] = module
            if hasattr(module, "route_of"):
                self.route_askers.append(module.route_of)
            if hasattr(module, "route_of_body"):
                self.body_askers.append(module.route_of_body)
        if hasattr(module, "install"):
            module.install(app)
        if hasattr(module, "shortcut_for"):
            self.shortcut = self.shortcut or module.shortcut_for(app)


def asker(route: Callable[[Environ], str | None] | Iterable[str]) -> RouteAsker:
    """What users give as `route=`, as the request path asks it: a callable or templates.

    Raises:
        ConfigError: neither a callable nor templates.
    """
    if callable(route):
        ask = route
        return lambda exchange: ask(exchange.environ or {})
    from inapp_monitor.request.route_templates import by_path

    try:
        return by_path(route)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"route: {error}") from None


def connect(app: object, guard: Guard) -> ConnectedFrameworks:
    """Connect the frameworks that are loaded; none of it starts anything."""
    connected = ConnectedFrameworks(guard)
    connected.refresh(app)
    return connected
