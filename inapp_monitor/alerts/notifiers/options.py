"""The table of one notifier, read key by key: each error names the key and what was expected.

A secret need not stand in the file: `env:NAME` is read from the environment, `file:PATH` from a
file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from inapp_monitor.ground import private_files
from inapp_monitor.ground.setting_values import parse_bool, parse_duration, parse_int

_LONGEST = 4_096


class Options:
    """One table; `done` refuses keys that nobody asked for."""

    def __init__(self, name: str, table: Mapping[str, object]) -> None:
        self.name = name
        self._table = table
        self._asked: set[str] = set()

    def text(self, key: str, default: str | None = None) -> str:
        """A text of one line; without a default it must be there."""
        value = self._value(key, default)
        if not isinstance(value, str) or len(value) > _LONGEST or not value.isprintable():
            raise self.error(key, "a text of one line", value)
        return value

    def secret(self, key: str, default: str | None = None) -> str:
        """A text that may be kept elsewhere: `env:NAME`, `file:PATH`."""
        value = self._value(key, default)
        if not isinstance(value, str):
            raise self.error(key, "a text", None)
        return self._secret(key, value)

    def secrets(self, key: str) -> list[str]:
        """A list of such texts."""
        return [self._secret(key, each) for each in self.texts(key)]

    def _secret(self, key: str, value: str) -> str:
        place, _, rest = value.partition(":")
        if place == "env":
            found = os.environ.get(rest)
            if not found:
                raise ValueError(f"notifier {self.name!r}: {key}: no variable {rest!r}")
            return found
        if place == "file":
            try:
                return private_files.read(Path(rest), _LONGEST).decode("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(f"notifier {self.name!r}: {key}: {error}") from None
        return value

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """One text, or a list of some."""
        value = self._value(key, default)
        values = (value,) if isinstance(value, str) else value
        fine = isinstance(values, (list, tuple)) and all(
            isinstance(each, str) and each.isprintable() and len(each) <= _LONGEST
            for each in values
        )
        if not fine or (default is None and not values):
            raise self.error(key, "a list of texts", value)
        return tuple(values)  # type: ignore[arg-type]  # checked

    def integer(self, key: str, default: int, least: int, most: int) -> int:
        """A whole number between two limits."""
        value = self._value(key, default)
        try:
            number = parse_int(value)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise self.error(key, f"a whole number from {least} to {most}", value)
        return number

    def seconds(self, key: str, default: float, least: float, most: float) -> float:
        """A duration between two limits."""
        value = self._value(key, default)
        try:
            number = parse_duration(value)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise self.error(key, f"a duration from {least:g} s to {most:g} s", value)
        return number

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self._value(key, default)
        try:
            return parse_bool(value)
        except ValueError:
            raise self.error(key, "true or false", value) from None

    def one_of(self, key: str, allowed: tuple[str, ...], default: str) -> str:
        """One of some words."""
        value = self._value(key, default)
        if value not in allowed:
            raise self.error(key, f"one of {', '.join(allowed)}", value)
        return str(value)

    def error(self, key: str, expected: str, value: object) -> ValueError:
        """What is wrong with a key."""
        got = "" if value is None else f", got {value!r}"
        return ValueError(f"notifier {self.name!r}: {key} must be {expected}{got}")

    def done(self) -> None:
        """Refuse what was not asked for.

        Raises:
            ValueError: it names the key.
        """
        unknown = sorted(set(self._table) - self._asked)
        if unknown:
            known = ", ".join(sorted(self._asked))
            raise ValueError(f"notifier {self.name!r}: unknown key {unknown[0]!r}; known: {known}")

    def _value(self, key: str, default: object) -> object:
        self._asked.add(key)
        if key not in self._table and default is None:
            raise ValueError(f"notifier {self.name!r}: {key} is missing")
        return self._table.get(key, default)
