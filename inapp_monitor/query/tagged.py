"""Tagged series names, `disk.used;dc=dc1;server=web01`, and the expressions that select them. Pure.

A canonical name has its tags sorted. Graphite stores such a series under `_tagged`, in a file named
by the SHA-256 of that name; `storage_path` is that rule.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.patterns import Pattern, RunningTime

_SPEC = re.compile(r"([^;!=]+)(!?=~?)([^;]*)")
_FORBIDDEN = set(";!^=")


def parse_tags(path: str) -> dict[str, str] | None:
    """All tags of a name, `name` included; None when it is no tagged (or plain) series name."""
    metric, *segments = path.split(";")
    name = metric.lstrip("~")
    if not name:
        return None
    tags: dict[str, str] = {}
    for segment in segments:
        tag, equals, value = segment.partition("=")
        if not tag or not equals or not value or value[0] == "~" or _FORBIDDEN & set(tag):
            return None
        tags[tag] = value
    tags["name"] = name
    return tags


def canonical(path: str) -> str:
    """The name with its tags sorted.

    Raises:
        QueryError: it is not a legal tagged name.
    """
    tags = parse_tags(path)
    if tags is None:
        raise QueryError(f"invalid tagged series {path[:200]!r}: expected name;tag=value;...")
    return format_tags(tags)


def format_tags(tags: dict[str, str]) -> str:
    """The canonical name of some tags."""
    rest = sorted(f";{tag}={value}" for tag, value in tags.items() if tag != "name")
    return tags.get("name", "") + "".join(rest)


def storage_path(path: str) -> str:
    """Where Graphite keeps a tagged series: `_tagged.abc.def.<sha256>`."""
    digest = hashlib.sha256(path.encode()).hexdigest()
    return f"_tagged.{digest[:3]}.{digest[3:6]}.{digest}"


def readable_name(path: str) -> str | None:
    """The name in a path of Graphite's older layout, `_tagged.abc.def.<name with _DOT_>`."""
    nodes = path.split(".", 3)
    if len(nodes) < 4 or ";" not in nodes[3]:
        return None
    name = nodes[3].replace("_DOT_", ".")
    return name if parse_tags(name) else None


class TagExpression:
    """One of `tag=value`, `tag!=value`, `tag=~regex`, `tag!=~regex`."""

    __slots__ = ("_negated", "_pattern", "matches_empty", "tag", "value")

    def __init__(self, text: str, time: RunningTime | None = None) -> None:
        match = _SPEC.fullmatch(text)
        if match is None:
            raise QueryError(f"invalid tag expression {text[:200]!r}: expected tag=value")
        self.tag, operator, self.value = match.groups()
        self._negated = operator.startswith("!")
        self._pattern: Pattern | None = None
        if operator.endswith("~"):
            self._pattern = Pattern(self.value, at_start=True, time=time)
        self.matches_empty = self.matches("")

    def matches(self, value: str) -> bool:
        """Whether a tag with this value (empty: the tag is missing) is selected."""
        found = value == self.value if self._pattern is None else self._pattern.search(value)
        return found != self._negated


def select(expressions: Iterable[str], paths: Iterable[str]) -> list[str]:
    """The tagged paths that fulfil all expressions, sorted.

    Raises:
        QueryError: a bad expression, or none of them asks for something.
    """
    time = RunningTime()
    wanted = [TagExpression(text, time) for text in expressions]
    if all(expression.matches_empty for expression in wanted):
        raise QueryError("at least one tag expression must not match an empty value")
    found = []
    for path in paths:
        tags = parse_tags(path)
        if tags and all(expression.matches(tags.get(expression.tag, "")) for expression in wanted):
            found.append(path)
    return sorted(found)
