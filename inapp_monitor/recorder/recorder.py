"""The recorder: what is pending, folded in slices, handed over as a `Batch`. No I/O.

Requests and instruments append to plain lists from any thread; folding takes the front of a list
while appends go on behind it, so nothing is locked on their time and nothing is lost. Of most
requests only two numbers wait, in `tallies`; the others wait whole, in `pending`. Naming, counting
and histograms belong to `take`, which the ticking thread calls and which lets other threads go
ahead. Where that thread cannot keep up with a flood, requests count a few each, so that what waits
stays small and nothing is dropped.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from inapp_monitor.ground import wsgi_text
from inapp_monitor.ground.clock import Clock, sleep, thread_time
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Batch, Distribution, Method, Scalar
from inapp_monitor.ground.process.gil_yield import GilYield
from inapp_monitor.ground.process.held_locks import is_held_here
from inapp_monitor.recorder.fold_costs import FoldCosts
from inapp_monitor.recorder.instruments import Instruments
from inapp_monitor.recorder.name_rules import NameRules
from inapp_monitor.recorder.request_cells import Record, RequestCells
from inapp_monitor.recorder.routes import RouteTable
from inapp_monitor.recorder.slowest import Slowest
from inapp_monitor.recorder.tallies import Entries, Kind, Tallies, cut

#: Entries folded at a time.
SLICE = 500
#: Requests recorded whole that one request counts when the ticking thread does not keep up.
HELP_COUNT = 10
#: Entries of a tally counted at a time: 0.1 ms.
ENTRIES = 1_000
#: Seconds after which the floor of a kind that is not seen is no longer believed.
IDLE_S = 300.0
#: Requests that may wait for the ticking thread until requests help: whole, and two numbers each.
MAX_WHOLE = 10_000
MAX_TALLIED = 50_000
#: Not-found hits kept until the next flush.
MAX_NOT_FOUND_PENDING = 10_000
#: Steps whose requests are counted and not taken yet: an hour's, where the ticking thread hangs.
MAX_STEPS = 360
#: Samples kept until the next flush; there are about 10 a second.
MAX_SAMPLES = 10_000
#: Characters kept of a path or referer.
MAX_URL_LENGTH = 500

_end = attrgetter("end")

#: (path, referer, wall time) of a 404.
NotFoundHit = tuple[str, str, float]


@dataclass(frozen=True, slots=True)
class RecorderFacts:
    """What a process has recorded.

    Attributes:
        requests_seen: Since it began.
        routes_over_the_cap: Requests whose route got no name of its own.
        misuses: Calls that were refused: `place`, `problem`, `count`.
    """

    requests_seen: int | None = None
    routes_over_the_cap: int = 0
    misuses: Sequence[Mapping[str, Any]] = ()


class Recorder:
    """Everything recorded in this process since the last flush.

    Args:
        clock: Source of wall time and performance counter.
        step_s: Finest step of the store; requests are counted in the step in which they ended.
        max_routes, max_series, max_pending, strict: Settings of the same names.
        route_rules: The setting of that name.
        first_use: Called when an instrument sees a new name, so that the owner can attach.

    Attributes:
        live: The requests that have begun and not ended.
        pending: Requests that have ended and are recorded whole, not counted yet.
        tallies: What waits of the others.
        keeps_whole: Whether somebody wants to see each request: then all are recorded whole.

    *Threads:* `live`, `pending`, `tallies` and `instruments` may be added to from anywhere; the
    rest takes `lock`, which no request ever waits for, nor a handler of a signal in the thread that
    holds it.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        step_s: int = 10,
        max_routes: int,
        max_series: int,
        max_pending: int,
        strict: bool,
        first_use: Callable[[], None],
        route_rules: Iterable[str] = (),
    ) -> None:
        self.live: set[Record] = set()
        self.pending: list[Record] = []
        self.tallies = Tallies()
        self.keeps_whole = False
        self.not_found: list[NotFoundHit] = []
        self._broken_links: list[int] = []
        self.dropped_requests = 0
        self.dropped_not_found = 0
        self.total_requests = 0
        self._fold_costs = FoldCosts()
        self._clock = clock
        self.step_s = step_s
        self._max_pending = max_pending
        self._max_whole = min(MAX_WHOLE, max_pending // 2)
        self._max_tallied = min(MAX_TALLIED, max_pending // 2)
        self.lock = threading.RLock()
        self.routes = RouteTable(max_routes)
        self.instruments = Instruments(max_series, max_pending, strict, first_use)
        self.instruments.relieve = self.fold_calls_if_free
        self.slowest = Slowest()
        self._rules = NameRules(route_rules)
        self._samples: list[tuple[str, float]] = []
        self._folded: list[Record] = []
        self._unseen: list[Record] = []
        self._yield_gil = GilYield()
        self._steps: dict[int, RequestCells] = {}
        self._floors_expired = 0.0

    def forked(self) -> None:
        """In a child process: what is pending belongs to the parent."""
        self.lock = threading.RLock()  # the parent's may be held by a thread that is not here
        self.live.clear()
        self.pending.clear()
        self.tallies.clear()
        self._folded, self._unseen = [], []
        self.not_found.clear()
        self._broken_links.clear()
        self.instruments.forked()
        self._steps = {}
        self.slowest = Slowest()
        self._samples.clear()
        self.dropped_requests = self.dropped_not_found = self.total_requests = 0
        self._fold_costs = FoldCosts()

    def adopt_routes(self, slugs: dict[str, str]) -> None:
        """Use the slugs that other workers or earlier runs gave to routes."""
        with self.lock:
            self.routes.adopt(slugs)

    def slug_of_name(self, route: str) -> str:
        """The slug under which requests of a route are counted, without making one."""
        with self.lock:
            return self.routes.known_slug(route)

    def note_not_found(self, path: str, referer: str, *, from_own_page: bool = False) -> None:
        """Keep a 404 for the table; bounded in number and length, the rest is counted.

        Args:
            from_own_page: Whether a page of the app itself links there: it is counted as well.
        """
        if from_own_page and len(self._broken_links) < MAX_NOT_FOUND_PENDING:
            self._broken_links.append(1)  # one C call: nothing is locked, and none is lost
        if len(self.not_found) < MAX_NOT_FOUND_PENDING:
            path, referer = (wsgi_text.decode(url[:MAX_URL_LENGTH]) for url in (path, referer))
            self.not_found.append((path, referer, self._clock.wall()))
        else:
            self.dropped_not_found += 1

    def sample(self, queue_ms: float | None, cpu_ms: float | None) -> None:
        """Note what was measured of a request that was looked at closer; None: not known."""
        if len(self._samples) < MAX_SAMPLES:
            if queue_ms is not None:
                self._samples.append(("requests.queue_time", queue_ms))
            if cpu_ms is not None:
                self._samples.append(("requests.cpu_time", max(0.0, cpu_ms)))

    def fold(self, slices: int = 1_000) -> list[Record]:
        """Fold what is pending, some slices of it. Returns the requests that were recorded whole.

        Between two slices other threads get the interpreter: no request waits for more than one.
        """
        if is_held_here(self.lock):
            return []
        with self.lock:
            folded, self._unseen = self._unseen, []
        self._yield_gil.begin()
        for _ in range(slices):
            with self.lock:
                requests = self._fold_slice()
            if requests is None:
                break
            folded += requests
            self._yield_gil()
        return folded

    def unfinished(self) -> list[Record]:
        """The requests that are being answered."""
        return list(self.live)

    def forget(self, records: set[Record]) -> None:
        """Drop unfinished requests: they will never be counted."""
        self.live -= records

    def fold_us(self) -> float:
        """Microseconds of a processor that folding takes a request, see `FoldCosts`."""
        return self._fold_costs.median_us()

    @property
    def lags(self) -> bool:
        """Whether more waits to be counted than the ticking thread should be left alone with."""
        return self._whole > self._max_whole or self.tallies.waiting > self._max_tallied

    @property
    def _whole(self) -> int:
        return len(self.pending) + len(self._folded)

    def help_if_free(self) -> None:
        """Count a few requests unless somebody folds: for a request, which must not wait.

        *Cost:* below 0.3 ms, whatever they are.
        """
        if is_held_here(self.lock) or not self.lock.acquire(blocking=False):
            sleep(0)  # yield to the thread that counts
            return
        try:
            if self._whole > self._max_whole:
                if not self._folded:
                    self._folded = cut(self.pending, SLICE)
                    if self.keeps_whole and len(self._unseen) < self._max_pending:
                        self._unseen += self._folded
                self._count(cut(self._folded, HELP_COUNT), _no_yield)
            else:
                step, kind, entries = self.tallies.cut_some(ENTRIES // 2)
                if entries:
                    self._count_tallied(step, {kind: entries}, _no_yield)
        finally:
            self.lock.release()

    def fold_calls_if_free(self) -> None:
        """Fold a slice of the user's calls unless somebody folds: for who makes more of them than
        the ticking thread keeps up with. *Cost:* about 0.5 us for each call of the slice."""
        if is_held_here(self.lock) or not self.lock.acquire(blocking=False):
            sleep(0)  # yield to the thread that folds
            return
        try:
            calls = cut(self.instruments.pending, SLICE)
            self.instruments.fold(calls, self._current_step()[0])
        finally:
            self.lock.release()

    def new_step_if_free(self, now: float) -> None:
        """Part the tallies when a new step has begun (`now`: performance counter), unless somebody
        folds: what ends before that is recorded whole. *Cost:* 0.1 us for each kind."""
        if now < self.tallies.until or is_held_here(self.lock):
            return
        if self.lock.acquire(blocking=False):
            try:
                self._part_tallies()
            finally:
                self.lock.release()

    def _part_tallies(self) -> None:
        step, start = self._current_step()
        self.tallies.begin_step(step, -math.inf if self.keeps_whole else start + self.step_s)

    def _fold_slice(self) -> list[Record] | None:
        """Fold one slice under the lock. Returns its requests; None when nothing was pending."""
        calls = cut(self.instruments.pending, SLICE)
        records = cut(self.pending, SLICE)
        if not calls and not records:
            return None
        if calls:
            self.instruments.fold(calls, self._current_step()[0])
        self._folded += records
        return records

    def _current_step(self) -> tuple[int, float]:
        """The step that is now: its label (epoch seconds) and start (performance counter)."""
        wall, perf = self._clock.wall(), self._clock.perf()
        step = int(wall // self.step_s) * self.step_s
        return step, perf - (wall - step)

    def _count(self, records: list[Record], yield_gil: Callable[[], None]) -> None:
        """Put requests into the cells of the steps in which they ended."""
        begin = thread_time()
        self.total_requests += len(records)
        step, step_start = self._current_step()
        by_step: dict[int, list[Record]] = {step: records} if records else {}
        if min(map(_end, records), default=step_start) < step_start:
            by_step = {}
            for record in records:
                steps_ago = max(0, -int((record.end - step_start) // self.step_s))
                by_step.setdefault(step - steps_ago * self.step_s, []).append(record)
        for label, ended in by_step.items():
            self._cells_of(label).fold(ended, step - step_start, yield_gil)
        self._fold_costs.add(len(records), thread_time() - begin)

    def _count_tallied(
        self, step: int, tallied: dict[Kind, Entries], yield_gil: Callable[[], None]
    ) -> None:
        """Put what the tallies held into the cells of its step."""
        begin = thread_time()
        cells, now = self._cells_of(step), self._clock.wall()
        sizes: list[object] = []
        for kind, entries in tallied.items():
            for first in range(0, len(entries), ENTRIES):
                yield_gil()
                piece = entries[first : first + ENTRIES]
                self.tallies.counted(kind, cells.add(kind, piece[0::2], now))
                sizes += piece[1::2]
                if len(sizes) >= ENTRIES:
                    cells.add_sizes(sizes)
                    sizes = []
            self.total_requests += len(entries) // 2
        cells.add_sizes(sizes)
        requests = sum(map(len, tallied.values())) // 2
        self._fold_costs.add(requests, thread_time() - begin)

    def _cells_of(self, step: int) -> RequestCells:
        cells = self._steps.get(step)
        if cells is None and len(self._steps) >= MAX_STEPS:  # not taken for an hour: none is lost
            cells = self._steps[max(self._steps)]
        if cells is None:
            named = (self.routes, self._rules)
            cells = self._steps[step] = RequestCells(*named, self.slowest, self.tallies)
        return cells

    def bound_pending(self) -> None:
        """Drop requests when folding has not kept up, the oldest and those recorded whole first;
        count them."""
        if is_held_here(self.lock):
            return
        with self.lock:
            excess = self._whole + self.tallies.waiting - self._max_pending
            for waiting in (self._folded, self.pending):
                if excess > 0:
                    dropped = len(cut(waiting, excess))
                    self.dropped_requests += dropped
                    excess -= dropped
            while excess > 0 and (entries := self.tallies.cut_some(excess)[2]):
                self.dropped_requests += len(entries) // 2
                excess -= len(entries) // 2

    def take(self) -> Batch:
        """The deltas folded since the last call, labelled with their time."""
        now = int(self._clock.wall())
        batch = Batch([], [])
        if is_held_here(self.lock):
            return batch
        with self.lock:
            folded, self._folded = self._folded, []
            self._yield_gil.begin()
            self._count(folded, self._yield_gil)
            self._part_tallies()
            for step, tallied in self.tallies.take().items():
                self._count_tallied(step, tallied, self._yield_gil)
            if now - self._floors_expired >= IDLE_S or now < self._floors_expired:
                self._floors_expired = now
                self.tallies.expire_floors()
            steps, self._steps = self._steps, {}
            for step, cells in steps.items():
                scalars, distributions = cells.take(min(step + self.step_s - 1, now))
                batch.scalars.extend(scalars)
                batch.distributions.extend(distributions)
            scalars, distributions = self.instruments.take(now)
            batch.scalars.extend(scalars)
            batch.distributions.extend(distributions)
            batch.distributions.extend(self._take_samples(now))
        broken = len(cut(self._broken_links, MAX_NOT_FOUND_PENDING))
        if broken:
            batch.scalars.append(Scalar("requests.broken_links", now, float(broken), Method.SUM))
        return batch

    def _take_samples(self, now: int) -> list[Distribution]:
        samples = cut(self._samples, MAX_SAMPLES)
        by_path: dict[str, list[float]] = {}
        for path, value in samples:
            by_path.setdefault(path, []).append(value)
        return [Distribution(path, now, Histogram.of(values)) for path, values in by_path.items()]

    def facts(self) -> RecorderFacts:
        """What it has recorded and refused."""
        misuses = [
            {"place": place, "problem": problem, "count": count}
            for (place, problem), count in self.instruments.misuses.items()
        ]
        return RecorderFacts(self.total_requests, self.routes.overflowed, misuses)

    def take_not_found(self) -> list[NotFoundHit]:
        """The 404s since the last call."""
        return cut(self.not_found, MAX_NOT_FOUND_PENDING)


def _no_yield() -> None:
    """Yield to nobody: for what is small."""
