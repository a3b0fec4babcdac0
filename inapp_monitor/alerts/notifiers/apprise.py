"""Any service that the library Apprise knows, when it is installed (extra `apprise`).

Its addresses are its own, and so is how it connects: what `http` guarantees does not hold there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from inapp_monitor.alerts import words
from inapp_monitor.alerts.notice import Notice
from inapp_monitor.alerts.notifiers.base import FailedError
from inapp_monitor.alerts.notifiers.options import Options


@dataclass(frozen=True, slots=True)
class Apprise:
    """Sends by an object of that library."""

    sender: Any  # untyped library

    @classmethod
    def read(cls, options: Options) -> Apprise:
        """From its table: `urls`.

        Raises:
            ValueError: see `Options`, or the library is missing.
        """
        try:
            import apprise  # type: ignore[import-not-found,unused-ignore]
        except ImportError:
            why = "needs the library Apprise: pip install inapp-monitor[apprise]"
            raise ValueError(f"notifier {options.name!r}: {why}") from None
        sender = apprise.Apprise()
        for url in options.secrets("urls"):
            if not sender.add(url):
                raise options.error("urls", "addresses that Apprise understands", None)
        return cls(sender)

    def send(self, notice: Notice) -> None:
        """See `base.Notifier`."""
        kind = {"OK": "success", "WARNING": "warning", "CRITICAL": "failure"}
        sent = self.sender.notify(
            title=words.subject(notice),
            body=words.text(notice),
            notify_type=kind.get(notice.status, "info"),
        )
        if not sent:
            raise FailedError("Apprise could not send it")
