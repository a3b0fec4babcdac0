"""The part that receives from SDKs of Sentry.

Thin: it calls what the room offers when the monitor's life says so. The room does not know it.
"""

from __future__ import annotations

from collections.abc import Mapping

from inapp_monitor.ingest.sentry.inbox import SentryFacts
from inapp_monitor.monitor.part import Part
from inapp_monitor.monitor.services import Services


class SentrySdks(Part):
    """What SDKs of Sentry have sent."""

    name = "SDKs"

    def __init__(self, services: Services) -> None:
        self._door = services.sentry
        self._leadership = services.leadership
        self.holds = (services.sentry,)

    def tick(self, now: float) -> None:  # noqa: ARG002
        self._door.inbox.flush()
        self._door.cron_monitors.tick(is_leader=self._leadership.is_leader)

    def forked(self) -> None:
        self._door.forked()

    def close(self) -> None:
        self._door.inbox.flush()
        self._door.cron_monitors.tick(is_leader=False)

    def drops(self) -> Mapping[str, int]:
        return self._door.inbox.drops()

    def facts(self) -> SentryFacts:
        return self._door.inbox.facts()
