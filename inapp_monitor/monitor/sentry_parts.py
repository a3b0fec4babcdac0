"""The part that receives from SDKs of Sentry.

Thin: it calls what the room offers when the monitor's life says so. The room does not know it, and
is loaded when an SDK may send: when there is a key, or the dashboard or the application needs it.
"""

from __future__ import annotations

from collections.abc import Mapping

from inapp_monitor.ingest.sentry.facts import KEYS_FILE, SentryFacts
from inapp_monitor.monitor.part import Part
from inapp_monitor.monitor.services import Services


class SentrySdks(Part):
    """What SDKs of Sentry have sent."""

    name = "SDKs"

    def __init__(self, services: Services) -> None:
        self._services = services
        self._keys = services.core.settings.data_dir / KEYS_FILE

    def tick(self, now: float) -> None:  # noqa: ARG002
        if not self._services.is_sentry_loaded and not self._keys.exists():
            return
        door = self._services.sentry
        door.inbox.flush()
        door.cron_monitors.tick(is_leader=self._services.leadership.is_leader)

    def forked(self) -> None:
        if self._services.is_sentry_loaded:
            self._services.sentry.forked()

    def close(self) -> None:
        if self._services.is_sentry_loaded:
            self._services.sentry.inbox.flush(at_once=True)
            self._services.sentry.cron_monitors.tick(is_leader=False)

    def drops(self) -> Mapping[str, int]:
        return self._services.sentry.inbox.drops() if self._services.is_sentry_loaded else {}

    def facts(self) -> SentryFacts:
        if not self._services.is_sentry_loaded:
            return SentryFacts(0, 0)
        return self._services.sentry.inbox.facts()
