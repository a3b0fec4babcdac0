"""Profiles of a route, put together: a tree of functions with the time spent in and below each.

A node is `[frame, microseconds, children]`, the time including that of the children; node 0's frame
is -1, the request itself. Frames are listed once: `[function, place, owner]`, where owner is `app`,
`library`, `standard library` or `builtin`, and place `shop/catalog.py:62`. Pure.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

#: Nodes of one tree; what does not fit is counted at its parent.
MAX_NODES: Final = 3_000
MAX_UNPACKED: Final = 4 * 2**20

Frame = tuple[str, str, str]
Node = list[Any]
Tree = dict[str, Any]


def empty() -> Tree:
    """A tree of no request."""
    return {"requests": 0, "frames": [], "root": [-1, 0, []]}


def tree_of(stacks: Mapping[Any, float], frame_of: Callable[[Any], Frame | None]) -> Tree:
    """The tree of one request.

    Args:
        stacks: Seconds by stack, innermost first.
        frame_of: What a code object or name is called; None: it is left out.
    """
    tree = empty()
    tree["requests"] = 1
    numbers: dict[Frame, int] = {}
    nodes = 1
    for stack, seconds in stacks.items():
        us = round(seconds * 1e6)
        node = tree["root"]
        node[1] += us
        for code in reversed(stack):
            frame = frame_of(code)
            if frame is None:
                continue
            number = numbers.setdefault(frame, len(numbers))
            child = _child(node, number)
            if child is None:
                if nodes >= MAX_NODES:
                    break
                nodes += 1
                child = [number, 0, []]
                node[2].append(child)
            child[1] += us
            node = child
    tree["frames"] = [list(frame) for frame in numbers]
    return tree


def _child(node: Node, frame: int) -> Node | None:
    return next((child for child in node[2] if child[0] == frame), None)


def merged(trees: Iterable[Tree]) -> Tree:
    """Several trees as one."""
    whole = empty()
    numbers: dict[Frame, int] = {}
    nodes = [1]

    def add(into: Node, node: Node, frames: Sequence[Sequence[str]]) -> None:
        into[1] += node[1]
        for child in node[2]:
            name, place, owner = frames[child[0]]
            number = numbers.setdefault((name, place, owner), len(numbers))
            target = _child(into, number)
            if target is None:
                if nodes[0] >= MAX_NODES:
                    continue
                nodes[0] += 1
                target = [number, 0, []]
                into[2].append(target)
            add(target, child, frames)

    for tree in trees:
        whole["requests"] += tree["requests"]
        add(whole["root"], tree["root"], tree["frames"])
    whole["frames"] = [list(frame) for frame in numbers]
    return whole


def functions(tree: Tree) -> dict[tuple[str, str, str], tuple[float, float]]:
    """Milliseconds a request of each function: in itself, and with what it calls."""
    found: dict[tuple[str, str, str], list[float]] = {}
    requests = max(tree["requests"], 1)

    def visit(node: Node, above: frozenset[int]) -> None:
        own = node[1] - sum(child[1] for child in node[2])
        if node[0] >= 0:
            name, place, owner = tree["frames"][node[0]]
            entry = found.setdefault((name, place, owner), [0.0, 0.0])
            entry[0] += max(own, 0)
            entry[1] += 0 if node[0] in above else node[1]
        for child in node[2]:
            visit(child, above | {node[0]})

    visit(tree["root"], frozenset())
    scale = 1000.0 * requests
    return {frame: (own / scale, whole / scale) for frame, (own, whole) in found.items()}


def pack(tree: Tree) -> bytes:
    """For the database."""
    return zlib.compress(json.dumps(tree, separators=(",", ":")).encode(), 6)


def unpack(data: bytes) -> Tree | None:
    """A packed tree; None when it is damaged."""
    try:
        tree = json.loads(zlib.decompressobj().decompress(data, MAX_UNPACKED))
        return merged([tree])  # which looks at every node
    except (zlib.error, ValueError, TypeError, LookupError, RecursionError):
        return None
