"""What a request of an SDK needs: keys, rate limit, inbox, and a place among those at once."""

from __future__ import annotations

import threading
from pathlib import Path

from inapp_monitor.ingest.sentry.inbox import Inbox
from inapp_monitor.ingest.sentry.keys import Keys
from inapp_monitor.ingest.sentry.rate_limit import RateLimit

#: Requests of SDKs answered at once in a process: each may hold some megabytes.
AT_ONCE = 4


class Door:
    """Where SDKs come in.

    Args:
        data_dir: Where the keys are.
        inbox: Where what they send goes.
    """

    def __init__(self, data_dir: Path, inbox: Inbox) -> None:
        self.keys = Keys(data_dir)
        self.inbox = inbox
        self.cron_monitors = inbox.cron_monitors
        self.rate_limit = RateLimit(data_dir)
        self.places = threading.BoundedSemaphore(AT_ONCE)

    def forked(self) -> None:
        """In a child process: threads of the parent may hold the locks."""
        self.places = threading.BoundedSemaphore(AT_ONCE)
        self.rate_limit.forked()
        self.inbox.forked()
