"""When collectors run, and that none of them is waited for.

The tick asks what is due and goes on: collectors run in a `JobThread`, and what they
published is fetched by a later tick. It must not know what a collector measures.
"""

from __future__ import annotations

import os
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from inapp_monitor.collectors import configured, discovery
from inapp_monitor.collectors.base import Shared, end_of_interval, joined
from inapp_monitor.collectors.job import SLOW_S, Job
from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.config import Settings
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.points import Scalar
from inapp_monitor.ground.process.job_thread import JobThread
from inapp_monitor.ground.series_description import Description

#: Seconds after the first tick in which nothing runs: a process that soon ends pays nothing.
START_DELAY_S = 2.0
THREAD_NAME = "inapp-monitor-collectors"
#: Collectors of one monitor.
MAX_COLLECTORS = 100
#: Seconds until a thread is tried again where none could be started, and is reported again.
_THREAD_RETRY_S = 5.0
_THREAD_REPORT_S = 60.0
_THREAD_PART = "thread of the collectors"

#: Who runs the collector of a process id, data directory and name: two monitors of one directory
#: in a process must not count everything twice.
_at_work: dict[tuple[int, str, str], weakref.ref[Runner]] = {}


@dataclass(frozen=True, slots=True)
class CollectorFacts:
    """Every collector and how it fares, see `Runner.rows`."""

    collectors: Sequence[Mapping[str, Any]] = ()


class Runner:
    """The collectors of one monitor in one process.

    Args:
        given: What the app registered; may grow later.

    Attributes:
        thread: Where collectors run; None before the first has to, and where none can start.

    *Threads:* for the ticking thread; `rows` for any. *Fork:* the owner calls `forked`.
    """

    def __init__(
        self, settings: Settings, clock: Clock, guard: Guard, given: list[discovery.Candidate]
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._guard = guard
        self._given = given
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._jobs: list[Job] = []
        self._names: dict[str, Job] = {}
        self._candidates: deque[discovery.Candidate] = deque()
        self._seen_of_given = 0
        self._has_looked = False
        self._looks: list[Callable[[], None]] = []  # that no thread has begun
        self._looks_queued = False
        self._is_leader = False
        self.thread: JobThread | None = None
        self._began: float | None = None
        self._thread_not_before = self._report_not_before = float("-inf")
        self._thread_failed = False
        self._joined_slot = -1

    def forked(self) -> None:
        """In a child process: threads, totals and what was published are the parent's."""
        self._start_afresh()

    def tick(
        self, is_leader: bool, others: Callable[[], Iterable[Mapping[str, Sequence[Any]]]]
    ) -> list[Scalar]:
        """Start what is due, and fetch what was published meanwhile. Waits for nothing.

        Args:
            is_leader: Whether this process does what must be done once.
            others: Returns what `shared` is in the other workers; asked when they are joined.
        """
        now = self._clock.perf()
        if self._began is None:
            self._began = now
        scalars = [scalar for job in self._jobs for scalar in _emptied(job)]
        if now - self._began < START_DELAY_S:
            return scalars
        self._lead(is_leader)
        self._watch_thread(now)
        self._meet()
        self._start(self._waiting_looks() + self._due(now), now)
        if is_leader and self._is_time_to_join():
            wall, interval_s = self._clock.wall(), self._settings.collect_interval_s
            timestamp = int(end_of_interval(wall - interval_s / 2, interval_s))
            scalars += joined([self.shared(), *others()], wall, timestamp)
        return scalars

    def take_descriptions(self) -> dict[str, Description]:
        """What collectors have said of their series since the last call."""
        said: dict[str, Description] = {}
        for job in self._jobs:
            while job.described:
                said.update(job.described.popleft())
        return said

    def shared(self) -> dict[str, Shared]:
        """Gauges of this worker that the leader joins with those of the others."""
        sinks = [job.sink for job in self._jobs if job.sink is not None]
        return {path: value for sink in sinks for path, value in sink.shared.items()}

    def seen(self) -> dict[str, Any]:
        """What the process collector last saw of this worker, for the table of workers."""
        job = self._names.get("process")
        return dict(getattr(job.collector, "seen", {})) if job is not None else {}

    def drops(self) -> dict[str, int]:
        """Values that were not recorded, by reason."""
        refused = sum(job.sink.refused for job in self._jobs if job.sink is not None)
        return {"values of collectors past their cap": refused} if refused else {}

    def rows(self) -> list[dict[str, Any]]:
        """Every collector and how it fares, for the status page."""
        return [job.row(self._is_leader) for job in list(self._jobs)]

    def stop(self, timeout_s: float = 0.5) -> None:
        """Begin nothing more, and wait a little for what is under way. A later tick begins anew."""
        thread = self.thread
        self._abandon_thread()
        self._began = None
        if thread is not None:
            thread.join(timeout_s)
        for name in self._names:
            _at_work.pop(self._key(name), None)

    # -- who leads

    def _lead(self, is_leader: bool) -> None:
        """After a time as no leader totals begin anew: another process has counted meanwhile."""
        if self._is_leader and not is_leader:
            for job in self._jobs:
                if job.facts is not None and not job.facts.per_worker and job.sink is not None:
                    job.sink.forget_totals()
        self._is_leader = is_leader

    def _is_time_to_join(self) -> bool:
        """Once an interval, half of one after the workers measured."""
        interval_s = self._settings.collect_interval_s
        slot = int((self._clock.wall() - interval_s / 2) // interval_s)
        is_time, self._joined_slot = slot != self._joined_slot, slot
        return is_time

    # -- what there is

    def _meet(self) -> None:
        """Make jobs of collectors that were found or given since the last tick."""
        if not self._has_looked:
            self._has_looked = True
            settings = self._settings
            self._candidates.extend(discovery.built_in(settings))
            self._candidates.extend(discovery.from_settings(settings))
            self._looks = [self._look_at_packages] if settings.collect_installed else []
            self._looks += [self._look_at_configured] if configured.is_wanted(settings) else []
        new = self._given[self._seen_of_given :]
        self._seen_of_given += len(new)
        self._candidates.extend(new)
        interval_s = self._settings.collect_interval_s
        while self._candidates and len(self._jobs) < MAX_COLLECTORS:
            candidate = self._candidates.popleft()
            self._jobs.append(Job(candidate, interval_s, self._clock, self._guard))

    def _waiting_looks(self) -> list[Callable[[], None]]:
        """Looks for collectors that no thread has been given: each runs once."""
        return [] if self._looks_queued else [partial(self._look, look) for look in self._looks]

    def _look(self, look: Callable[[], None]) -> None:
        """In the thread of the jobs: it may have been abandoned, and another have run this."""
        try:
            self._looks.remove(look)
        except ValueError:
            return
        look()

    def _look_at_packages(self) -> None:
        """In the thread of the jobs: some packages may be slow to look at."""
        try:
            self._candidates.extend(discovery.from_packages())
        except Exception as error:  # noqa: BLE001  # whatever is installed
            self._guard.failed("collectors of installed packages", error)

    def _look_at_configured(self) -> None:
        """In the thread of the jobs: it reads files."""
        try:
            self._candidates.extend(configured.candidates(self._settings))
        except Exception as error:  # noqa: BLE001  # whatever the files hold
            self._guard.failed("collectors of settings", error)

    def _due(self, now: float) -> list[Callable[[], None]]:
        wall = self._clock.wall()
        due: list[Callable[[], None]] = []
        for job in self._jobs:
            slot = int(wall // job.interval_s)
            if not job.is_due(slot, now) or not self._may_run(job):
                continue
            job.slot, job.queued = slot, True
            due.append(job.load if job.facts is None else job.run)
        return due

    def _may_run(self, job: Job) -> bool:
        facts = job.facts
        if facts is None:
            return True
        holder = self._names.setdefault(facts.name, job)
        if holder is not job:
            self._retire(job, holder)
            return False
        if not facts.per_worker and not self._is_leader:
            return False
        at_work = _at_work.get(self._key(facts.name), _nobody)()
        if at_work is None:
            _at_work[self._key(facts.name)] = weakref.ref(self)
        return at_work is None or at_work is self

    def _retire(self, job: Job, holder: Job) -> None:
        """The first collector of a name keeps it; a class that is registered twice runs once."""
        if holder.is_same(job):
            job.retire("registered twice")
            return
        reason = f"another collector has its name already (source: {holder.source})"
        job.retire(reason)
        self._guard.failed(f"{job.part} of {job.source}", ValueError(reason))

    def _key(self, name: str) -> tuple[int, str, str]:
        return os.getpid(), str(self._settings.data_dir), name

    # -- the thread

    def _watch_thread(self, now: float) -> None:
        """Abandon a thread that a slow collector keeps, so that the others run."""
        began = self.thread.job_began if self.thread is not None else None
        if began is not None and now - began > SLOW_S:
            self._abandon_thread()
        for job in self._jobs:
            job.report_hanging(now)

    def _abandon_thread(self) -> None:
        thread, self.thread = self.thread, None
        if thread is not None:
            thread.abandon()
            self._looks_queued = False
            for job in self._jobs:
                if job.queued and job.began is None:
                    job.queued, job.slot = False, -1

    def _start(self, due: list[Callable[[], None]], now: float) -> None:
        if not due and not self._thread_failed:
            return
        if self.thread is None and now >= self._thread_not_before:
            self._start_thread(now)
        if self.thread is None:  # all of it is due again
            for job in self._jobs:
                if job.queued and job.began is None:
                    job.queued, job.slot = False, -1
            return
        self._looks_queued = True
        for run in due:
            self.thread.add(run)

    def _start_thread(self, now: float) -> None:
        thread = JobThread(self, THREAD_NAME, self._clock.perf)
        try:
            thread.start()
        except RuntimeError as error:  # no threads here
            self._thread_failed = True
            self._thread_not_before = now + _THREAD_RETRY_S
            if now >= self._report_not_before:
                self._report_not_before = now + _THREAD_REPORT_S
                self._guard.failed(_THREAD_PART, error)
        else:
            self.thread, self._thread_failed = thread, False
            self._report_not_before = float("-inf")
            self._guard.recovered(_THREAD_PART)


def _nobody() -> Runner | None:
    return None


def _emptied(job: Job) -> list[Scalar]:
    scalars: list[Scalar] = []
    while job.outbox:
        scalars += job.outbox.popleft()
    return scalars
