"""Glob patterns over series names, matched node by node. Pure.

A pattern is nodes joined by dots; a node may hold `*`, `?`, `[a-z]`, `[!x]` and (nested) braces;
`**` crosses any number of nodes. Nodes are matched with `fnmatch`, which cannot backtrack, and how
much braces may stand for and how many names may be compared is bounded, so that no pattern is much
more than a walk of the tree.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Final

from inapp_monitor.ground.exceptions import QueryError

#: Most texts that the braces of one node may stand for: a variable of all hosts is a few thousand.
MAX_EXPANSIONS: Final = 10_000
#: Characters that may be copied meanwhile.
_MAX_COPIED: Final = 2**24
#: Most nodes of a pattern.
MAX_NODES: Final = 64
#: Characters of a node with wildcards: no longer name is kept.
_MAX_WILDCARD: Final = 1_024
#: Names that one pattern may be compared with.
_MAX_COMPARED: Final = 5_000_000
_WILDCARD = re.compile(r"[*?\[]")
_ESCAPED = re.compile(r"\\(.?)", re.DOTALL)
_INNERMOST = re.compile(r"\{([^{}]*)\}")


def split_nodes(pattern: str) -> list[str]:
    """The nodes of a pattern; dots inside braces do not split.

    Raises:
        QueryError: too many nodes.
    """
    nodes, depth, begin = [], 0, 0
    for i, character in enumerate(pattern):
        if character == "{":
            depth += 1
        elif character == "}":
            depth = max(0, depth - 1)
        elif character == "." and not depth:
            nodes.append(pattern[begin:i])
            begin = i + 1
    nodes.append(pattern[begin:])
    nodes = [n for i, n in enumerate(nodes) if not (n == "**" and i and nodes[i - 1] == "**")]
    if len(nodes) > MAX_NODES:
        raise QueryError(f"pattern has {len(nodes)} nodes, at most {MAX_NODES} are allowed")
    return nodes


def expand_braces(node: str) -> list[str]:
    """`web{1,2}` is `web1` and `web2`; nested braces too; each text once.

    Raises:
        QueryError: more than `MAX_EXPANSIONS` texts.
    """
    pending, done, copied = [node], dict[str, None](), 0
    while pending:
        text = pending.pop()
        copied += len(text)
        match = _INNERMOST.search(text)
        if match is None:
            done[text] = None
        else:
            head, tail = text[: match.start()], text[match.end() :]
            pending += [head + part + tail for part in match[1].split(",")]
        if len(pending) + len(done) > MAX_EXPANSIONS or copied > _MAX_COPIED:
            raise QueryError(f"braces expand to more than {MAX_EXPANSIONS} names: {node[:60]!r}")
    return list(done)


def _has_dot_in_braces(pattern: str) -> bool:
    """Whether an alternative has several nodes."""
    depth = 0
    for character in pattern if "{" in pattern else "":
        if character == "{":
            depth += 1
        elif character == "}":
            depth = max(0, depth - 1)
        elif character == "." and depth:
            return True
    return False


def escaped_glob(character: str) -> str:
    """A character as part of a pattern that it stands for itself in."""
    return f"[{character}]" if character in "*?[" else character


def without_backslashes(pattern: str) -> str:
    """A pattern whose escaped characters stand for themselves."""
    return _ESCAPED.sub(lambda found: escaped_glob(found[1]), pattern)


def has_wildcard(text: str) -> bool:
    """Whether a node (without braces) has to be matched rather than looked up."""
    return _WILDCARD.search(text) is not None


@lru_cache(maxsize=512)
def node_matcher(text: str) -> Callable[[str], object]:
    """A function that tells whether a name is matched by one node without braces.

    Raises:
        QueryError: the node is longer than any name.
    """
    if len(text) > _MAX_WILDCARD:
        raise QueryError(f"a node has {len(text)} characters, at most {_MAX_WILDCARD} are allowed")
    return re.compile(fnmatch.translate(text)).match


class _Comparisons:
    """How many names one pattern may still be compared with."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = _MAX_COMPARED

    def spend(self, count: int) -> None:
        """Count some.

        Raises:
            QueryError: there were too many.
        """
        self.left -= count
        if self.left < 0:
            raise QueryError(f"the pattern is compared with more than {_MAX_COMPARED} names")


class Tree:
    """An index of series names for globbing.

    A node can be a branch and a leaf at the same time.
    """

    __slots__ = ("children", "is_leaf")

    def __init__(self, *, is_leaf: bool = False) -> None:
        self.children: dict[str, Tree] = {}
        self.is_leaf = is_leaf

    def add(self, paths: Iterable[str]) -> None:
        """Add leaves. Fast where those below one branch come together, as in a sorted list."""
        branch, below = self, ""
        for path in paths:
            above, _, name = path.rpartition(".")
            if above != below:
                branch, below = self._branch(above), above
            child = branch.children.get(name)
            if child is None:
                branch.children[name] = _LEAF
            else:
                child.is_leaf = True

    def _branch(self, path: str) -> Tree:
        """The node at `path`, made when missing, that children may be put below."""
        node = self
        for name in path.split(".") if path else ():
            child = node.children.get(name)
            if child is None or child is _LEAF:
                child = node.children[name] = Tree(is_leaf=child is not None)
            node = child
        return node

    def find(self, pattern: str) -> list[tuple[str, Tree]]:
        """All (path, node) that the pattern matches, each once, sorted by path.

        Raises:
            QueryError: it stands for too much.
        """
        found: dict[str, Tree] = {}
        comparisons = _Comparisons()
        # Alternatives of several nodes have to be written out before nodes can be walked.
        patterns = expand_braces(pattern) if _has_dot_in_braces(pattern) else [pattern]
        for each in patterns:
            nodes = [expand_braces(node) for node in split_nodes(each)]
            found.update(self._walk(nodes, 0, "", comparisons))
        return sorted(found.items(), key=lambda item: item[0])

    def _walk(
        self, nodes: list[list[str]], index: int, prefix: str, comparisons: _Comparisons
    ) -> Iterator[tuple[str, Tree]]:
        last = index == len(nodes) - 1
        comparisons.spend(len(nodes[index]))
        for text in nodes[index]:
            if text == "**":
                rest = [["*"]] if last else nodes[index + 1 :]
                for path, branch in self._branches(prefix):
                    yield from branch._walk(rest, 0, path, comparisons)
                continue
            for name, child in self._matching(text, comparisons):
                path = f"{prefix}.{name}" if prefix else name
                if last:
                    yield path, child
                else:
                    yield from child._walk(nodes, index + 1, path, comparisons)

    def _matching(self, text: str, comparisons: _Comparisons) -> list[tuple[str, Tree]]:
        if not has_wildcard(text):
            child = self.children.get(text)
            return [] if child is None else [(text, child)]
        comparisons.spend(len(self.children))
        matches = node_matcher(text)
        found = [(name, child) for name, child in self.children.items() if matches(name)]
        if not found and (child := self.children.get(text)) is not None:
            return [(text, child)]  # a name with brackets, as clients send it back
        return found

    def _branches(self, prefix: str) -> Iterator[tuple[str, Tree]]:
        yield prefix, self
        for name, child in self.children.items():
            if child.children:
                yield from child._branches(f"{prefix}.{name}" if prefix else name)


#: Stands for every leaf with nothing below: ten thousand objects less for the garbage collector.
_LEAF = Tree(is_leaf=True)
