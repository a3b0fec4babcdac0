"""The tick: a daemon thread that calls its owner at an interval. It does not know what for.

Nothing may depend on it: where threads are frozen or cannot start, requests and dashboard reads
tick instead. It holds its owner weakly, so that a dropped monitor can go away.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any

from inapp_monitor.ground import current_request
from inapp_monitor.ground.process import interrupts

#: Seconds between a call that has left work and the next: the application comes first meanwhile.
_BEHIND_S = 0.1


class Ticker:
    """Calls a method of `owner` every `interval_s` in a thread of its own.

    Args:
        method: A bound method; it must not raise.
        interval_s: Seconds between the end of a call and the next.
        first_s: Seconds until the first call.
    """

    def __init__(
        self, method: Callable[[], Any], interval_s: float, first_s: float | None = None
    ) -> None:
        self._method = weakref.WeakMethod(method)
        self._interval_s = interval_s
        self._first_s = interval_s if first_s is None else first_s
        self._is_behind = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="inapp-monitor", daemon=True)

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: no thread can be started here.
        """
        self._thread.start()

    def come_again_soon(self) -> None:
        """Called within a call that has left work to the next: that one is not to be late."""
        self._is_behind = True

    def stop(self, timeout_s: float) -> None:
        """Ask the thread to end and wait a little."""
        self._stopping.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        pause_s = self._first_s
        current_request.enter(current_request.NOBODY)
        while not self._stopping.is_set():
            with interrupts.raised_in_main_greenlet():
                if self._stopping.wait(pause_s):
                    return
                pause_s = self._interval_s
                self._is_behind = False
                method = self._method()
                if method is None:
                    return
                method()
                del method
                if self._is_behind:
                    pause_s = min(pause_s, _BEHIND_S)
