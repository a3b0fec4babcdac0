"""What may be wrapped: a WSGI application. What people give by mistake is named at construction.

It must refuse nothing that a WSGI server could call (PEP 3333).
"""

from __future__ import annotations

import types

from inapp_monitor.ground.exceptions import ConfigError

_WRONG_KINDS: dict[type, str] = {
    type(None): "there is no application: does the function that makes it return it?",
    str: "that is a name: import the application and give the object",
    bytes: "that is a name: import the application and give the object",
    types.ModuleType: "that is a module: give the application in it",
}
_FLASK = "that is a Flask object: write app.wsgi_app = Monitor(app.wsgi_app) and go on using app"
_ASGI = (
    "that is an ASGI application, and only WSGI applications are watched: "
    "wrap the WSGI part of it, or run it through an adapter such as a2wsgi.ASGIMiddleware(app)"
)
_CLASS = "that is a class: give an object of it, such as {name}()"
_NO_CALLABLE = "it cannot be called: give the WSGI application, such as app.wsgi_app of Flask"
#: `inspect.CO_COROUTINE`, without loading inspect.
_COROUTINE = 0x80


def require_wsgi(app: object) -> None:
    """Refuse what is no WSGI application.

    Raises:
        ConfigError: with what was given, and what to write instead.
    """
    why = _fault_of(app)
    if why:
        raise ConfigError(f"app = {_shown(app)}: {why}")


def _shown(app: object) -> str:
    if isinstance(app, type):
        return app.__name__
    try:
        return f"{app!r:.60}"
    except Exception:  # noqa: BLE001  # an object of the application's
        return f"an object of {type(app).__name__}"


def _fault_of(app: object) -> str:
    kind = type(app)
    for wrong, why in _WRONG_KINDS.items():
        if isinstance(app, wrong):
            return why
    if isinstance(app, type):
        # PEP 3333 allows a class whose objects are the answer: then they can be iterated over.
        return "" if hasattr(app, "__iter__") else _CLASS.format(name=app.__name__)
    if not callable(app):
        return _NO_CALLABLE
    if any(
        getattr(c, "__module__", "") == "flask.app" and c.__name__ == "Flask" for c in kind.__mro__
    ):
        return _FLASK
    return _ASGI if _is_asgi(app) else ""


def _is_asgi(app: object) -> bool:
    """Whether calling it makes a coroutine, which no WSGI server could iterate over."""
    function = getattr(app, "__func__", app)
    code = getattr(function, "__code__", None)
    for kind in type(app).__mro__ if code is None else ():
        code = code or getattr(vars(kind).get("__call__"), "__code__", None)
    return isinstance(code, types.CodeType) and bool(code.co_flags & _COROUTINE)
