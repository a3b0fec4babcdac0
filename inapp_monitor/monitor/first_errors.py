"""The errors that wait, for a moment, until what records them is loaded.

What waits keeps the frames of a failed request alive, so it is bounded in number and in age; what
has to be dropped is counted. What an error becomes is not known here.
"""

from __future__ import annotations

import contextvars
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from inapp_monitor.ground import current_request
from inapp_monitor.monitor.core import Core

if TYPE_CHECKING:
    from inapp_monitor.monitor.services import Services

#: Errors that wait; a request with a further one loads the parts.
MOST_WAITING = 100
#: Seconds that one waits.
LONGEST_WAIT_S = 3.0
#: Seconds that somebody who asks what has been recorded waits for those that another records.
_LONGEST_TURN_S = 1.0

Work = Callable[["Services"], object]


class FirstErrors:
    """Those of one monitor in one process.

    *Threads:* everything may be called from any thread. The application's code may run while one
    is recorded (receivers of signals, handlers of logging), so nobody waits for that for ever.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._waiting: deque[tuple[float, Work]] = deque()
        self._lock = threading.RLock()
        self._are_recorded = False

    def there_are(self) -> bool:
        """Whether some wait or are being recorded."""
        return bool(self._waiting) or self._are_recorded

    def are_full(self) -> bool:
        """Whether no further one may wait."""
        return len(self._waiting) >= MOST_WAITING

    def are_late(self) -> bool:
        """Whether one has waited too long: the ticking thread does not run."""
        try:
            return self._waiting[0][0] < self._core.clock.perf() - LONGEST_WAIT_S
        except IndexError:
            return False

    def add(self, work: Work) -> None:
        """Do something later, with the context variables, and what the application has set for the
        request, as they are now."""
        context = contextvars.copy_context()
        scope = sys.modules.get("inapp_monitor.issues.scope")
        if scope is not None:  # the application has said something of the request
            context.run(scope.detach)
        context.run(current_request.enter, None)
        at = self._core.clock.perf()
        self._waiting.append((at, lambda services: context.run(work, services)))

    def record(self, services: Services) -> None:
        """Record all; returns when they are, or when this takes another thread long."""
        lock = self._lock
        if not lock.acquire(timeout=_LONGEST_TURN_S):
            return
        try:
            if self._are_recorded:  # this thread does it: recording one has asked for the parts
                return
            self._are_recorded = True
            try:
                self._record(services)
            finally:
                self._are_recorded = False
        finally:
            lock.release()

    def _record(self, services: Services) -> None:
        while self._waiting:
            try:
                _, work = self._waiting.popleft()
            except IndexError:  # it was dropped
                return
            try:
                work(services)
            except Exception as error:  # noqa: BLE001  # the monitor's own
                self._core.guard.failed("error before the parts were loaded", error)

    def drop_late(self) -> None:
        """Drop those that have waited too long: the parts could not be loaded."""
        while self.are_late():
            try:
                self._waiting.popleft()
            except IndexError:
                return
            self.note_dropped()

    def note_dropped(self) -> None:
        """Count one that was not kept."""
        self._core.dropped_first_errors += 1

    def forked(self) -> None:
        """In a child process: those that wait are the parent's."""
        self._waiting.clear()
        self._lock = threading.RLock()
        self._are_recorded = False
