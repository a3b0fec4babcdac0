"""Hands portions to Carbon."""

from __future__ import annotations

from inapp_monitor.export.carbon_connection import CarbonConnection
from inapp_monitor.export.carbon_lines import Naming, as_lines, as_pickles, points_of
from inapp_monitor.export.portions import Portion
from inapp_monitor.ground.destination import Destination


class CarbonSender:
    """A `Sender` for one destination."""

    def __init__(self, destination: Destination) -> None:
        options = destination.options
        self._connection = CarbonConnection(destination.host, destination.port)
        self._naming = Naming(options.get("prefix", ""), statsd=options.get("names") == "statsd")
        self._pack = as_pickles if options.get("protocol") == "pickle" else as_lines

    def send(self, portion: Portion) -> int:
        """Send it. Raises OSError when it did not arrive."""
        self._connection.send(self._pack(points_of(portion, self._naming)))
        return 0

    @property
    def counted_until(self) -> int | None:
        """Carbon wants no totals."""
        return None

    def count(self, portion: Portion) -> None:
        """Nothing to add to."""

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
