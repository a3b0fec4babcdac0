"""A thread that runs jobs one after another. It knows nothing of what they do.

One lane does for all collectors as long as none of them is slow. One that is keeps its lane, and
its owner opens another for the rest; a lane that was left ends with the job that it is at.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable

from inapp_monitor.ground.process import interrupts

#: Seconds after which an idle lane looks whether its owner is still there.
_LOOK_S = 30.0


class Lane:
    """Runs what it is given, in order, in a daemon thread.

    Args:
        owner: The lane ends when it is gone; held weakly.
        clock: Performance counter.

    Attributes:
        began: When the job under way began; None while there is none.

    *Threads:* any may put; one thread runs.
    """

    def __init__(self, owner: object, clock: Callable[[], float]) -> None:
        self.began: float | None = None
        self._clock = clock
        self._owner = weakref.ref(owner)
        self._jobs: deque[Callable[[], None]] = deque()
        self._wake = threading.Event()
        self._left = False
        self._thread = threading.Thread(
            target=self._run, name="inapp-monitor-collectors", daemon=True
        )

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: no thread can be started here.
        """
        self._thread.start()

    def put(self, job: Callable[[], None]) -> None:
        """Run a job when its turn comes; it must not raise."""
        self._jobs.append(job)
        self._wake.set()

    def leave(self) -> list[Callable[[], None]]:
        """Let the thread end after the job it is at; returns those that it did not begin."""
        self._left = True
        rest = list(self._jobs)
        self._jobs.clear()
        self._wake.set()
        return rest

    def join(self, timeout_s: float) -> None:
        """Wait a little for a lane that was left."""
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            self._wake.wait(_LOOK_S)
            self._wake.clear()
            while not self._left:
                try:
                    job = self._jobs.popleft()
                except IndexError:
                    break
                self.began = self._clock()
                with interrupts.handed_on():
                    job()
                self.began = None
                del job
            if self._left or self._owner() is None:
                return
