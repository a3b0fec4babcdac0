"""The past for Carbon: every point under its own name, oldest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from inapp_monitor.export.carbon_connection import CarbonConnection
from inapp_monitor.export.carbon_lines import Naming, Point, as_lines, as_pickles
from inapp_monitor.export.past import Past
from inapp_monitor.export.portions import Counted, Number
from inapp_monitor.export.totals import Totals
from inapp_monitor.ground.destination import Destination
from inapp_monitor.ground.ranges import Leaf

#: Seconds that a piece may take: Carbon pauses its clients while its cache is full.
_PATIENCE_S: Final = 120.0


class CarbonPast:
    """A `Receiver` for Carbon, which takes a point twice as once."""

    def __init__(self, destination: Destination) -> None:
        options = destination.options
        self._connection = CarbonConnection(destination.host, destination.port, _PATIENCE_S)
        self._naming = Naming(options.get("prefix", ""), statsd=options.get("names") == "statsd")
        self._pack = as_pickles if options.get("protocol") == "pickle" else as_lines
        self._points = 0

    def order(self, leaves: Sequence[Leaf]) -> list[Leaf]:
        """Any order will do."""
        return list(leaves)

    def begin(self, position: int, last: str | None) -> None:
        """Nothing to do: what was sent stays."""

    def take(self, series: Past, totals: Totals) -> int:  # noqa: ARG002
        """Send one series."""
        self._points = 0
        self._connection.send(self._pack(self._counted(series)))
        return self._points

    def _counted(self, series: Past) -> Iterator[Point]:
        for point in _points_of(series, self._naming):
            self._points += 1
            yield point

    def flush(self) -> int:
        """Every series was confirmed."""
        return 0

    def end(self) -> None:
        """Everything was sent."""

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _points_of(series: Past, naming: Naming) -> Iterator[Point]:
    path, method = series.leaf.path, series.leaf.method
    for begin, step, value in series.numbers:
        yield from naming.number(Number(path, method, begin, step, value))
    for begin, step, histogram in series.histograms:
        yield from naming.counted(Counted(path, begin, step, histogram))
