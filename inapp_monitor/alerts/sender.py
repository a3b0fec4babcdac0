"""Sends what waits in the outbox, and pushes snapshots: in threads of its own, by the leader.

Each notifier has a thread, so that one that hangs keeps no other waiting. A tick only looks whether
something is due and gives it to the thread; a thread whose job does not end is abandoned, and its
notices are sent by the next one after their lease.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from inapp_monitor.alerts import throttle
from inapp_monitor.alerts.notice import Notice
from inapp_monitor.alerts.notifiers.base import FailedError, RefusedError, Standing
from inapp_monitor.alerts.outbox import GIVEN_UP, LEASE_S, SENT, Outbox, Row
from inapp_monitor.alerts.summary import summary
from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.process.job_thread import JobThread

if TYPE_CHECKING:
    from inapp_monitor.alerts.notifiers.registry import Channel

#: Seconds before the next attempt, by the number of those that failed.
_PAUSES_S = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
#: Seconds after which nobody needs a notice any more.
GIVE_UP_S = 3 * 86_400.0
#: A thread that works longer is abandoned; at most so many of a notifier are.
_HANGING_S = LEASE_S / 2
_MAX_ABANDONED = 3
#: Seconds that the end of a process waits for a notice that is being sent.
_STOP_S = 1.0
#: Seconds without a look at the table, though nothing was written.
_LOOK_S = 30.0


@dataclass(frozen=True, slots=True)
class NotifierFacts:
    """Those who are notified, for pages.

    Attributes:
        notifiers: Name and type of each, and whether it is sent notices (not snapshots only).
    """

    notifiers: tuple[tuple[str, str, bool], ...] = ()


@dataclass(slots=True)
class _Line:
    """A notifier and its thread."""

    channel: Channel
    thread: JobThread | None = None
    queued: bool = False
    abandoned: int = 0
    due: float = 0.0
    pushed: float = float("-inf")
    not_before: float = float("-inf")
    seen: Sequence[int] = ()


class Sender:
    """The notifiers of one monitor.

    Args:
        channels: As configured.
        outbox: Where notices wait.
        clock: Wall clock for due times, performance counter for jobs.
        guard: Informed of notifiers that fail, by name, until they work again.
        enrich: Adds links, values and the like to a notice that is about to be sent.
        database_path: Its file: a tick looks whether it has changed before it reads the table.

    *Threads:* `tick` and the rest for the ticking thread.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        outbox: Outbox,
        clock: Clock,
        guard: Guard,
        enrich: Callable[[Notice], Notice],
        database_path: Path,
    ) -> None:
        self._lines = [_Line(channel) for channel in channels]
        self._outbox = outbox
        self._clock = clock
        self._guard = guard
        self._enrich = enrich
        self._path = database_path
        self._mark: tuple[float, ...] = ()
        self._looked = float("-inf")
        self.sent = 0

    @property
    def is_busy(self) -> bool:
        """Whether any thread has a job."""
        return any(line.queued for line in self._lines)

    @property
    def wants_snapshots(self) -> bool:
        """Whether any notifier is pushed to."""
        return any(line.channel.pusher is not None for line in self._lines)

    def tick(
        self,
        now: float,
        statuses: Sequence[int] = (),
        snapshot: Callable[[], Sequence[Standing]] = list,
    ) -> None:
        """Give what is due to the threads. Waits for nothing.

        Args:
            statuses: The HARD status of each state: a change is pushed at once.
            snapshot: All states; asked only when something is pushed.
        """
        if not self._lines:
            return
        self._look(now)
        for line in self._lines:
            self._watch(line)
            if line.queued or (line.thread is None and line.abandoned >= _MAX_ABANDONED):
                continue
            if self._clock.perf() < line.not_before:  # no thread could be started
                continue
            if line.channel.pusher is not None:
                self._push_if_due(line, now, statuses, snapshot)
            elif self._outbox.unwritten.overdue(line.channel.name, self._clock.perf()):
                if now >= line.pushed + _PAUSES_S[0] or now < line.pushed:
                    line.pushed = now
                    self._start(line, lambda line=line: self._send_unwritten(line))  # type: ignore[misc]
            elif now >= line.due:
                line.due = float("inf")
                self._start(line, lambda line=line: self._deliver(line, self._clock.wall()))  # type: ignore[misc]

    def forked(self) -> None:
        """In a child process the threads are the parent's."""
        for line in self._lines:
            line.thread, line.queued, line.abandoned, line.due = None, False, 0, 0.0
        self._mark = ()

    def stop(self) -> None:
        """Begin nothing more."""
        for line in self._lines:
            thread, line.thread = line.thread, None
            if thread is not None:
                thread.abandon()
                if line.queued:  # what is being sent is noted as sent
                    thread.join(_STOP_S)
            line.queued = False

    def deliver_now(self) -> None:
        """Send what is due, in the calling thread: for the command line and tests."""
        for line in self._lines:
            if line.channel.notifier is not None:
                self._deliver(line, self._clock.wall())

    # -- in the ticking thread

    def _look(self, now: float) -> None:
        """Ask the table when the next notices are due, when something was written since."""
        mark: list[float] = []
        for name in (self._path, self._path.with_name(self._path.name + "-wal")):
            try:
                found = name.stat()
            except OSError:
                continue
            mark += [found.st_mtime_ns, found.st_size]
        changed = tuple(mark) != self._mark
        if not mark or (not changed and 0 <= now - self._looked < _LOOK_S):
            return
        self._mark, self._looked = tuple(mark), now
        due = self._outbox.next_due(now)
        for line in self._lines:
            line.due = due.get(line.channel.name, float("inf"))

    def _watch(self, line: _Line) -> None:
        thread = line.thread
        began = thread.job_began if thread is not None else None
        if thread is None or began is None or self._clock.perf() - began < _HANGING_S:
            return
        self._guard.failed(_part(line), TimeoutError(f"no end after {_HANGING_S:.0f} s"))
        thread.abandon()
        line.thread, line.queued = None, False
        line.abandoned += 1

    def _start(self, line: _Line, job: Callable[[], None]) -> None:
        if line.thread is None:
            name = f"inapp-monitor notifier {line.channel.name}"
            thread = JobThread(self, name, self._clock.perf)
            try:
                thread.start()
            except RuntimeError as error:  # no threads here
                self._guard.failed(_part(line), error)
                line.not_before = self._clock.perf() + _PAUSES_S[0]
                line.due, line.pushed = 0.0, float("-inf")  # as before
                return
            line.thread = thread
        line.queued = True
        mine = line.thread

        def run() -> None:
            try:
                job()
            except Exception as error:  # noqa: BLE001  # whatever a receiver or library does
                self._guard.failed(_part(line), error)
            finally:
                if line.thread is mine:
                    line.queued = False
                elif line.abandoned:
                    line.abandoned -= 1  # it has come to an end after all

        line.thread.add(run)

    def _push_if_due(
        self,
        line: _Line,
        now: float,
        statuses: Sequence[int],
        snapshot: Callable[[], Sequence[Standing]],
    ) -> None:
        pusher = line.channel.pusher
        assert pusher is not None
        waited_s = now - line.pushed
        if statuses == line.seen and 0 <= waited_s < pusher.every_s:
            return
        line.seen, line.pushed = statuses, now
        standings = snapshot()

        def push() -> None:
            try:
                pusher.push(standings, now)
            except (FailedError, RefusedError, OSError) as error:
                line.pushed = now - max(pusher.every_s - _PAUSES_S[0], 0.0)
                self._guard.failed(_part(line), error)
            else:
                self._guard.recovered(_part(line))

        self._start(line, push)

    # -- in the notifier's thread

    def _deliver(self, line: _Line, now: float) -> None:
        channel, outbox = line.channel, self._outbox
        rows = {row.id: row for row in outbox.claim(channel.name, now)}
        if not rows:
            return
        waiting = [throttle.Waiting(row.id, row.key) for row in rows.values()]
        sent = outbox.sent_since(channel.name, now - throttle.LOOK_BACK_S)
        plan = throttle.plan(waiting, sent, now, channel.max_per_hour)
        if plan.postponed:
            outbox.postpone(plan.postponed, fault="held back: too many of late")
        for number, ids in enumerate(plan.together):
            if not 0 <= self._clock.wall() - now < LEASE_S / 2:
                break  # another one may have them by now, and will send the rest
            if not self._send(line, [rows[each] for each in ids]):
                rest = [each for later in plan.together[number + 1 :] for each in later]
                retry = self._clock.wall() + _PAUSES_S[0]
                outbox.postpone(dict.fromkeys(rest, retry))
                break

    def _send(self, line: _Line, rows: list[Row]) -> bool:
        """Send some as one; whether the notifier works."""
        notifier = line.channel.notifier
        assert notifier is not None
        ids = [row.id for row in rows]
        notices = [row.notice for row in rows]
        notice = self._enriched(notices[0]) if len(rows) == 1 else summary(notices)
        try:
            notifier.send(notice)
        except RefusedError as error:
            self._guard.failed(_part(line), error)
            self._outbox.settle(ids, GIVEN_UP, self._clock.wall(), str(error))
            return True
        except Exception as error:  # noqa: BLE001  # also what a library of theirs raises
            self._guard.failed(_part(line), error)
            self._retry(rows, str(error))
            return False
        self._guard.recovered(_part(line))
        self.sent += 1
        together = "together" if len(rows) > 1 else ""
        self._outbox.settle(ids, SENT, self._clock.wall(), together)
        return True

    def _send_unwritten(self, line: _Line) -> None:
        """Send what the disk does not take, from memory."""
        unwritten, name = self._outbox.unwritten, line.channel.name
        assert line.channel.notifier is not None
        for notice in unwritten.overdue(name, self._clock.perf()):
            try:
                line.channel.notifier.send(self._enriched(notice))
            except (FailedError, RefusedError, OSError) as error:
                self._guard.failed(_part(line), error)
                return
            self.sent += 1
            unwritten.sent(notice, name)

    def _retry(self, rows: list[Row], fault: str) -> None:
        now = self._clock.wall()
        old = [row.id for row in rows if now - row.notice.at > GIVE_UP_S]
        if old:
            self._outbox.settle(old, GIVEN_UP, now, fault)
        due = {
            row.id: now + _PAUSES_S[min(row.attempts, len(_PAUSES_S) - 1)]
            for row in rows
            if row.id not in old
        }
        self._outbox.postpone(due, fault=fault, tried=True)

    def _enriched(self, notice: Notice) -> Notice:
        try:
            return self._enrich(notice)
        except Exception as error:  # noqa: BLE001  # it is worth sending without
            self._guard.failed("context of notices", error)
            return notice


def _part(line: _Line) -> str:
    return part_of(line.channel.name)


def part_of(name: str) -> str:
    """What the guard calls a notifier."""
    return f"notifier {name}"
