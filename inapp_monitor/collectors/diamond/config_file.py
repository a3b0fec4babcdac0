"""Diamond's configuration files: nested sections, values as texts or lists. Pure.

The syntax is ConfigObj's, as far as Diamond's files use it: `[section]`, `[[subsection]]`,
`key = value`, `#` comments, quotes, and commas that make a list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from inapp_monitor.ground.exceptions import ConfigError

_SECTION = re.compile(r"(\[+)\s*(.*?)\s*(\]+)\s*(?:#.*)?")
_PART = re.compile(r"""\s*("[^"]*"|'[^']*'|[^,#]*?)\s*(,|#|$)""")


class Section(dict[str, Any]):
    """A section: texts, lists of texts and further sections by name."""

    def merge(self, other: Mapping[str, Any]) -> None:
        """Take over what another section says; sections of one name are merged."""
        for name, value in other.items():
            mine = self.get(name)
            if isinstance(mine, Section) and isinstance(value, Mapping):
                mine.merge(value)
            else:
                self[name] = value

    def as_bool(self, name: str) -> bool:
        """A value as true or false. Raises KeyError, or ValueError when it is neither."""
        word = str(self[name]).strip().lower()
        if word in ("true", "yes", "on", "1"):
            return True
        if word in ("false", "no", "off", "0"):
            return False
        raise ValueError(f"{name} must be true or false, got {self[name]!r}")

    def as_int(self, name: str) -> int:
        """A value as a whole number."""
        return int(self[name])

    def as_float(self, name: str) -> float:
        """A value as a number."""
        return float(self[name])

    def as_list(self, name: str) -> list[Any]:
        """A value as a list, also when it is one text."""
        value = self[name]
        return list(value) if isinstance(value, (list, tuple)) else [value]


def parse(text: str, source: str) -> Section:
    """The sections of a file.

    Raises:
        ConfigError: names `source` and the line that cannot be understood.
    """
    root = Section()
    path = [root]
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        opened = _SECTION.fullmatch(line)
        if opened is not None:
            depth = len(opened[1])
            if depth != len(opened[3]) or depth > len(path):
                raise ConfigError(f"{source}, line {number}: section {line!r} is nested wrongly")
            del path[depth:]
            path.append(path[-1].setdefault(_unquoted(opened[2]), Section()))
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"{source}, line {number}: expected name = value, got {line[:80]!r}")
        path[-1][_unquoted(name.strip())] = _value(value.strip())
    return root


def _value(text: str) -> str | list[str]:
    """A text, or a list when there are commas outside of quotes."""
    parts: list[str] = []
    is_list = False
    for part, end in _PART.findall(text):
        parts.append(_unquoted(part))
        if end != ",":
            break
        is_list = True
    if not is_list:
        return parts[0] if parts else ""
    return [part for part in parts if part]


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    return text
