"""Series that leave the range that their collector has named, such as a plugin of Munin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from inapp_monitor.alerts.looks import Seen
from inapp_monitor.alerts.shown_numbers import shown
from inapp_monitor.alerts.status import Status
from inapp_monitor.ground.series_description import Description, Limits

_SHORT = 40


class DescribedRanges:
    """Looks at the last values of series that have a range.

    Args:
        described: From now to the descriptions that have one, by series.
        latest: From series and now to the last values of those that have a recent one.
    """

    def __init__(
        self,
        described: Callable[[int], Mapping[str, Description]],
        latest: Callable[[Sequence[str], int], Mapping[str, float]],
    ) -> None:
        self._described = described
        self._latest = latest

    def __call__(self, now: float, open_: Mapping[str, float]) -> Iterable[Seen]:  # noqa: ARG002
        """The state of each such series; see `looks.Find`."""
        described = self._described(int(now))
        values = self._latest(list(described), int(now)) if described else {}
        for path, said in described.items():
            value = values.get(path)
            status = status_of(said, value)
            if value is None or status is None:
                yield Seen(path, None, "", "")
                continue
            limits = said.critical if status == Status.CRITICAL else said.warning
            detail = f"{shown(value)} {said.unit}".strip()
            if status != Status.OK:
                detail += f", should be {words(limits)}"
            if said.title:
                detail += f" · {said.title}"
            title = f"Out of range: {(said.label or path)[:_SHORT]}"
            yield Seen(path, status, title, detail, value)


def status_of(said: Description, value: float | None) -> Status | None:
    """What a value means; None where there is no range or no value."""
    if value is None or value != value or (said.warning is None and said.critical is None):
        return None
    if said.critical is not None and not _is_within(said.critical, value):
        return Status.CRITICAL
    if said.warning is not None and not _is_within(said.warning, value):
        return Status.WARNING
    return Status.OK


def words(limits: Limits | None, format_value: Callable[[float], str] = shown) -> str:
    """A range for people: `at most 100`, `50 to 200`."""
    low, high = limits or (None, None)
    if low is not None and high is not None:
        return f"{format_value(low)} to {format_value(high)}"
    if high is not None:
        return f"at most {format_value(high)}"
    return f"at least {format_value(low)}" if low is not None else "anything"


def _is_within(limits: Limits, value: float) -> bool:
    low, high = limits
    return (low is None or value >= low) and (high is None or value <= high)
