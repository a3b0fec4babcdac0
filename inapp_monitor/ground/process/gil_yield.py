"""Yields the interpreter lock (the GIL) to the application's threads; knows nothing of the work."""

from __future__ import annotations

from inapp_monitor.ground.clock import perf_counter, sleep

#: Any sleep lets a thread that waits for the interpreter have it. It costs 20 us of a processor.
_SLEEP_S = 1e-6
#: Seconds of work that a thread which wakes for a request may have to wait for.
_WORK_S = 1.5e-4


class GilYield:
    """Called between small pieces of work: lets other threads run first, but not for ever.

    A thread that wakes for a request waits for a few pieces, 0.15 ms. Where all others compute
    without a pause, getting the interpreter back takes milliseconds: then as much time is worked
    before it is yielded again, so that the work keeps up with what the others make.

    Args:
        work_s: Seconds of work that others may have to wait for; yielding costs 20 us.

    *Threads:* for one at a time.
    """

    def __init__(self, work_s: float = _WORK_S) -> None:
        self._work_s = work_s
        self._since = self._waited = 0.0

    def begin(self) -> None:
        """Work begins."""
        self._since = perf_counter()

    def __call__(self) -> None:
        """Yield, unless there was little work since the last time."""
        now = perf_counter()
        if now - self._since >= max(self._waited, self._work_s):
            sleep(_SLEEP_S)
            self._since = perf_counter()
            self._waited = self._since - now
