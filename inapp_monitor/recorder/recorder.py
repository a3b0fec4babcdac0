"""The recorder: what is pending, folded in slices, handed over as a `Batch`. No I/O.

Requests and instruments append to plain lists from any thread; folding takes the front of a list
while appends go on behind it, so nothing is locked on their time and nothing is lost. A request is
appended when it begins: a fold keeps those that have not ended for later ones. A slice of requests
is only parted so, whatever they are; naming, counting and histograms belong to `take`, which the
ticking thread calls and which lets other threads go ahead. Where that thread cannot keep up with a
flood, requests count a few each, so that what waits stays small and nothing is dropped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

from inapp_monitor.clock import Clock, sleep, thread_time
from inapp_monitor.histogram import Histogram
from inapp_monitor.points import Batch, Distribution
from inapp_monitor.recorder.instruments import Instruments
from inapp_monitor.recorder.name_rules import NameRules
from inapp_monitor.recorder.requests import Record, RequestCells
from inapp_monitor.recorder.routes import RouteTable
from inapp_monitor.recorder.slowest import Slowest
from inapp_monitor.recorder.turns import Turns

#: Entries folded at a time: 0.02 ms of requests, whatever they are.
SLICE = 500
#: Requests that one request counts when the ticking thread does not keep up.
HELPED = 30
#: Requests that may wait for the ticking thread until others help.
_MOST_WAITING = 10_000
#: Not-found hits kept until the next flush.
MAX_NOT_FOUND_PENDING = 10_000
#: Samples kept until the next flush; there are about 50 a second.
MAX_SAMPLES = 10_000
#: Characters kept of a path or referer.
MAX_URL_LENGTH = 500

_end = attrgetter("end")

#: (path, referer, wall time) of a 404.
NotFoundHit = tuple[str, str, float]


class Recorder:
    """Everything recorded in this process since the last flush.

    Args:
        clock: Source of wall time and performance counter.
        step_s: Finest step of the store; requests are counted in the step in which they ended.
        max_routes, max_series, max_pending, strict: Settings of the same names.
        route_rules: The setting of that name.
        first_use: Called when an instrument sees a new name, so that the owner can attach.

    *Threads:* `pending` and `instruments` may be appended to from anywhere; the rest takes `_lock`,
    which no request ever waits for.
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
        self.pending: list[Record] = []
        self._unfinished: list[Record] = []
        self.not_found: list[NotFoundHit] = []
        self.dropped_requests = 0
        self.dropped_not_found = 0
        self.total_requests = 0
        self._fold_s = 0.0
        self._clock = clock
        self.step_s = step_s
        self._max_pending = max_pending
        self._most_waiting = min(_MOST_WAITING, max_pending // 2)
        self._lock = threading.Lock()
        self.routes = RouteTable(max_routes)
        self.instruments = Instruments(max_series, max_pending, strict, first_use)
        self.slowest = Slowest()
        self._rules = NameRules(route_rules)
        self._samples: list[tuple[str, float]] = []
        self._folded: list[Record] = []
        self._give_way = Turns()
        self._steps: dict[int, RequestCells] = {}

    def forked(self) -> None:
        """In a child process: what is pending belongs to the parent."""
        self._lock = threading.Lock()  # the parent's may be held by a thread that is not here
        self.pending.clear()
        self._unfinished = []
        self._folded = []
        self.not_found.clear()
        self.instruments.forked()
        self._steps = {}
        self.slowest = Slowest()
        self._samples.clear()
        self.dropped_requests = self.dropped_not_found = self.total_requests = 0
        self._fold_s = 0.0

    def adopt_routes(self, slugs: dict[str, str]) -> None:
        """Use the slugs that other workers or earlier runs gave to routes."""
        with self._lock:
            self.routes.adopt(slugs)

    def note_not_found(self, path: str, referer: str) -> None:
        """Keep a 404 for the table; bounded in number and length, the rest is counted."""
        if len(self.not_found) < MAX_NOT_FOUND_PENDING:
            self.not_found.append((_text(path), _text(referer), self._clock.wall()))
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
        """Part what is pending, some slices of it. Returns the requests that have ended.

        Between two slices other threads get their turn, so that no request waits for more than one.
        """
        folded: list[Record] = []
        with self._lock:
            self.pending[:0], self._unfinished = self._unfinished, []
        for _ in range(slices):
            with self._lock:
                requests = self._fold_slice()
            if requests is None:
                break
            folded += requests
            self._give_way()
        return folded

    def unfinished(self) -> list[Record]:
        """The requests that are being answered."""
        with self._lock:
            known = self._unfinished + self.pending
        return [record for record in known if record.end is None]

    def forget(self, records: set[Record]) -> None:
        """Let go of unfinished requests."""
        with self._lock:
            self._unfinished = [one for one in self._unfinished if one not in records]

    def fold_us(self) -> float:
        """Microseconds of a processor that folding has taken a request so far."""
        return self._fold_s / self.total_requests * 1e6 if self.total_requests else 0.0

    @property
    def lags(self) -> bool:
        """Whether more waits to be counted than the ticking thread should be left alone with."""
        return len(self.pending) + len(self._folded) > self._most_waiting

    def help_if_free(self) -> None:
        """Count a few requests unless somebody folds: for a request, which must not wait.

        *Cost:* below 0.3 ms, whatever they are.
        """
        if not self._lock.acquire(blocking=False):
            sleep(0)  # who counts may have the interpreter
            return
        try:
            if not self._folded:
                self._part(_front(self.pending))
            self._count(_front(self._folded, HELPED), _go_on)
        finally:
            self._lock.release()

    def _fold_slice(self) -> list[Record] | None:
        """Fold one slice under the lock. Returns its requests; None when nothing was pending."""
        calls = _front(self.instruments.pending)
        records = _front(self.pending)
        if not calls and not records:
            return None
        if calls:
            self.instruments.fold(calls, self._current_step()[0])
        return self._part(records)

    def _part(self, records: list[Record]) -> list[Record]:
        """Keep those that have ended for `take`, the others for a later fold. Returns the former.

        *Cost:* 0.02 us each: one look at each, nothing is made of them.
        """
        begin = thread_time()
        ended = self._ended(records)
        self._folded += ended
        self.total_requests += len(ended)
        self._fold_s += thread_time() - begin
        return ended

    def _ended(self, records: list[Record]) -> list[Record]:
        waiting = [record for record in records if record.end is None]
        if waiting:
            self._unfinished += waiting
            left = set(map(id, waiting))
            records = [record for record in records if id(record) not in left]
        return records

    def _current_step(self) -> tuple[int, float]:
        """The step that is now: its label (epoch seconds) and start (performance counter)."""
        wall, perf = self._clock.wall(), self._clock.perf()
        step = int(wall // self.step_s) * self.step_s
        return step, perf - (wall - step)

    def _count(self, records: list[Record], give_way: Callable[[], None]) -> None:
        """Put requests into the cells of the steps in which they ended."""
        begin = thread_time()
        step, step_start = self._current_step()
        by_step: dict[int, list[Record]] = {step: records} if records else {}
        if min(map(_end, records), default=step_start) < step_start:
            by_step = {}
            for record in records:
                steps_ago = max(0, -int((record.end - step_start) // self.step_s))
                by_step.setdefault(step - steps_ago * self.step_s, []).append(record)
        for label, ended in by_step.items():
            self._cells_of(label).fold(ended, step - step_start, give_way)
        self._fold_s += thread_time() - begin

    def _cells_of(self, step: int) -> RequestCells:
        cells = self._steps.get(step)
        if cells is None:
            cells = self._steps[step] = RequestCells(self.routes, self.slowest, self._rules)
        return cells

    def bound_pending(self) -> None:
        """Drop the oldest requests when folding has not kept up; count them."""
        with self._lock:
            excess = len(self._folded) + len(self.pending) - self._max_pending
            if excess > 0:
                dropped = _front(self._folded, excess)
                self.total_requests -= len(dropped)
                dropped += self._ended(_front(self.pending, excess - len(dropped)))
                self.dropped_requests += len(dropped)

    def take(self) -> Batch:
        """The deltas folded since the last call, labelled with their time."""
        now = int(self._clock.wall())
        batch = Batch([], [])
        with self._lock:
            folded, self._folded = self._folded, []
            self._count(folded, self._give_way)
            steps, self._steps = self._steps, {}
            for step, cells in steps.items():
                scalars, distributions = cells.take(min(step + self.step_s - 1, now))
                batch.scalars.extend(scalars)
                batch.distributions.extend(distributions)
            scalars, distributions = self.instruments.take(now)
            batch.scalars.extend(scalars)
            batch.distributions.extend(distributions)
            batch.distributions.extend(self._take_samples(now))
        return batch

    def _take_samples(self, now: int) -> list[Distribution]:
        samples, self._samples = self._samples, []
        by_path: dict[str, list[float]] = {}
        for path, value in samples:
            by_path.setdefault(path, []).append(value)
        return [Distribution(path, now, Histogram.of(values)) for path, values in by_path.items()]

    def take_not_found(self) -> list[NotFoundHit]:
        """The 404s since the last call."""
        return _front(self.not_found, MAX_NOT_FOUND_PENDING)


def _go_on() -> None:
    """Give way to nobody: for what is small."""


def _text(wsgi_string: str) -> str:
    """What the client sent: WSGI hands bytes over as latin-1, browsers send UTF-8."""
    return wsgi_string[:MAX_URL_LENGTH].encode("latin-1", "replace").decode("utf-8", "replace")


def _front(pending: list[Any], most: int = SLICE) -> list[Any]:
    """Cut the front off a list that others append to: appends only ever go behind it."""
    n = min(len(pending), most)
    front = pending[:n]
    del pending[:n]
    return front
