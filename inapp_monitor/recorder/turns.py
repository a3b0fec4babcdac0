"""Taking turns with the application's threads for the interpreter. Knows nothing of the work."""

from __future__ import annotations

from inapp_monitor.clock import perf_counter, sleep

#: Any sleep lets a thread that waits for the interpreter have it.
_SLEEP_S = 1e-6


class Turns:
    """Called between small pieces of work: lets other threads go ahead, but not for ever.

    A thread that wakes for a request waits for one piece. Where all others compute without a
    pause, getting the interpreter back takes milliseconds: then as much time is worked before the
    next turn, so that the work keeps up with what the others make.

    *Threads:* for one at a time.
    """

    def __init__(self) -> None:
        self._since = self._waited = 0.0

    def __call__(self) -> None:
        """Give way, unless the last turn of the others took longer than the work since."""
        now = perf_counter()
        if now - self._since >= self._waited:
            sleep(_SLEEP_S)
            self._since = perf_counter()
            self._waited = self._since - now
