"""`/tags/*`: tagged series, for editors and variables, and their registration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.exceptions import MethodNotAllowed
from werkzeug.wrappers import Response

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.patterns import Pattern
from inapp_monitor.query.tagged import TagExpression, parse_tags, select
from inapp_monitor.web.frame.routing import Route
from inapp_monitor.web.graphite.parameters import Parameters, json_answer
from inapp_monitor.web.kept.process_state import process_state

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from inapp_monitor.web.backend import Backend

#: Most completions of an answer unless the client names a limit.
_COMPLETIONS = 100
#: Addresses below `/tags` that are no tags: they answer POST only.
_ACTIONS = ("tagSeries", "tagMultiSeries", "delSeries")


def _paths(backend: Backend) -> list[str]:
    """Every tagged name; registration is looked up first."""
    process_state(backend)  # gives the source the registered names
    backend.refresh()
    return backend.source.tagged()


def _filtered(names: Iterable[str], pattern: str, limit: int) -> list[str]:
    """Sorted names that begin with what a pattern matches; at most `limit`, 0 for all."""
    found = sorted(names)
    if pattern:
        compiled = Pattern(pattern, at_start=True)
        found = [name for name in found if compiled.search(name)]
    return found[: limit or None]


def _limit(parameters: Parameters, default: int) -> int:
    limit = parameters.integer("limit", default)
    if limit < 0:
        raise QueryError("parameter 'limit' must not be negative")
    return limit


def list_tags(backend: Backend, request: Request) -> Response:
    """All tags."""
    parameters = Parameters(request)
    names = {tag for path in _paths(backend) for tag in parse_tags(path) or ()}
    numbers = {name: i for i, name in enumerate(sorted(names), 1)}
    shown = _filtered(names, parameters.text("filter"), _limit(parameters, 0))
    return json_answer([{"id": numbers[name], "tag": name} for name in shown], parameters)


def get_tag(backend: Backend, request: Request, tag: str) -> Response:
    """The values of one tag, with the number of series of each."""
    if tag in _ACTIONS:
        raise MethodNotAllowed(["POST"])
    parameters = Parameters(request)
    counts = _values(_paths(backend), tag)
    if not counts:
        return json_answer(None, parameters)
    numbers = {value: i for i, value in enumerate(sorted(counts), 1)}
    shown = _filtered(counts, parameters.text("filter"), _limit(parameters, 0))
    values = [{"id": numbers[v], "value": v, "count": counts[v]} for v in shown]
    return json_answer({"id": 1, "tag": tag, "values": values}, parameters)


def _values(paths: Iterable[str], tag: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for path in paths:
        tags = parse_tags(path) or {}
        if tag in tags:
            counts[tags[tag]] += 1
    return counts


def find_series(backend: Backend, request: Request) -> Response:
    """The names of the series that fulfil all expressions.

    Raises:
        QueryError: none is given, or one is malformed.
    """
    parameters = Parameters(request)
    expressions = parameters.texts("expr")
    if not expressions:
        raise QueryError("no tag expressions specified")
    return json_answer(select(expressions, _paths(backend)), parameters)


def complete_tags(backend: Backend, request: Request) -> Response:
    """Tags that begin with `tagPrefix`, of the series that fulfil the expressions so far."""
    parameters = Parameters(request)
    expressions = parameters.texts("expr")
    paths = _paths(backend)
    used = {TagExpression(expression).tag for expression in expressions}
    if expressions:
        paths = select(expressions, paths)
    names = {tag for path in paths for tag in parse_tags(path) or ()} - used
    prefix = parameters.text("tagPrefix")
    found = sorted(name for name in names if name.startswith(prefix))
    return json_answer(found[: _limit(parameters, _COMPLETIONS)], parameters)


def complete_values(backend: Backend, request: Request) -> Response:
    """Values of a tag that begin with `valuePrefix`.

    Raises:
        QueryError: no tag is given.
    """
    parameters = Parameters(request)
    tag = parameters.text("tag")
    if not tag:
        raise QueryError("no tag specified")
    expressions = parameters.texts("expr")
    paths = _paths(backend)
    if expressions:
        paths = select([*expressions, f"{tag}!="], paths)
    prefix = parameters.text("valuePrefix")
    found = sorted(value for value in _values(paths, tag) if value.startswith(prefix))
    return json_answer(found[: _limit(parameters, _COMPLETIONS)], parameters)


def tag_series(backend: Backend, request: Request) -> Response:
    """Register one series.

    Raises:
        QueryError: no path, or not a tagged name.
    """
    parameters = Parameters(request)
    path = parameters.text("path")
    if not path:
        raise QueryError("no path specified")
    return json_answer(process_state(backend).tags.add([path])[0], parameters)


def tag_multi_series(backend: Backend, request: Request) -> Response:
    """Register several series.

    Raises:
        QueryError: no path, or not a tagged name.
    """
    parameters = Parameters(request)
    return json_answer(process_state(backend).tags.add(_given_paths(parameters)), parameters)


def del_series(backend: Backend, request: Request) -> Response:
    """Forget registered series; their values stay.

    Raises:
        QueryError: no path, or not a tagged name.
    """
    parameters = Parameters(request)
    process_state(backend).tags.remove(_given_paths(parameters))
    return json_answer(True, parameters)


def _given_paths(parameters: Parameters) -> list[str]:
    paths = parameters.texts("path")
    if not paths:
        raise QueryError("no path specified")
    return paths


_BOTH = ("GET", "POST")
ROUTES = [
    Route("/tags", list_tags),
    Route("/tags/<tag>", get_tag),
    Route("/tags/findSeries", find_series, _BOTH),
    Route("/tags/autoComplete/tags", complete_tags, _BOTH),
    Route("/tags/autoComplete/values", complete_values, _BOTH),
    Route("/tags/tagSeries", tag_series, ("POST",), changes_state=True),
    Route("/tags/tagMultiSeries", tag_multi_series, ("POST",), changes_state=True),
    Route("/tags/delSeries", del_series, ("POST",), changes_state=True),
]
