"""Threshold ranges as Nagios plugins write them: `[@][start:]end`. Pure.

    10      alert below 0 or above 10        ~:10    alert above 10
    10:     alert below 10                   10:20   alert below 10 or above 20
    @10:20  alert from 10 to 20, both included

What a plain range includes is fine, both ends too; `@` turns that round. `start` is 0 when missing,
`~` is minus infinity, a missing `end` is infinity. Source: the Monitoring Plugins Development
Guidelines, "Threshold and ranges".
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal

from inapp_monitor.alerts.status import Status

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Range:
    """Which values raise an alert.

    Attributes:
        start: The smallest value inside; `-inf` for `~`.
        end: The largest value inside; `inf` where none is given.
        inside: Whether values inside alert (`@`), not those outside.
    """

    start: float = 0
    end: float = math.inf
    inside: bool = False

    @classmethod
    def parse(cls, text: str, unit: str = "") -> Range:
        """Read a range.

        Args:
            text: Such as `10`, `~:0.5`, `@10:20`; blanks around numbers are allowed.
            unit: The unit of the value, which may stand behind a number: `1:12%`.

        Raises:
            ValueError: it is no range; the message names it and what was expected.
        """
        if len(text) > _LONGEST:
            raise ValueError(f"range of {len(text)} characters: at most {_LONGEST} expected")
        body = text.strip()
        inside = body.startswith("@")
        parts = body[inside:].split(":")
        if len(parts) > 2:
            raise ValueError(f"range {text!r}: more than one colon; expected [@][start:]end")
        first = parts[0].strip() if len(parts) == 2 else ""
        if first.startswith("/"):
            raise ValueError(
                f"range {text!r} begins with a path: the shell has replaced an unquoted ~;"
                " quote the range: '~:10'"
            )
        start = -math.inf if first == "~" else _number(first, 0, text, unit)
        end = _number(parts[-1].strip(), math.inf, text, unit)
        if start > end:
            raise ValueError(f"range {text!r}: start {start:g} is above end {end:g}")
        return cls(start, end, inside)

    def violated_by(self, value: float) -> bool:
        """Whether a value raises an alert.

        Raises:
            ValueError: the value is NaN: no value is UNKNOWN, neither fine nor an alert.
        """
        if value != value:
            raise ValueError("NaN cannot be held against a range: no value is UNKNOWN")
        return (self.start <= value <= self.end) == self.inside

    @property
    def plain_maximum(self) -> bool:
        """Whether it can be written as one number, which every tool that draws it understands."""
        return self.start == 0 and not self.inside and self.end != math.inf

    def __str__(self) -> str:
        """The range in its shortest form; `parse` gives an equal range of it."""
        start = "~:" if self.start == -math.inf else ""
        if self.start not in (0, -math.inf):
            start = f"{exact_text(self.start)}:"
        end = "" if self.end == math.inf else exact_text(self.end)
        return ("@" if self.inside else "") + (start + end or "0:")


def status_of(value: float, warning: Range | None, critical: Range | None) -> Status:
    """The status of a value: critical is looked at first. NaN is UNKNOWN."""
    if value != value:
        return Status.UNKNOWN
    if critical is not None and critical.violated_by(value):
        return Status.CRITICAL
    if warning is not None and warning.violated_by(value):
        return Status.WARNING
    return Status.OK


def _number(atom: str, default: float, text: str, unit: str) -> float:
    if atom == "":
        return default
    if unit and atom.endswith(unit):
        atom = atom[: -len(unit)].rstrip()
    if not _NUMBER.fullmatch(atom):
        raise ValueError(f"range {text!r}: {atom!r} is not a number; expected [@][start:]end")
    try:
        value: float = int(atom)  # whole numbers stay exact, however long
    except ValueError:
        value = float(atom)
    if math.isinf(value):
        raise ValueError(f"range {text!r}: {atom!r} is too large")
    return value


def exact_text(value: float) -> str:
    """The shortest digits that are read as the same number, without an exponent."""
    return str(int(value)) if value == int(value) else f"{Decimal(repr(value)):f}"
