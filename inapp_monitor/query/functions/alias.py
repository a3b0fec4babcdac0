"""Functions that rename (Graphite's group Alias)."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.aggregation import AGGREGATIONS, aggregate
from inapp_monitor.query.patterns import Pattern
from inapp_monitor.query.registry import Param, function, series_list
from inapp_monitor.query.series import Series
from inapp_monitor.query.series_names import key_of, python_number
from inapp_monitor.query.units import format_units

if TYPE_CHECKING:
    from inapp_monitor.query.context import Context

_GROUP = "Alias"
#: A format that fills up to a thousand characters and more, whatever the value.
_WIDE = re.compile(r"%[-+ #0]*(\d{4}|\d*\.\d{4})")
_SEARCH = Param("search", "string", required=True)
_REPLACE = Param("replace", "string", required=True)
_NODES = Param("nodes", "nodeOrTag", required=True, multiple=True, lenient=True)
_TAGS = Param("tags", "nodeOrTag", required=True, multiple=True, lenient=True)
_WHOLE_NUMBER = re.compile(r"(%[-+ #0-9.]*)[diu]")
_POSITIONS = Param("pos", "integer", multiple=True)


@function("alias", _GROUP, series_list(), Param("newName", "string", required=True))
def alias(series: list[Series], new_name: str) -> list[Series]:
    """Show the series under a name of your own."""
    return [s.renamed(new_name) for s in series]


@function("aliasSub", _GROUP, series_list(), _SEARCH, _REPLACE)
def alias_sub(series: list[Series], search: str, replace: str) -> list[Series]:
    """Replace what a regular expression finds in each name; `\\1` stands for its first group."""
    pattern = Pattern(search)
    return [s.renamed(pattern.sub(replace, s.name)) for s in series]


@function("aliasByNode", _GROUP, series_list(), _NODES)
def alias_by_node(series: list[Series], *nodes: int | str) -> list[Series]:
    """Name each series by some nodes of its path, counted from 0, or by its tags."""
    return [s.renamed(key_of(s, nodes)) for s in series]


@function("aliasByTags", _GROUP, series_list(), _TAGS)
def alias_by_tags(series: list[Series], *tags: int | str) -> list[Series]:
    """Name each series by the values of some of its tags."""
    return alias_by_node(series, *tags)


@function("aliasByMetric", _GROUP, series_list())
def alias_by_metric(series: list[Series]) -> list[Series]:
    """Name each series by the last node of its path."""
    return [s.renamed(cut_name(s.name, -1, 0)) for s in series]


def cut_name(name: str, start: int, stop: int) -> str:
    """Nodes `start` to `stop` (0: the end) of the path inside the innermost brackets of a name."""
    left = name.rfind("(") + 1
    right = name.find(")")
    inside = name[left : right if right >= 0 else len(name) + 1]
    nodes = inside.split(".")
    return ".".join(nodes[start:] if stop == 0 else nodes[start:stop]).split(",", 1)[0]


@function("aliasQuery", _GROUP, series_list(), _SEARCH, _REPLACE, Param("newName", "string", True))
def alias_query(
    context: Context, series: list[Series], search: str, replace: str, new_name: str
) -> list[Series]:
    """Name each series by the last value of another one, which its changed name selects."""
    if _WIDE.search(new_name):
        raise QueryError("parameter 'newName' asks for too many characters")
    pattern = Pattern(search)
    made = []
    for s in series:
        query = pattern.sub(replace, s.name)
        found = context.evaluate_text(query)
        if not found:
            raise QueryError(f"no series found with query {query[:80]!r}")
        last = aggregate("last", found[0].values)
        if last != last:
            raise QueryError(f"series {found[0].name[:80]!r} has no last value")
        # An infinite value is no whole number, which `%d` asks for.
        shown = new_name if math.isfinite(last) else _WHOLE_NUMBER.sub(r"\1f", new_name)
        try:
            made.append(s.renamed(shown % last))
        except (TypeError, ValueError) as error:
            raise QueryError(f"parameter 'newName' cannot be formatted: {error}") from None
    return made


@function(
    "legendValue",
    _GROUP,
    series_list(),
    Param(
        "valuesTypes", "string", multiple=True, options=(*AGGREGATIONS, "si", "binary"),
        required=True,
    ),
)  # fmt: skip
def legend_value(series: list[Series], *value_types: str) -> list[Series]:
    """Append values such as `last`, `max` or `avg` to each name; `si` or `binary` adds units."""
    system = value_types[-1] if value_types[-1] in ("si", "binary") else None
    wanted = value_types[:-1] if system else value_types
    made = []
    for s in series:
        texts = {kind: _legend_text(s, kind, system) for kind in dict.fromkeys(wanted)}
        name = f"{s.name:<20}" if system and wanted else s.name
        made.append(s.renamed(name + "".join([texts[kind] for kind in wanted])))
    return made


def _legend_text(series: Series, kind: str, system: str | None) -> str:
    """One value as it is appended to a name."""
    text = "(?)"
    if kind in AGGREGATIONS:
        value = aggregate(kind, series.values)
        if system is None:
            text = python_number(value)
            if series.whole or kind == "count":
                text = text.removesuffix(".0")
        else:
            text = "None" if value != value else "%.2f%s" % format_units(value, system)  # noqa: UP031
    return f" ({kind}: {text})" if system is None else f"{kind:<5}{text:<10}"


@function("lower", _GROUP, series_list(), _POSITIONS)
def lower(series: list[Series], *positions: int) -> list[Series]:
    """Names in lower case, or only their characters at some positions."""
    return [s.renamed(_change_case(s.name, positions, str.lower)) for s in series]


@function("upper", _GROUP, series_list(), _POSITIONS)
def upper(series: list[Series], *positions: int) -> list[Series]:
    """Names in upper case, or only their characters at some positions."""
    return [s.renamed(_change_case(s.name, positions, str.upper)) for s in series]


def _change_case(name: str, positions: tuple[int, ...], change: object) -> str:
    assert callable(change)
    if not positions:
        return str(change(name))
    characters = list(name)
    for position in positions:
        if -len(characters) <= position < len(characters):
            characters[position] = change(characters[position])
    return "".join(characters)
