"""The transport of an SDK inside the application, joined to what records its errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inapp_monitor.ground.config import Settings
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ingest.sentry import in_process

if TYPE_CHECKING:
    from inapp_monitor.monitor.life import Life
    from inapp_monitor.monitor.services import Services


def make(life: Life, settings: Settings, guard: Guard) -> Any:
    """The transport; what it is given waits until the parts are loaded.

    Raises:
        ImportError: `sentry_sdk` is not installed.
    """

    def hand_over(envelope: Any, exception: BaseException | None) -> None:
        def work(services: Services) -> None:
            inbox, log_errors = services.sentry.inbox, settings.log_errors
            in_process.receive(envelope, exception, inbox, services.tracker, log_errors=log_errors)

        try:
            if settings.enabled:
                life.attach_if_needed()
                life.when_loaded(work)
        except Exception as failure:  # noqa: BLE001  # the monitor's own
            guard.failed("sentry_transport", failure)

    return in_process.make_transport(hand_over)
