"""Short names of objects that frameworks put into every frame: a request, a response, an app.

Written out they would fill a frame's variables and say little about the failure. Known by the names
of their classes: no framework is imported, and no code of theirs or of the application's runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from inapp_monitor.issues.exception_tree import class_module, class_qualname

Attributes = Mapping[str, Any]


def short_text(cls: type, attributes: Attributes) -> str | None:
    """What stands for an object of a framework; None for all other objects.

    Args:
        cls: Its class; a subclass of the application's has the name of its own.
        attributes: Its instance dictionary.
    """
    for base in type.mro(cls) if cls is not type else ():
        describe = _KNOWN.get((class_module(base), class_qualname(base)))
        if describe is not None:
            about = describe(attributes)
            name = class_qualname(cls).rpartition(".")[2]
            return f"<{name} {about}>" if about else f"<{name}>"
    return None


def _django_request(attributes: Attributes) -> str:
    return _words(attributes.get("method"), attributes.get("path"))


def _environ_request(attributes: Attributes) -> str:
    environ = attributes.get("environ")
    if type(environ) is not dict:
        return ""
    path = _text(environ.get("SCRIPT_NAME")) + _text(environ.get("PATH_INFO"))
    return _words(environ.get("REQUEST_METHOD"), path)


def _flask(attributes: Attributes) -> str:
    return _words(attributes.get("import_name"))


def _status(attributes: Attributes) -> str:
    for name in ("_status", "status_code", "_status_code"):
        value = attributes.get(name)
        if type(value) is int or type(value) is str:
            return str(value)
    return ""


def _rule(attributes: Attributes) -> str:
    return _words(attributes.get("rule"))


def _named(attributes: Attributes) -> str:
    return _words(attributes.get("name"))


def _nothing(attributes: Attributes) -> str:  # noqa: ARG001
    return ""


def _text(value: object) -> str:
    return value[:200] if type(value) is str else ""


def _words(*values: object) -> str:
    return " ".join(filter(None, map(_text, values)))


_KNOWN: dict[tuple[str, str], Callable[[Attributes], str]] = {
    ("django.core.handlers.wsgi", "WSGIRequest"): _django_request,
    ("django.http.request", "HttpRequest"): _django_request,
    ("django.http.response", "HttpResponseBase"): _status,
    ("django.core.handlers.base", "BaseHandler"): _nothing,
    ("werkzeug.wrappers.request", "Request"): _environ_request,
    ("werkzeug.wrappers.response", "Response"): _status,
    ("werkzeug.routing.rules", "Rule"): _rule,
    ("werkzeug.routing.map", "Map"): _nothing,
    ("werkzeug.routing.map", "MapAdapter"): _nothing,
    ("flask.app", "Flask"): _flask,
    ("flask.ctx", "AppContext"): _nothing,
    ("flask.ctx", "RequestContext"): _nothing,
    ("flask.sansio.blueprints", "Blueprint"): _named,
    ("pyramid.request", "Request"): _environ_request,
    ("webob.request", "BaseRequest"): _environ_request,
    ("webob.response", "Response"): _status,
    ("pyramid.config", "Configurator"): _nothing,
    ("pyramid.registry", "Registry"): _nothing,
    ("bottle", "BaseRequest"): _environ_request,
    ("bottle", "Bottle"): _nothing,
    ("falcon.request", "Request"): _nothing,
    ("falcon.app", "App"): _nothing,
    ("jinja2.environment", "Environment"): _nothing,
    ("jinja2.environment", "Template"): _named,
    ("sqlalchemy.engine.base", "Engine"): _nothing,
    ("sqlalchemy.orm.session", "Session"): _nothing,
}
