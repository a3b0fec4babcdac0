"""Functions that sort series into groups and combine each (Graphite's group Combine)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.functions.combine import combined
from inapp_monitor.query.registry import FUNCTIONS, Groups, Param, function, series_list
from inapp_monitor.query.series import Series
from inapp_monitor.query.series_names import grouped
from inapp_monitor.query.tagged import parse_tags

if TYPE_CHECKING:
    from inapp_monitor.query.context import Context

_GROUP = "Combine"
_CALLBACK = Param("callback", "aggOrSeriesFunc", required=True)


def _called_back(context: Context, callback: str, series: list[Series], key: str) -> Series:
    if callback in FUNCTIONS:
        result = context.call(callback, series)
    else:
        result = combined(context, series, callback)
    if not result:
        raise QueryError(f"callback {callback!r} made no series of group {key!r}")
    return result[0]


@function(
    "groupByNode",
    _GROUP,
    series_list(),
    Param("nodeNum", "nodeOrTag", required=True),
    Param("callback", "aggOrSeriesFunc", default="average"),
)
def group_by_node(
    context: Context, series: list[Series], node: int | str, callback: str = "average"
) -> list[Series]:
    """Combine the series that have the same node at a position (or the same value of a tag)."""
    return group_by_nodes(context, series, callback, node)


@function(
    "groupByNodes", _GROUP, series_list(), _CALLBACK, Param("nodes", "nodeOrTag", multiple=True)
)
def group_by_nodes(
    context: Context, series: list[Series], callback: str, *nodes: int | str
) -> list[Series]:
    """Combine the series that have the same nodes at some positions (or the same tag values)."""
    return [
        _called_back(context, callback, group, key).renamed(key)
        for key, group in grouped(series, nodes).items()
    ]


@function(
    "groupByTags",
    _GROUP,
    series_list(),
    _CALLBACK,
    Param("tags", "tag", required=True, multiple=True),
)
def group_by_tags(
    context: Context, series: list[Series], callback: str, *tags: str
) -> list[Series]:
    """Combine the series that have the same values of some tags."""
    names = {s.tags.get("name", "") for s in series}
    shared = next(iter(names)) if len(names) == 1 else callback
    groups: dict[str, list[Series]] = {}
    for s in series:
        name = s.tags.get("name", "") if "name" in tags else shared
        rest = sorted(f"{tag}={s.tags.get(tag, '')}" for tag in tags if tag != "name")
        groups.setdefault(";".join([name, *rest]), []).append(s)
    made = []
    for key, group in groups.items():
        result = _called_back(context, callback, group, key)
        parsed = parse_tags(key)
        if parsed is None:
            raise QueryError(f"group {key[:80]!r} lacks the value of a tag")
        made.append(result.derive(key))
        made[-1].tags = parsed
    return made


@function(
    "mapSeries",
    _GROUP,
    series_list(),
    Param("mapNodes", "nodeOrTag", required=True, multiple=True, lenient=True),
    also=("map",),
)
def map_series(series: list[Series], *nodes: int | str) -> Groups:
    """Make a list of lists, one for each node at a position: the input of reduceSeries."""
    return Groups(list(grouped(series, nodes).values()))


@function(
    "reduceSeries",
    _GROUP,
    Param("seriesLists", "seriesLists", required=True),
    Param("reduceFunction", "string", required=True),
    Param("reduceNode", "node", required=True),
    Param("reduceMatchers", "string", required=True, multiple=True, lenient=True),
    also=("reduce",),
)
def reduce_series(
    context: Context, lists: list[list[Series]], name: str, node: int, *matchers: str
) -> list[Series]:
    """Call a function once for each list, its arguments picked by a node of their names."""
    target = FUNCTIONS.get(name)
    if target is None:
        raise QueryError(f"unknown function {name!r}")
    picked: dict[str, list[Series | None]] = {}
    for each in lists:
        for s in each:
            nodes = s.name.split(".")
            if not -len(nodes) <= node < len(nodes):
                raise QueryError(f"series {s.name[:80]!r} has no node {node}")
            if nodes[node] in matchers:
                key = ".".join(nodes[0:node]) + ".reduce." + name
                row = picked.setdefault(key, [None] * len(matchers))
                row[matchers.index(nodes[node])] = s
    made = []
    for key, row in picked.items():
        if any(s is None for s in row):
            missing = [m for m, s in zip(matchers, row, strict=True) if s is None]
            raise QueryError(f"group {key[:80]!r} has no series for {', '.join(missing)[:80]}")
        result = context.call_with(name, [[s] for s in row if s is not None])
        if not result:
            raise QueryError(f"{name} made no series of {key[:80]!r}")
        made.append(result[0].renamed(key))
    return made


@function(
    "applyByNode",
    _GROUP,
    series_list(),
    Param("nodeNum", "node", required=True),
    Param("templateFunction", "string", required=True),
    Param("newName", "string"),
)
def apply_by_node(
    context: Context, series: list[Series], node: int, template: str, new_name: str | None = None
) -> list[Series]:
    """Evaluate a target once for each distinct prefix of the names; `%` stands for the prefix."""
    prefixes = set()
    for s in series:
        nodes = s.name.split(".")
        if node >= len(nodes):
            raise QueryError(f"series {s.name[:80]!r} has no node {node}")
        prefixes.add(".".join(nodes[: node + 1]))
    longest = context.request.limits.target_length
    made = []
    for prefix in sorted(prefixes):
        for pattern in (template, new_name or ""):  # before it is made
            if len(pattern) + pattern.count("%") * len(prefix) > longest:
                raise QueryError("the target or name that it makes is too long")
        for result in context.evaluate_text(template.replace("%", prefix)):
            name = new_name.replace("%", prefix) if new_name else result.name
            last = series[-1]
            made.append(result.derive(name, path_expression=prefix, start=last.start, end=last.end))
    return made
