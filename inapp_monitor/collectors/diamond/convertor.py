"""Diamond's unit conversions, `diamond.convertor`: sizes by powers of 1,024, times. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

#: The letters of units, smallest first: k, M, G, ...
_PREFIXES: Final = ("", "k", "m", "g", "t", "p", "e", "z", "y")
_WORDS: Final = ("", "kilo", "mega", "giga", "tera", "peta", "exa", "zetta", "yotta")
_SECONDS: Final = {
    **dict.fromkeys(("millisecond", "milliseconds", "ms"), 0.001),
    **dict.fromkeys(("second", "seconds", "s"), 1.0),
    **dict.fromkeys(("minute", "minutes", "m"), 60.0),
    **dict.fromkeys(("hour", "hours", "h"), 3_600.0),
    **dict.fromkeys(("day", "days", "d"), 86_400.0),
    **dict.fromkeys(("year", "years", "y"), 365 * 86_400.0),
    **dict.fromkeys(("microsecond", "microseconds", "us"), 1e-6),
    **dict.fromkeys(("nanosecond", "nanoseconds", "ns"), 1e-9),
}


def camelcase_to_underscore(name: str) -> str:
    """`SomeName` as `some_name`."""
    parted = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", parted).lower()


class binary:  # noqa: N801  # Diamond's name
    """A size: `binary(value, unit)`, then `get(unit)`; `convert` does both."""

    def __init__(self, value: Any = None, unit: str | None = None) -> None:
        self._bits = 0.0
        self.set(value, unit)

    @staticmethod
    def convert(
        value: Any = None,
        oldUnit: str | None = None,  # noqa: N803
        newUnit: str | None = None,  # noqa: N803
    ) -> float:
        """A size in another unit. Raises NotImplementedError for an unknown one."""
        return binary(value=value, unit=oldUnit).get(unit=newUnit)

    def set(self, value: Any, unit: str | None = None) -> None:
        """Keep a size."""
        self._bits = 0.0 if value is None else float(value) * _bits_of(unit)

    def get(self, unit: str | None = None) -> float:
        """The size in a unit."""
        return self._bits / _bits_of(unit)


class time:  # noqa: N801  # Diamond's name
    """A time: `time(value, unit)`, then `get(unit)`; `convert` does both."""

    def __init__(self, value: Any = None, unit: str | None = None) -> None:
        self._seconds = 0.0
        self.set(value, unit)

    @staticmethod
    def convert(
        value: Any = None,
        oldUnit: str | None = None,  # noqa: N803
        newUnit: str | None = None,  # noqa: N803
    ) -> float:
        """A time in another unit. Raises NotImplementedError for an unknown one."""
        return time(value=value, unit=oldUnit).get(unit=newUnit)

    def set(self, value: Any, unit: str | None = None) -> None:
        """Keep a time."""
        self._seconds = 0.0 if value is None else float(value) * _seconds_of(unit)

    def get(self, unit: str | None = None) -> float:
        """The time in a unit."""
        return self._seconds / _seconds_of(unit)


def _bits_of(unit: str | None) -> float:
    """Bits of one of a unit: `bit`, `kB`, `MiB`, `gigabyte`; none is a bit."""
    if not unit:
        return 1.0
    is_byte = unit.endswith(("byte", "B"))
    if not is_byte and not unit.endswith(("bit", "b")):
        raise NotImplementedError(f"unit {unit}")
    stem = unit.removesuffix("byte").removesuffix("bit").removesuffix("B").removesuffix("b")
    lower = stem.lower().removesuffix("i")
    for names in (_PREFIXES, _WORDS):
        if lower in names:
            return 1024.0 ** names.index(lower) * (8.0 if is_byte else 1.0)
    raise NotImplementedError(f"unit {unit}")


def _seconds_of(unit: str | None) -> float:
    """Seconds of one of a unit; none is a millisecond."""
    if not unit:
        return 0.001
    if unit.lower() not in _SECONDS:
        raise NotImplementedError(f"unit {unit}")
    return _SECONDS[unit.lower()]
