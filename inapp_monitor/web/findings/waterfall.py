"""A kept trace as rows for people: nested, repeats folded, gaps named; where time went. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

#: Spans of one text below one parent that are shown as one row.
FOLDED_FROM: Final = 3
#: Rows of one trace.
MAX_ROWS: Final = 400
#: Deepest row that is indented further.
MAX_DEPTH: Final = 12
#: A stretch without a span is a row when it is this part of the request, and this long.
_GAP_SHARE, _GAP_MS = 0.05, 1.0
#: Repeats that matter: so many, and so long or such a part of the request.
_REPEATS, _REPEATS_MS, _REPEATS_SHARE = 5, 10.0, 0.1
_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE")
_BARS = 60
REST: Final = "own code or waiting"


@dataclass(slots=True)
class _Node:
    kind: str
    text: int
    intervals: list[tuple[int, int]]
    lane: int
    system: int
    rows: int | None
    errors: list[str]
    keys: list[int]
    children: list[_Node] = field(default_factory=list)

    @property
    def start(self) -> int:
        return self.intervals[0][0]

    @property
    def took(self) -> int:
        return sum(took for _, took in self.intervals)


def _trees(spans: Iterable[Sequence[Any]]) -> list[_Node]:
    """The outermost spans of all lanes, with what lies in them."""
    top: list[_Node] = []
    open_: dict[int, list[_Node]] = {}
    for kind, start, took, text, lane, system, rows, error, key in spans:
        node = _Node(kind, text, [(start, took)], lane, system, rows, [], [key])
        if error:
            node.errors.append(error)
        stack = open_.setdefault(lane, [])
        while stack and sum(stack[-1].intervals[0]) < start + took:
            stack.pop()
        (stack[-1].children if stack else top).append(node)
        stack.append(node)
    return top


def _folded(nodes: list[_Node]) -> list[_Node]:
    """Spans of one text beside each other as one, in the order in which they come first."""
    groups: dict[tuple[str, int, int], list[_Node]] = {}
    for node in nodes:
        groups.setdefault((node.kind, node.text, node.lane), []).append(node)
    found: list[_Node] = []
    for group in groups.values():
        if len(group) < FOLDED_FROM:
            found += group
            continue
        first = group[0]
        known_rows = [node.rows for node in group if node.rows is not None]
        found.append(
            _Node(
                first.kind,
                first.text,
                [interval for node in group for interval in node.intervals],
                first.lane,
                first.system,
                sum(known_rows) if known_rows else None,
                [error for node in group for error in node.errors],
                [key for node in group for key in node.keys],
                [child for node in group for child in node.children],
            )
        )
    for node in found:
        node.children = _folded(node.children)
    return sorted(found, key=lambda node: node.start)


def rows(trace: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a trace's waterfall.

    Each has `depth`, `kind`, `text`, `count`, `ms`, `start_ms`, `bars` (x and width, of 1,000),
    `at` and `source` (who asked), `rows`, `errors`, `repeat` (what is wrong with the repeats),
    `system`, `lane`.
    """
    total_us = max(int(trace["ms"] * 1000), 1)
    found: list[dict[str, Any]] = []
    top = _folded(_trees(trace["spans"]))
    gaps = _gaps(trace["spans"], total_us)
    for entry in sorted([*top, *gaps], key=lambda each: each.start):
        _add(found, trace, entry, 0, total_us)
    return found[:MAX_ROWS]


def _gaps(spans: Sequence[Sequence[Any]], total_us: int) -> list[_Node]:
    """Stretches in which no span of the first lane ran."""
    least = max(total_us * _GAP_SHARE, _GAP_MS * 1000)
    gaps, at = [], 0
    first = sorted((span[1], span[1] + span[2]) for span in spans if span[4] == 0)
    for start, end in [*first, (total_us, total_us)]:
        if start - at >= least:
            gaps.append(_Node("rest", -1, [(at, start - at)], 0, -1, None, [], []))
        at = max(at, end)
    return gaps


def _add(
    found: list[dict[str, Any]], trace: dict[str, Any], node: _Node, depth: int, total_us: int
) -> None:
    if len(found) >= MAX_ROWS:
        return
    text = REST if node.text < 0 else trace["texts"][node.text]
    sites = trace.get("sites", {}).get(str(node.text)) or [["", ""]]
    system = trace["systems"][node.system] if node.system >= 0 else ""
    found.append(
        {
            "depth": min(depth, MAX_DEPTH),
            "kind": node.kind,
            "text": text,
            "count": len(node.intervals),
            "ms": node.took / 1000,
            "start_ms": node.start / 1000,
            "bars": _bars(node.intervals, total_us),
            "at": sites[0][0],
            "source": sites[0][1],
            "callers": [at for at, _ in sites[1:]],
            "rows": node.rows,
            "errors": sorted(set(node.errors)),
            "repeat": _repeat(node, text, trace["ms"]),
            "system": system,
            "lane": node.lane,
        }
    )
    for child in node.children:
        _add(found, trace, child, depth + 1, total_us)


def _bars(intervals: Sequence[tuple[int, int]], total_us: int) -> list[tuple[float, float]]:
    """Where and how wide, of 1,000; those that touch are one."""
    bars: list[tuple[float, float]] = []
    for start, took in intervals:
        x = min(1000 * start / total_us, 999.0)
        width = max(min(1000 * took / total_us, 1000 - x), 1.0)
        if bars and x <= bars[-1][0] + bars[-1][1] + 0.5:
            before = bars.pop()
            x, width = before[0], max(x + width, before[0] + before[1]) - before[0]
        bars.append((round(x, 1), round(width, 1)))
    if len(bars) > _BARS:
        end = max(x + width for x, width in bars)
        bars = [(bars[0][0], round(end - bars[0][0], 1))]
    return bars


def _repeat(node: _Node, text: str, total_ms: float) -> str:
    """What repeats of a statement are called; "" when they do not matter."""
    ms = node.took / 1000
    matters = ms >= _REPEATS_MS or ms >= _REPEATS_SHARE * total_ms
    if node.kind != "database" or len(node.intervals) < _REPEATS or not matters:
        return ""
    if text[:7].upper().startswith(_WRITES):
        return "writes in a loop"
    is_same = len(set(node.keys)) == 1 and node.keys[0] >= 0
    return "same again" if is_same else "N+1"


def breakdown(trace: dict[str, Any]) -> list[dict[str, Any]]:
    """Where the time went, by kind: the time of spans without what lies in them, and the rest."""
    total = max(float(trace["ms"]), 0.001)
    by_kind: dict[str, list[float]] = {}

    def add(node: _Node) -> None:
        own = node.took - sum(child.took for child in node.children)
        entry = by_kind.setdefault(_group(node.kind), [0.0, 0])
        entry[0] += max(own, 0) / 1000
        entry[1] += 1
        for child in node.children:
            add(child)

    for node in _trees(span for span in trace["spans"] if span[4] == 0):
        add(node)
    for kind, _, count, ms in trace.get("counted", ()):
        entry = by_kind.setdefault(_group(kind), [0.0, 0])
        entry[0] += ms
        entry[1] += count
    rest = max(total - sum(ms for ms, _ in by_kind.values()), 0.0)
    parts: list[dict[str, Any]] = [
        {"kind": kind, "ms": ms, "count": n} for kind, (ms, n) in by_kind.items()
    ]
    parts.sort(key=lambda part: -part["ms"])
    parts.append({"kind": REST, "ms": rest, "count": 0})
    at = 0.0
    for part in parts:
        share = min(part["ms"] / total, 1.0) * 1000
        part["x"], part["width"] = round(at, 1), round(min(share, max(1000 - at, 0)), 1)
        at += share
    return parts


def _group(kind: str) -> str:
    return "database" if kind == "transaction" else kind


def totals(trace: dict[str, Any]) -> dict[tuple[str, str], tuple[int, float]]:
    """Count and milliseconds of each text, by kind and text."""
    found: dict[tuple[str, str], tuple[int, float]] = {}
    for kind, _, took, text, *_ in trace["spans"]:
        count, ms = found.get((kind, trace["texts"][text]), (0, 0.0))
        found[kind, trace["texts"][text]] = count + 1, ms + took / 1000
    for kind, text, more, more_ms in trace.get("counted", ()):
        count, ms = found.get((kind, text), (0, 0.0))
        found[kind, text] = count + more, ms + more_ms
    return found


def difference(trace: dict[str, Any], usual: dict[str, Any]) -> list[dict[str, Any]]:
    """What differs from a usual request, the largest difference first: by text, and the rest."""
    here, there = totals(trace), totals(usual)
    found: list[dict[str, Any]] = []
    for kind, text in {*here, *there}:
        count, ms = here.get((kind, text), (0, 0.0))
        usual_count, usual_ms = there.get((kind, text), (0, 0.0))
        figures = {"count": count, "ms": ms, "usual_count": usual_count, "usual_ms": usual_ms}
        found.append({"kind": kind, "text": text, **figures})
    rest, usual_rest = breakdown(trace)[-1]["ms"], breakdown(usual)[-1]["ms"]
    figures = {"count": 0, "ms": rest, "usual_count": 0, "usual_ms": usual_rest}
    found.append({"kind": "rest", "text": REST, **figures})
    found.sort(key=lambda each: -abs(each["ms"] - each["usual_ms"]))
    return found
