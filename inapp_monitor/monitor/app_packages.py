"""Which packages are the application's own, wherever they are installed.

An application that is installed as a package lies among the libraries; which one it is, is known
from the callable that is wrapped and from the module that made the monitor.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import FrameType, FunctionType
from typing import Any

#: Names under which middleware and frameworks keep the application that they call.
_INNER = ("__wrapped__", "app", "wsgi_app", "application", "wrapped")
MAX_LAYERS, MAX_HANDLERS = 20, 100
#: Packages that are never the application, though what is wrapped, or what imports the module
#: that makes the monitor, may be theirs.
_FRAMEWORKS = frozenset(
    (
        "inapp_monitor",
        "flask",
        "werkzeug",
        "django",
        "pyramid",
        "bottle",
        "falcon",
        "cherrypy",
        "webob",
        "quart",
        "starlette",
        "fastapi",
        "connexion",
        "dash",
        "a2wsgi",
        "asgiref",
        "gunicorn",
        "waitress",
        "cheroot",
        "gevent",
        "eventlet",
        "granian",
        "mod_wsgi",
        "whitenoise",
        "paste",
        "socketio",
        "engineio",
        "flask_socketio",
        "pytest",
        "_pytest",
        "__main__",
    )
)


def packages_of(app: object, made_in: str) -> tuple[str, ...]:
    """The application's packages: of the innermost application, of Django's settings and of the
    module that made the monitor.

    Args:
        app: What is wrapped; it is not called.
        made_in: The module that made the monitor.
    """
    modules = [made_in, *_modules(app)]
    if "django" in sys.modules:
        modules.append(os.environ.get("DJANGO_SETTINGS_MODULE", ""))
    return tuple(sorted({package for name in modules if (package := _package(name))}))


def static_folders(app: object) -> tuple[str, ...]:
    """Where the innermost application keeps the files that it hands out: of Flask and Django."""
    for _ in range(MAX_LAYERS):
        bound_to = _attribute(app, "__self__")
        app = app if bound_to is None else bound_to
        folder = _attribute(app, "static_folder")  # Flask, Quart
        if type(folder) is str:
            return (folder,)
        inner = _inner(app)
        if inner is None or inner is app:
            break
        app = inner
    settings = sys.modules.get("django.conf")
    folder = _attribute(_attribute(settings, "settings"), "STATIC_ROOT")
    return (str(folder),) if folder else ()


def maker() -> str:
    """The module that makes a monitor now: the innermost one that is not part of this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__")
        if type(name) is str and name.partition(".")[0] != "inapp_monitor":
            return name
        frame = frame.f_back
    return ""


def _modules(app: object) -> Iterator[str]:
    """The name of the module or package that the innermost application gives."""
    for _ in range(MAX_LAYERS):
        bound_to = _attribute(app, "__self__")
        if bound_to is not None:
            app = bound_to  # a method such as Flask's `wsgi_app`
        name = _attribute(app, "import_name")  # Flask, Quart
        if type(name) is not str:
            name = _attribute(_attribute(app, "registry"), "package_name")  # Pyramid
        if type(name) is str:
            yield name
            return
        inner = _inner(app)
        if inner is None or inner is app:
            break
        app = inner
    for part in (app, *_handlers(app)):
        name = _attribute(part, "__module__")
        if type(name) is str:
            yield name


def _handlers(app: object) -> Iterator[object]:
    """What an application object of a framework calls, where it says so."""
    routes = _attribute(app, "routes")  # Bottle
    if type(routes) is list:
        yield from (_attribute(route, "callback") for route in routes[:MAX_HANDLERS])
    apps = _attribute(app, "apps")  # the tree of CherryPy
    for mounted in (app, *(list(apps.values())[:MAX_HANDLERS] if type(apps) is dict else ())):
        yield _attribute(mounted, "root")
    nodes = _attribute(_attribute(app, "_router"), "_roots")  # Falcon has no public way
    nodes = list(nodes) if type(nodes) is list else []
    for node in nodes:
        yield _attribute(node, "resource")
        inner = _attribute(node, "children")
        nodes += inner if type(inner) is list and len(nodes) < MAX_HANDLERS else []


def _inner(app: object) -> Any:
    """What a middleware calls, None when it is none."""
    for name in _INNER:
        found = _attribute(app, name)
        if callable(found):
            return found
    if type(app) is FunctionType:  # made by a function that was given the application
        for name, cell in zip(app.__code__.co_freevars, app.__closure__ or (), strict=False):
            if name in _INNER:
                return _attribute(cell, "cell_contents")
    return None


def _attribute(of: object, name: str) -> Any:
    try:
        return getattr(of, name, None)
    except Exception:  # noqa: BLE001  # the application's own code, which may fail in any way
        return None


def _package(module: str) -> str:
    """The uppermost package of a module, an empty string for a framework's."""
    parts = module.split(".")
    if not parts[0] or parts[0] in _FRAMEWORKS or parts[0] in sys.stdlib_module_names:
        return ""
    for depth in range(1, len(parts)):
        name = ".".join(parts[:depth])
        if getattr(sys.modules.get(name), "__file__", None):
            return name  # a namespace package has none: it belongs to several distributions
    return module
