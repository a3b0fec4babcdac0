"""The tick: a daemon thread that calls its owner at an interval. It does not know what for.

Nothing may depend on it: where threads are frozen or cannot start, requests and dashboard reads
tick instead. It holds its owner weakly, so that a dropped monitor can go away.

A fork waits a little for the end of a call: what a thread refers to in the middle of one stays
alive in the child for ever, through the owner also the application's module, and what that has
written to an open file, but not yet flushed, would be lost at the child's end.
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
#: Seconds after which a fork does not wait any longer.
_LONGEST_WAIT_S = 0.5

#: Of this process.
_tickers: weakref.WeakSet[Ticker] = weakref.WeakSet()
_stopped_for_fork: list[list[Ticker]] = []


def before_fork() -> None:
    """Wait until no thread is in the middle of a call, and keep them from the next one."""
    here = threading.current_thread()
    others = [ticker for ticker in list(_tickers) if ticker.thread is not here]
    _stopped_for_fork.append(
        [each for each in others if each.calling.acquire(timeout=_LONGEST_WAIT_S)]
    )


def after_fork_in_parent() -> None:
    """Go on."""
    for ticker in _stopped_for_fork.pop():
        ticker.calling.release()


def after_fork_in_child() -> None:
    """Their threads are not here."""
    _stopped_for_fork.clear()
    _tickers.clear()


class Ticker:
    """Calls a method of `owner` every `interval_s` in a thread of its own.

    Args:
        method: A bound method; it must not raise.
        interval_s: Seconds between the end of a call and the next.
        first_s: Seconds until the first call.

    Attributes:
        calling: Held during a call.
    """

    def __init__(
        self, method: Callable[[], Any], interval_s: float, first_s: float | None = None
    ) -> None:
        self._method = weakref.WeakMethod(method)
        self._interval_s = interval_s
        self._first_s = interval_s if first_s is None else first_s
        self._is_behind = False
        self._stopping = threading.Event()
        self.calling = threading.Lock()
        self.thread = threading.Thread(target=self._run, name="inapp-monitor", daemon=True)

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: no thread can be started here.
        """
        _tickers.add(self)
        self.thread.start()

    def come_again_soon(self) -> None:
        """Called within a call that has left work to the next: that one is not to be late."""
        self._is_behind = True

    def stop(self, timeout_s: float) -> None:
        """Ask the thread to end and wait a little."""
        self._stopping.set()
        if self.thread.is_alive() and self.thread is not threading.current_thread():
            self.thread.join(timeout_s)

    def _run(self) -> None:
        pause_s = self._first_s
        current_request.enter(current_request.NOBODY)
        while not self._stopping.is_set():
            with interrupts.raised_in_main_greenlet():
                if self._stopping.wait(pause_s):
                    return
                pause_s = self._interval_s
                self._is_behind = False
                with self.calling:
                    method = self._method()
                    if method is None:
                        return
                    method()
                    del method
                if self._is_behind:
                    pause_s = min(pause_s, _BEHIND_S)
