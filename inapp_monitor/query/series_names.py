"""Parts of names: nodes, tags, and the first path inside a name that is a call. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from inapp_monitor.query.grammar import first_path
from inapp_monitor.query.series import Series


def node_or_tag(series: Series, node: int | str, name: str) -> str:
    """Node number `node` of `name`, or the tag called so; empty when there is neither."""
    if isinstance(node, int):
        nodes = name.split(";", 1)[0].split(".")
        if -len(nodes) <= node < len(nodes):
            return nodes[node]
    return series.tags.get(str(node), "")


def key_of(series: Series, nodes: Sequence[int | str]) -> str:
    """Some nodes and tags of a series joined by dots: what it is grouped by."""
    name = series.name
    if name.endswith(")"):
        name = first_path(name) or name
    return ".".join(node_or_tag(series, node, name) for node in nodes)


def grouped(series_list: Iterable[Series], nodes: Sequence[int | str]) -> dict[str, list[Series]]:
    """Series by key, keys in order of appearance."""
    groups: dict[str, list[Series]] = {}
    for series in series_list:
        groups.setdefault(key_of(series, nodes), []).append(series)
    return groups


def joined_paths(series_list: Iterable[Series]) -> str:
    """The distinct path expressions, joined by commas: how an aggregate is named."""
    return ",".join(dict.fromkeys(s.path_expression for s in series_list))


def python_number(value: float) -> str:
    """A value as Python writes it; null is `None`."""
    if value != value:
        return "None"
    return repr(float(value))
