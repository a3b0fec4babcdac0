"""The part that hands numbers and errors over to other engines: threads of the leader.

Thin: it calls what the room offers when the monitor's life says so. The room does not know it, and
is loaded where there is something to forward.
"""

from __future__ import annotations

from collections.abc import Mapping

from inapp_monitor.export.facts import ExportFacts
from inapp_monitor.ground.points import Batch
from inapp_monitor.monitor.part import Part
from inapp_monitor.monitor.services import Services

#: Seconds between two looks at how the destinations fare.
_INTERVAL_S = 10


class Exporting(Part):
    """The destinations of the setting `forward`."""

    name = "export"
    ending_name = "ending the exports"
    ticks_at_end = False

    def __init__(self, services: Services) -> None:
        self._store = services.store
        self._leadership = services.leadership
        self._exporting = services.exporting
        self._interval = 0

    def tick(self, now: float) -> None:
        if self._exporting is None:
            return
        self._exporting.tick(is_leader=self._leadership.is_leader)
        if int(now) // _INTERVAL_S != self._interval:
            self._interval = int(now) // _INTERVAL_S
            self._store.add(Batch(self._exporting.scalars(int(now)), []))

    def forked(self) -> None:
        if self._exporting is not None:
            self._exporting.forked()

    def stop(self) -> None:
        if self._exporting is not None:
            self._exporting.stop()

    def drops(self) -> Mapping[str, int]:
        return {} if self._exporting is None else self._exporting.drops()

    def facts(self) -> ExportFacts:
        return ExportFacts(() if self._exporting is None else self._exporting.rows())
