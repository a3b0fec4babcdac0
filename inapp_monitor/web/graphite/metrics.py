"""`/metrics/*`: finding series by patterns, in the formats of Graphite's clients."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote_plus

from werkzeug.wrappers import Response

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.globs import without_backslashes
from inapp_monitor.query.sources import FoundNode
from inapp_monitor.web.frame.routing import Route
from inapp_monitor.web.graphite.formats.binary import dump_msgpack, dump_pickle
from inapp_monitor.web.graphite.parameters import Parameters, json_answer

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from inapp_monitor.web.backend import Backend

_LEAF = {"allowChildren": 0, "expandable": 0, "leaf": 1}
_BRANCH = {"allowChildren": 1, "expandable": 1, "leaf": 0}
_QUOTED = re.compile("%[0-9a-fA-F]{2}")
#: Characters of a query: a variable may depend on another one of thousands of hosts.
_MAX_QUERY = 65_536


class _Found(NamedTuple):
    """What a find request is answered with.

    Attributes:
        nodes: Sorted by name.
        query: As it was asked.
        interval: From when to when the leaves have values.
    """

    nodes: Sequence[FoundNode]
    query: str
    parameters: Parameters
    interval: tuple[float, float]


def find(backend: Backend, request: Request) -> Response:
    """The nodes at one level of the tree.

    Raises:
        QueryError: no query, or a parameter that cannot be read.
    """
    parameters = Parameters(request)
    for name in ("leavesOnly", "local", "wildcards", "position", "automatic_variants"):
        parameters.integer(name)
    interval = _interval(backend, parameters)
    if "query" not in parameters:
        raise QueryError("parameter 'query' is missing")
    query = parameters.text("query")
    if not query:
        raise QueryError("parameter 'query' is empty")
    name = parameters.text("format", "treejson")
    writer = _FIND_FORMATS.get(name)
    if writer is None:
        raise QueryError(f"invalid value for 'format' parameter: one of {', '.join(_FIND_FORMATS)}")
    pattern = _completed(query, parameters) if name == "completer" else query
    backend.refresh()
    nodes = _found(backend, pattern)
    if parameters.integer("leavesOnly"):
        nodes = [node for node in nodes if node.is_leaf]
    nodes.sort(key=lambda node: node.name)
    response = writer(_Found(nodes, query, parameters, interval))
    response.headers["Cache-Control"] = "no-store"
    return response


def _found(backend: Backend, pattern: str) -> list[FoundNode]:
    if len(pattern) > _MAX_QUERY:
        raise QueryError(f"query has {len(pattern)} characters, at most {_MAX_QUERY} are allowed")
    return backend.source.find(without_backslashes(pattern))


def _interval(backend: Backend, parameters: Parameters) -> tuple[float, float]:
    """When the found series have values; what the store keeps ends now."""
    tz = parameters.zone(backend.loaded.settings.time_zone)
    now = int(backend.clock.wall())
    if "now" in parameters:
        now = parameters.moment("now", now, tz)
    for name in ("from", "until"):
        if name in parameters and parameters.text(name) != "-1":
            parameters.moment(name, now, tz)
    return 0.0, float(now)


def _completed(query: str, parameters: Parameters) -> str:
    """What the user has typed so far as a pattern."""
    pattern = query.replace("..", "*.")
    pattern = pattern if pattern.endswith("*") else f"{pattern}*"
    if parameters.integer("automatic_variants"):
        nodes = pattern.split(".")
        pattern = ".".join(f"{{{n}}}" if "," in n and "{" not in n else n for n in nodes)
    return pattern


def _write_tree(found: _Found) -> Response:
    base = found.query.rsplit(".", 1)[0] + "." if "." in found.query else ""
    # A series that others are below is a branch here, as in Graphite: it has to be opened.
    can_open = {node.name for node in found.nodes if not node.is_leaf}
    rows: list[dict[str, Any]] = []
    for kind, wanted in ((_BRANCH, True), (_LEAF, False)):
        names = dict.fromkeys(n.name for n in found.nodes if (n.name in can_open) is wanted)
        rows += [{"text": _shown(name), "id": base + name, **kind} for name in names]
    if len(found.nodes) > 1 and found.parameters.integer("wildcards"):
        kind = _LEAF if all(node.is_leaf for node in found.nodes) else _BRANCH
        rows.insert(0, {"text": "*", "id": f"{base}*", **kind})
    return json_answer(rows, found.parameters)


def _shown(name: str) -> str:
    """A node as it is read: a quoted name is unquoted, as in Graphite, `c++` is not."""
    return unquote_plus(name) if _QUOTED.search(name) else name


def _write_completer(found: _Found) -> Response:
    rows: list[dict[str, str]] = [
        {
            "path": node.path if node.is_leaf else f"{node.path}.",
            "name": node.name,
            "is_leaf": str(int(node.is_leaf)),
        }
        for node in found.nodes
    ]
    if len(rows) > 1 and found.parameters.integer("wildcards"):
        rows.append({"name": "*"})
    return json_answer({"metrics": rows}, found.parameters)


def _write_node_list(found: _Found) -> Response:
    position = found.parameters.integer("position", -1)
    names = set()
    for node in found.nodes:
        parts = node.path.split(".")
        if not -len(parts) <= position < len(parts):
            raise QueryError(f"parameter 'position': {node.path[:80]!r} has no node {position}")
        names.add(parts[position])
    return json_answer({"nodes": sorted(names)}, found.parameters)


def _write_json(found: _Found) -> Response:
    rows: list[dict[str, Any]] = []
    for node in sorted(found.nodes, key=lambda node: node.path):
        rows.append({"path": node.path, "is_leaf": node.is_leaf})
        if node.is_leaf:
            rows[-1]["intervals"] = [{"start": found.interval[0], "end": found.interval[1]}]
    return json_answer(rows, found.parameters)


def _plain(found: _Found) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for node in found.nodes:
        rows.append({"path": node.path, "is_leaf": node.is_leaf})
        if node.is_leaf:
            rows[-1]["intervals"] = [list(found.interval)]
    return rows


def _write_pickle(found: _Found) -> Response:
    body = dump_pickle(_plain(found))
    return Response(body, content_type="application/pickle")


def _write_msgpack(found: _Found) -> Response:
    body = dump_msgpack(_plain(found))
    return Response(body, content_type="application/x-msgpack")


_FIND_FORMATS: dict[str, Callable[[_Found], Response]] = {
    "treejson": _write_tree,
    "completer": _write_completer,
    "nodelist": _write_node_list,
    "json": _write_json,
    "pickle": _write_pickle,
    "msgpack": _write_msgpack,
}


def expand(backend: Backend, request: Request) -> Response:
    """The paths that one or more patterns stand for."""
    parameters = Parameters(request)
    leaves_only = bool(parameters.integer("leavesOnly"))
    backend.refresh()
    results = {}
    for query in parameters.texts("query"):
        nodes = _found(backend, query)
        results[query] = sorted({n.path for n in nodes if n.is_leaf or not leaves_only})
    answer: Any = results
    if not parameters.integer("groupByExpr"):
        answer = sorted({path for paths in results.values() for path in paths})
    return json_answer({"results": answer}, parameters)


def index(backend: Backend, request: Request) -> Response:
    """Every series, as a flat list."""
    backend.refresh()
    return json_answer(backend.source.index(), Parameters(request))


_BOTH = ("GET", "POST")
ROUTES = [
    Route("/metrics", find, _BOTH),
    Route("/metrics/", find, _BOTH),
    Route("/metrics/find", find, _BOTH),
    Route("/metrics/find/", find, _BOTH),
    Route("/metrics/expand", expand, _BOTH),
    Route("/metrics/expand/", expand, _BOTH),
    Route("/metrics/index.json", index, _BOTH),
]
