"""What a munin-node says: configuration of graphs, their values, ranges. Pure.

The protocol is that of Munin 2 (https://guide.munin-monitoring.org/en/latest/master/
network-protocol.html): one command a line, answers of several lines end with a lone dot.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

#: Types of a field that Munin keeps as a rate by the second.
RATES: Final = frozenset(("DERIVE", "COUNTER", "ABSOLUTE"))
MAX_TEXT = 200
_ATTRIBUTE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\.([A-Za-z_]+)\s+(.*)", re.ASCII)
_OPTION = re.compile(r"(graph_[a-z_]+|host_name)\s+(.*)", re.ASCII)
_BANNER = re.compile(r"#\s*munin node at\s+(\S+)", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)


class Range(NamedTuple):
    """Where a value is as it should be; None where there is no limit."""

    low: float | None
    high: float | None

    def holds(self, value: float) -> bool:
        """Whether a value is within."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


@dataclass(slots=True)
class Field:
    """One series of a graph, as `config` describes it."""

    label: str = ""
    kind: str = "GAUGE"
    info: str = ""
    low: float | None = None
    high: float | None = None
    warning: Range | None = None
    critical: Range | None = None


@dataclass(slots=True)
class Graph:
    """One graph of a plugin.

    Attributes:
        name: Of the plugin, or `plugin.graph` where a plugin has several.
        unit: What the vertical axis says.
    """

    name: str
    title: str = ""
    unit: str = ""
    category: str = ""
    fields: dict[str, Field] = field(default_factory=dict)


class Value(NamedTuple):
    """What `fetch` says of a field; None where it does not know (`U`)."""

    graph: str
    field: str
    value: float | None


def node_name(banner: str) -> str:
    """The name in a node's greeting; "" when it is none."""
    found = _BANNER.match(banner)
    return found[1] if found is not None else ""


def parse_config(plugin: str, lines: Iterable[str]) -> list[Graph]:
    """The graphs of a plugin, from what `config` answered."""
    graphs: dict[str, Graph] = {}
    for graph_name, line in _of_graphs(plugin, lines):
        graph = graphs.setdefault(graph_name, Graph(graph_name))
        option = _OPTION.fullmatch(line)
        attribute = _ATTRIBUTE.fullmatch(line)
        if option is not None:
            _set_option(graph, option[1], option[2][:MAX_TEXT])
        elif attribute is not None and attribute[2] != "value":
            described = graph.fields.setdefault(attribute[1], Field())
            _set_attribute(described, attribute[2], attribute[3].strip()[:MAX_TEXT])
    return [graph for graph in graphs.values() if graph.fields or graph.title]


def parse_values(plugin: str, lines: Iterable[str]) -> list[Value]:
    """The values of a plugin, from what `fetch` answered; lines that are none are left out."""
    values = []
    for graph_name, line in _of_graphs(plugin, lines):
        attribute = _ATTRIBUTE.fullmatch(line)
        if attribute is not None and attribute[2] == "value":
            text = attribute[3].strip().rpartition(":")[2]  # `time:value` of asynchronous nodes
            values.append(Value(graph_name, attribute[1], _number(text)))
    return values


def parse_range(text: str) -> Range | None:
    """`100` is up to 100, `50:` from 50 on, `50:200` between; None when it is no range."""
    low, colon, high = text.partition(":")
    if not colon:
        low, high = "", low
    limits = [_number(part.strip()) if part.strip() else None for part in (low, high)]
    if limits == [None, None]:
        return None
    return Range(limits[0], limits[1])


def rate(
    kind: str, before: float | None, now: float, seconds: float, limits: Field
) -> float | None:
    """What Munin keeps of a value: a gauge as it is, totals as growth by the second.

    None where it is not known: the first total, one that went back, one outside of min and max.
    """
    if kind not in RATES:
        value: float | None = now
    elif kind == "ABSOLUTE":
        value = now / seconds if seconds > 0.0 else None
    elif before is None or seconds <= 0.0:
        value = None
    else:
        grown = now - before
        if grown < 0.0 and kind == "COUNTER":
            return None  # it wrapped or began anew: which, nobody knows
        value = grown / seconds
    if value is None or not Range(limits.low, limits.high).holds(value):
        return None
    return value


def _of_graphs(plugin: str, lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each line with the graph that it belongs to."""
    name = plugin
    for line in lines:
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        if word == "multigraph" and rest.strip():
            name = rest.strip()
        else:
            yield name, line


def _set_option(graph: Graph, name: str, text: str) -> None:
    if name == "graph_title":
        graph.title = text
    elif name == "graph_vlabel":
        graph.unit = text.replace("${graph_period}", "second")
    elif name == "graph_category":
        graph.category = text


def _set_attribute(described: Field, name: str, text: str) -> None:
    if name == "label":
        described.label = text
    elif name == "info":
        described.info = text
    elif name == "type":
        described.kind = text.upper()
    elif name == "min":
        described.low = _number(text)
    elif name == "max":
        described.high = _number(text)
    elif name == "warning":
        described.warning = parse_range(text)
    elif name == "critical":
        described.critical = parse_range(text)


def _number(text: str) -> float | None:
    if len(text) > 100 or _NUMBER.fullmatch(text) is None:
        return None
    value = float(text)
    return value if value - value == 0.0 else None
