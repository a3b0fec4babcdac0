"""The four states of a check, in Nagios's words and numbers. Pure."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """What a check found; the number is a plugin's exit code."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3

    @property
    def letter(self) -> str:
        """`O`, `W`, `C` or `U`."""
        return self.name[0]

    @property
    def severity(self) -> int:
        """How bad it is, for "the worst of": OK < UNKNOWN < WARNING < CRITICAL."""
        return (0, 2, 3, 1)[self]


def worst(statuses: list[Status]) -> Status:
    """The worst of some; OK of none."""
    return max(statuses, key=lambda status: status.severity, default=Status.OK)
