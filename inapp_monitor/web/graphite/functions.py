"""`/functions`: what an editor of targets needs to know, from the registry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Response

from inapp_monitor.query.registry import FUNCTIONS
from inapp_monitor.web.frame.routing import Route
from inapp_monitor.web.graphite.parameters import Parameters, script_answer

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from inapp_monitor.web.backend import Backend

#: How pies sum a series up; pies themselves are not drawn.
_PIE = {
    "average": "The average of the values.",
    "maximum": "The largest value.",
    "minimum": "The smallest value.",
}


def _described(parameters: Parameters) -> dict[str, dict[str, Any]]:
    if parameters.text("type") != "pie":
        return {name: f.to_json() for name, f in sorted(FUNCTIONS.items())}
    return {
        name: {
            "name": name,
            "function": f"{name}(series)",
            "description": description,
            "module": __name__,
            "group": "Pie",
            "params": [{"name": "series", "type": "series", "required": True}],
        }
        for name, description in _PIE.items()
    }


def list_functions(_backend: Backend, request: Request) -> Response:
    """All functions, or those of a `group`; `grouped=1` puts them into groups."""
    parameters = Parameters(request)
    group = parameters.text("group")
    found = {
        name: described
        for name, described in _described(parameters).items()
        if not group or described["group"] == group
    }
    if parameters.text("grouped").lower() not in ("1", "true"):
        return _answer(found, parameters)
    grouped: dict[str, dict[str, Any]] = {}
    for name, described in found.items():
        grouped.setdefault(described["group"], {})[name] = described
    return _answer(grouped, parameters)


def get_function(_backend: Backend, request: Request, name: str) -> Response:
    """One function; 404 when there is none."""
    parameters = Parameters(request)
    described = _described(parameters).get(name)
    if described is None:
        return _answer({"error": f"Function not found: {name[:80]}"}, parameters, 404)
    return _answer(described, parameters)


def _answer(value: Any, parameters: Parameters, status: int = 200) -> Response:
    """JSON in which an infinite default is 1e9999, as Graphite writes it."""
    text = json.dumps(value, indent=2 if parameters.text("pretty") else None)
    text = text.replace('"default": Infinity', '"default": 1e9999')
    return script_answer(text, parameters, status)


ROUTES = [
    Route("/functions", list_functions),
    Route("/functions/", list_functions),
    Route("/functions/<name>", get_function),
]
