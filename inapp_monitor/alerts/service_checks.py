"""Service checks, which their clients have judged already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from inapp_monitor.alerts.looks import Seen
from inapp_monitor.alerts.status import Status

#: Before the name, in a path.
PREFIX = "checks."
_SHORT = 80


class Check(Protocol):
    """What is asked of a check."""

    @property
    def path(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def message(self) -> str: ...
    @property
    def since(self) -> int: ...


class ReportedChecks:
    """Looks at the checks that clients report.

    Args:
        checks: From now to all of them as they stand.
    """

    def __init__(self, checks: Callable[[int], Iterable[Check]]) -> None:
        self._checks = checks

    def __call__(self, now: float, open_: Mapping[str, float]) -> Iterable[Seen]:  # noqa: ARG002
        """The state of each check; see `looks.Find`."""
        for check in self._checks(int(now)):
            status = Status(check.status)
            name, *tags = check.path.removeprefix(PREFIX).split(";")
            title = f"Check {name[:_SHORT]} is {status.name}"
            message = " ".join(check.message.split()) or status.name
            detail = f"{message} ({', '.join(tags)})" if tags else message
            yield Seen(check.path, status, title, detail, float(status), float(check.since))
