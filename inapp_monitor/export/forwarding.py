"""The thread that hands over to one destination what is new: patient, bounded, never in a tick.

The queue is what the store and the database keep anyway, so that it outlives processes and a peer
that is away for hours; the position in it is a small file. What is not kept any more when the peer
comes back is dropped, and counted. A peer that hangs holds up this thread and nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from inapp_monitor.export import progress_file
from inapp_monitor.export.channel import Channel, LaterError, RefusedError
from inapp_monitor.export.progress_file import Progress, Written, ignore
from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.visible_text import visible_line

#: Seconds between two looks for something new.
POLL_S: Final = 1.0
#: Seconds after a first failure, doubled with each further one.
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
#: Longest pause that a peer can ask for.
_LONGEST_PATIENCE_S: Final = 3_600.0
#: Seconds that a peer may take before it is said to hang.
_QUICK_S: Final = 3.0
_MAX_ERROR_CHARS: Final = 200


class Forwarder:
    """Feeds one destination, in the process that leads.

    Args:
        channel: What is spoken there.
        path: The file of its position.
        name: Of the thread.
        failed: Called with what our own code did wrong.
        written: See `progress_file.Written`.

    Attributes:
        dropped: What this process had to drop.

    *Threads:* `tick`, `stop` and `forked` for the ticking thread, `progress` for any.
    """

    def __init__(
        self,
        channel: Callable[[], Channel],
        path: Path,
        clock: Clock,
        name: str,
        failed: Callable[[Exception], object],
        written: Written = ignore,
    ) -> None:
        self._make_channel = channel
        self._path = path
        self._clock = clock
        self._name = name
        self._failed = failed
        self._written = written
        self.dropped = 0
        self.forked()

    def forked(self) -> None:
        """In a child process: the thread, its connection and its position are the parent's."""
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._progress: Progress | None = None
        self._not_before = 0.0
        self._sending_since: float | None = None
        self.dropped = 0

    def tick(self, *, is_leader: bool) -> None:
        """Have the thread run where it should."""
        thread = self._thread
        if not is_leader:
            self.stop(0.0)
        elif thread is None or not thread.is_alive():
            self._stop = threading.Event()
            self._progress = None
            self._thread = threading.Thread(
                target=self._run, args=(self._stop,), name=self._name, daemon=True
            )
            self._thread.start()

    def end_soon(self) -> None:
        """Have the thread end after what it is sending."""
        self._stop.set()

    def stop(self, patience_s: float) -> None:
        """End the thread, and wait a little for what it is sending."""
        thread, self._thread = self._thread, None
        self._stop.set()
        if thread is not None and patience_s and thread is not threading.current_thread():
            thread.join(patience_s)

    def progress(self) -> Progress:
        """How the destination fares, in whichever worker its thread runs."""
        known = self._progress
        if known is None:
            return progress_file.load(self._path)
        return replace(known, waiting_s=known.waiting_s + self.hangs_s())

    def hangs_s(self) -> float:
        """For how long the peer has been waited for, in this process; 0 while it is quick."""
        since = self._sending_since
        passed_s = 0.0 if since is None else self._clock.perf() - since
        return passed_s if passed_s > _QUICK_S else 0.0

    # -- the thread

    def _run(self, stop: threading.Event) -> None:
        channel = self._make_channel()
        try:
            while not stop.is_set():
                try:
                    is_behind = self.step(channel)
                except Exception as error:  # noqa: BLE001  # our own: the next round tries again
                    is_behind = False
                    self._failed(error)
                    self._put_off(error, None)
                if not is_behind:
                    stop.wait(POLL_S)
        finally:
            channel.close()

    def step(self, channel: Channel) -> bool:
        """Hand over the next portion, if there is one and it is time. Returns whether it was."""
        now = self._clock.wall()
        progress = self._progress
        if progress is None:
            progress = self._progress = progress_file.load(self._path)
        if not progress.position:
            progress.position = channel.beginning(now)
            self._save(progress)
        if self._clock.perf() < self._not_before:
            progress.waiting_s, progress.waiting = channel.waiting(progress.position, now)
            return False
        work = channel.next(progress.position, now)
        if work is None:
            progress.waiting_s, progress.waiting = 0.0, 0
            return False
        progress.waiting_s, progress.waiting = channel.waiting(progress.position, now)
        refused = 0
        try:
            if work.payload is not None:
                self._sending_since = self._clock.perf()
                refused = channel.send(work.payload)
        except RefusedError as error:
            refused = work.size
            progress.last_error = _text(error)
        except (OSError, LaterError) as error:
            channel.close()
            self._put_off(error, getattr(error, "after_s", None))
            self._save(progress)
            return False
        else:
            progress.last_error = ""
            progress.last_sent = now if work.payload is not None else progress.last_sent
        finally:
            self._sending_since = None
        progress.failures = 0
        progress.sent += work.size - refused
        progress.dropped += refused + work.dropped
        self.dropped += refused + work.dropped
        progress.position = work.position
        progress.waiting_s, progress.waiting = channel.waiting(progress.position, now)
        self._save(progress)
        return True

    def _put_off(self, error: Exception, after_s: float | None) -> None:
        progress = self._progress or Progress()
        progress.failures += 1
        progress.last_error = _text(error)
        pause_s = min(_FIRST_PAUSE_S * 2.0 ** (progress.failures - 1), _LONGEST_PAUSE_S)
        if after_s is not None:
            pause_s = max(pause_s, min(after_s, _LONGEST_PATIENCE_S))
        self._not_before = self._clock.perf() + pause_s

    def _save(self, progress: Progress) -> None:
        try:
            progress_file.save(self._path, progress)
        except OSError as error:  # after a restart the last portions are sent once more
            self._written(error)
        else:
            self._written(None)


def _text(error: Exception) -> str:
    return visible_line(str(error) or type(error).__name__)[:_MAX_ERROR_CHARS]
