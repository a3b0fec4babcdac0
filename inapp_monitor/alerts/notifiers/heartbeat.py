"""A dead man's switch: asks an address again and again while the monitor judges.

When the app, the machine or the monitor stops, the requests stop, and the service at the other end
(healthchecks.io and the like) notices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inapp_monitor.alerts.notifiers.base import FailedError, RefusedError, Standing
from inapp_monitor.alerts.notifiers.http import Address, address_of, request
from inapp_monitor.alerts.notifiers.options import Options


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Asks one address."""

    address: Address
    every_s: float

    @classmethod
    def read(cls, options: Options) -> Heartbeat:
        """From its table: `url`, `interval`.

        Raises:
            ValueError: see `Options`.
        """
        return cls(address_of(options), options.seconds("interval", 60.0, 10.0, 86_400.0))

    def push(self, standings: Sequence[Standing], now: float) -> None:  # noqa: ARG002
        """See `base.Pusher`."""
        try:
            request(self.address, "GET", headers={"User-Agent": "inapp-monitor"})
        except RefusedError as error:
            raise FailedError(str(error)) from None
