"""A thread that runs jobs one after another. It knows nothing of what they do.

One thread is enough for all jobs as long as none of them is slow. A slow one keeps its thread, and
the owner starts another one for the rest; a thread that was abandoned ends with its present job.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable

from inapp_monitor.ground.process import interrupts

#: Seconds after which an idle thread looks whether its owner still exists.
_OWNER_CHECK_S = 30.0


class JobThread:
    """Runs jobs in the order in which they are added, in a daemon thread.

    Args:
        owner: The thread ends when it is gone; held weakly.
        name: The thread's name.
        clock: Performance counter.

    Attributes:
        job_began: When the present job began; None while there is none.

    *Threads:* any may add; one thread runs.
    """

    def __init__(self, owner: object, name: str, clock: Callable[[], float]) -> None:
        self.job_began: float | None = None
        self._clock = clock
        self._owner = weakref.ref(owner)
        self._jobs: deque[Callable[[], None]] = deque()
        self._wake = threading.Event()
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: no thread can be started here.
        """
        self._thread.start()

    def add(self, job: Callable[[], None]) -> None:
        """Run a job after those that were added before; it must not raise."""
        self._jobs.append(job)
        self._wake.set()

    def abandon(self) -> None:
        """Begin no further job: the thread ends after the present one."""
        self._abandoned = True
        self._jobs.clear()
        self._wake.set()

    def join(self, timeout_s: float) -> None:
        """Wait a little for the end of an abandoned thread."""
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            self._wake.wait(_OWNER_CHECK_S)
            self._wake.clear()
            while not self._abandoned:
                try:
                    job = self._jobs.popleft()
                except IndexError:
                    break
                self.job_began = self._clock()
                with interrupts.raised_in_main_greenlet():
                    job()
                self.job_began = None
                del job
            if self._abandoned or self._owner() is None:
                return
