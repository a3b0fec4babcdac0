"""A tree of functions as boxes of a flame graph, and as a table by their own time. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

#: Width of the picture in its own units, height of a row, narrowest box, deepest row.
WIDTH: Final = 1_200
ROW: Final = 18
_NARROWEST = 0.8
_DEEPEST = 60
_LETTER = 6.6
#: Rows of the table.
MAX_FUNCTIONS: Final = 25


def focused(tree: dict[str, Any], focus: str) -> dict[str, Any] | None:
    """The part of a tree that is one function and what it calls; None when it has none such.

    Args:
        focus: `function place`, see `name_of`.
    """
    number = next((n for n, frame in enumerate(tree["frames"]) if name_of(frame) == focus), None)
    if number is None:
        return None
    root: list[Any] = [number, 0, []]
    for node in _topmost(tree["root"], number):
        _add(root, node)
    return {**tree, "root": root}


def _topmost(node: list[Any], number: int) -> Iterator[list[Any]]:
    for child in node[2]:
        if child[0] == number:
            yield child
        else:
            yield from _topmost(child, number)


def _add(into: list[Any], node: list[Any]) -> None:
    into[1] += node[1]
    for child in node[2]:
        target = next((each for each in into[2] if each[0] == child[0]), None)
        if target is None:
            target = [child[0], 0, []]
            into[2].append(target)
        _add(target, child)


def name_of(frame: Sequence[str]) -> str:
    """What names a function in an address."""
    return f"{frame[0]} {frame[1]}".strip()


def boxes(tree: dict[str, Any]) -> list[dict[str, Any]]:
    """A box a node, outermost on top: x, y, width, text, title, owner, focus."""
    total = max(tree["root"][1], 1)
    requests = max(tree["requests"], 1)
    found: list[dict[str, Any]] = []
    waiting = [(tree["root"], 0.0, 0)]
    while waiting:
        node, x, depth = waiting.pop()
        width = WIDTH * node[1] / total
        if width < _NARROWEST or depth > _DEEPEST:
            continue
        frame = ["all requests", "", "request"] if node[0] < 0 else tree["frames"][node[0]]
        ms = node[1] / 1000 / requests
        room = int(width / _LETTER)
        name = str(frame[0]).rpartition(".<locals>.")[2]
        found.append(
            {
                "x": round(x, 1),
                "y": depth * ROW,
                "width": round(max(width - 0.5, 0.3), 1),
                "text": name[:room] if room >= 3 else "",
                "title": f"{name_of(frame)}: {ms:.2f} ms a request, {100 * node[1] / total:.1f} %",
                "owner": str(frame[2]).replace(" ", "-"),
                "focus": "" if node[0] < 0 else name_of(frame),
            }
        )
        at = x
        for child in sorted(node[2], key=lambda each: -each[1]):
            waiting.append((child, at, depth + 1))
            at += WIDTH * child[1] / total
    return found


def height(found: Sequence[dict[str, Any]]) -> int:
    """Of the picture."""
    return max((box["y"] for box in found), default=0) + ROW


def table(functions: dict[tuple[str, str, str], tuple[float, float]]) -> list[dict[str, Any]]:
    """The functions that took most time themselves."""
    by_own = sorted(functions.items(), key=lambda entry: -entry[1][0])
    return [
        {"function": name, "place": place, "owner": owner, "own_ms": own, "whole_ms": whole}
        for (name, place, owner), (own, whole) in by_own[:MAX_FUNCTIONS]
        if own > 0
    ]
