"""What a request of an SDK needs: keys, rate limit, inbox, time, a place among those at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from inapp_monitor.ingest.sentry.inbox import Inbox
from inapp_monitor.ingest.sentry.keys import Keys
from inapp_monitor.ingest.sentry.rate_limit import RateLimit
from inapp_monitor.ingest.sentry.read_deadlines import ReadDeadlines

#: Requests of SDKs answered at once in a process: each may hold some megabytes.
AT_ONCE = 4
#: Those of them that name their key in the body, so that a part of it is read for anybody.
AT_ONCE_WITHOUT_KEY = 2
#: Refused requests of which the rest is read, so that the client sees the answer.
AT_ONCE_REFUSED = 1


class Door:
    """Where SDKs come in.

    Args:
        data_dir: Where the keys are.
        inbox: Where what they send goes.
        now: Seconds of a clock that never goes back.
    """

    def __init__(self, data_dir: Path, inbox: Inbox, now: Callable[[], float]) -> None:
        self.keys = Keys(data_dir)
        self.inbox = inbox
        self.cron_monitors = inbox.cron_monitors
        self.rate_limit = RateLimit(data_dir)
        self.deadlines = ReadDeadlines(now)
        self._make_places()

    def forked(self) -> None:
        """In a child process: threads of the parent may hold the locks."""
        self._make_places()
        self.deadlines.forked()
        self.rate_limit.forked()
        self.inbox.forked()

    def _make_places(self) -> None:
        #: Held while one is recorded: of several at once the application's own threads would have
        #: to wait for each in turn.
        self.recording = threading.Lock()
        self.places = threading.BoundedSemaphore(AT_ONCE)
        self.places_without_key = threading.BoundedSemaphore(AT_ONCE_WITHOUT_KEY)
        self.places_refused = threading.BoundedSemaphore(AT_ONCE_REFUSED)
