"""What `inapp_monitor.metrics` speaks to in a monitor: the same code as the monitor's own verbs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from inapp_monitor.recorder.instruments import Instruments


class MetricsTarget:
    """One monitor's; the module holds it weakly, the monitor for as long as it lives.

    Args:
        record: As `Instruments.record`; of a disabled monitor one that does nothing.
        event: `Monitor.event`.
        monitor: Whose it is.
    """

    def __init__(
        self,
        record: Callable[[str, Any, Any], None],
        event: Callable[[str, str, Iterable[str]], object],
        instruments: Instruments,
        monitor: object,
    ) -> None:
        self.record = record
        self._event = event
        self._instruments = instruments
        self.monitor = monitor

    def event(self, title: str, text: str, tags: Iterable[str]) -> None:
        """Keep an event."""
        self._event(title, text, tags)

    def dropped(self, count: int) -> None:
        """So many calls before there was a monitor were not kept."""
        refused = self._instruments.refused
        reason = "too many calls before there was a monitor"
        refused[reason] = refused.get(reason, 0) + count
