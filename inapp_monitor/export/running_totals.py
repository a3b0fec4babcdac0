"""Totals that only grow, over all workers and restarts: what pull-based engines ask for.

The store keeps what happened in each interval. A counter of Prometheus is the sum of all of them,
so a file holds the sums up to a minute that is settled, and the worker that is asked adds the
intervals since then. Any worker may answer, and all say the same. The file is written by the one
that is asked first in a new minute; nobody asks, nothing is written. It begins with what the finest
archive holds. Points that come later than two minutes are not in the totals.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from math import lcm
from pathlib import Path
from typing import Final, Protocol

from inapp_monitor.export.counted_slots import CountedSlots
from inapp_monitor.export.totals import HistogramTotal, Totals, pack, parse_totals
from inapp_monitor.ground import private_files
from inapp_monitor.ground.file_lock import LockFile
from inapp_monitor.ground.points import Method
from inapp_monitor.ground.ranges import DistributionRange, Leaf, ScalarRange

DIRECTORY: Final = "export"
FILE_NAME: Final = "totals"
_MAX_FILE_BYTES: Final = 64 * 2**20
#: Seconds after its end until which an interval may change: as long as any worker may be late.
_SETTLED_AFTER_S: Final = 120
_ALIGNED_TO_S: Final = 60
_MAX_ALIGNED_TO_S: Final = 3_600
#: Distributions of so short a time are read from their finest archive.
_FINE_FOR_S: Final = 300
#: A sampled number that is older is not the present one.
_PRESENT_S: Final = 180
#: Begin with this much of the past, at most.
_FIRST_LOOK_S: Final = 6 * 3_600


class OutOfTimeError(Exception):
    """The client will not wait that long."""


class Retentions(Protocol):
    """Of one series."""

    @property
    def step(self) -> int: ...


class Series(Protocol):
    """What a store has to offer for this."""

    @property
    def generation(self) -> int: ...
    def leaves(self) -> list[Leaf]: ...
    def fetch(self, paths: Sequence[str], start: int, end: int, now: int) -> list[ScalarRange]: ...
    def fetch_distribution(
        self, path: str, start: int, end: int, now: int, max_step_s: int = 0
    ) -> DistributionRange | None: ...
    def retention_of(self, path: str) -> tuple[Retentions, float] | None: ...


class RunningTotals:
    """The totals of one data directory.

    Args:
        store: The series.
        data_dir: Holds the file; nothing is written when `may_write` is false.
        perf: Performance counter.

    *Threads:* any; two that ask at the same moment do the work twice.
    """

    def __init__(
        self, store: Series, data_dir: Path, perf: Callable[[], float], *, may_write: bool = True
    ) -> None:
        self._store = store
        self._path = data_dir / DIRECTORY / FILE_NAME
        self._perf = perf
        self._may_write = may_write
        self._kept: Totals | None = None
        self._kept_of: tuple[int, int, int] | None = None
        self._counted: dict[str, CountedSlots] = {}  # by distribution, since the file's moment
        self._paths_of = -1
        self._sums: list[str] = []
        self._gauges: dict[str, Method] = {}
        self._distributions: list[str] = []
        self._aligned_to_s = _ALIGNED_TO_S

    def read(self, now: int, deadline: float = float("inf")) -> Totals:
        """All of the app's totals at present. *Cost:* 10 ms for 2,000 series.

        Args:
            now: Wall time.
            deadline: Performance counter after which nobody waits any more.

        Raises:
            OutOfTimeError: that moment has come.
        """
        self._look_at_series()
        base = self._load()
        if base is None or base.at > now:
            start = self._aligned(now - _FIRST_LOOK_S)
            base = Totals(start, start)
        until = self._aligned(now - _SETTLED_AFTER_S)
        settled, deltas = base.copy(), Totals(now, base.since)
        self._add_scalars(base.at, until, now, settled, deltas)
        self._add_distributions(base.at, until, now, deadline, settled, deltas)
        if until > base.at and (deltas.sums or not self._sums):  # else the disk cannot be read
            settled.at = until
            self._forget_gone(settled)
            self._save(settled)
        _merge(settled, deltas)
        settled.at = now
        return settled

    def begin_with(self, totals: Totals) -> bool:
        """Go on from these, unless counting has begun: for a past that has been handed over."""
        if self._path.exists():
            return False
        self._save(totals)
        return True

    def _look_at_series(self) -> None:
        generation = self._store.generation
        if generation == self._paths_of:
            return
        leaves = [leaf for leaf in self._store.leaves() if leaf.kind != "whisper"]
        scalars = [leaf for leaf in leaves if leaf.kind == "scalar"]
        self._sums = [leaf.path for leaf in scalars if leaf.method is Method.SUM]
        self._gauges = {leaf.path: leaf.method for leaf in scalars if leaf.method is not Method.SUM}
        self._distributions = [leaf.path for leaf in leaves if leaf.kind == "distribution"]
        found = (self._store.retention_of(leaf.path) for leaf in leaves)
        steps = {facts[0].step for facts in found if facts is not None}
        self._aligned_to_s = min(lcm(_ALIGNED_TO_S, *steps), _MAX_ALIGNED_TO_S)
        self._paths_of = generation

    def _aligned(self, moment: int) -> int:
        return moment - moment % self._aligned_to_s

    def _add_scalars(
        self, start: int, until: int, now: int, settled: Totals, deltas: Totals
    ) -> None:
        sums = set(self._sums)
        for answer in self._store.fetch([*self._sums, *self._gauges], start - 1, now, now):
            path, values = answer.path, answer.values
            if path in sums:
                cut = (until - answer.start) // answer.step
                if cut > 0:
                    settled.sums[path] = settled.sums.get(path, 0.0) + _sum(values[:cut])
                    values = values[cut:]
                deltas.sums[path] = _sum(values)
                continue
            latest = _latest(values)
            if latest is None:
                continue
            value, place = latest
            if self._gauges[path] is Method.LAST:
                settled.gauges[path] = value  # holds until another one is set
            elif answer.start + (place + 1) * answer.step > now - _PRESENT_S:
                deltas.gauges[path] = value

    def _add_distributions(
        self, base_at: int, until: int, now: int, deadline: float, settled: Totals, deltas: Totals
    ) -> None:
        """Add what came since the file's moment. Every interval is looked at each time, since any
        worker may be late; what has not changed is not decoded again."""
        fine_for_s = max(_FINE_FOR_S, self._aligned_to_s + _SETTLED_AFTER_S + _ALIGNED_TO_S)
        coarsest_s = 0 if now - base_at <= fine_for_s else self._aligned_to_s
        counted: dict[str, CountedSlots] = {}
        for path in self._distributions:
            if self._perf() > deadline:
                raise OutOfTimeError
            answer = self._store.fetch_distribution(path, base_at - 1, now, now, coarsest_s)
            if answer is None:
                continue
            slots = CountedSlots(answer, self._counted.get(path))
            slots.add_to(settled, deltas, until)
            counted[path] = slots
        self._counted = counted

    def _forget_gone(self, totals: Totals) -> None:
        """Drop series that are no more, once there are many: a disk that cannot be read for a
        while has none, and their counters must not begin anew.
        """
        known = {*self._sums, *self._gauges, *self._distributions}
        if len(totals.sums) + len(totals.gauges) + len(totals.histograms) < 2 * len(known) + 1_000:
            return
        for table in (totals.sums, totals.gauges, totals.histograms):
            for path in [path for path in table if path not in known]:
                del table[path]

    # -- the file

    def _load(self) -> Totals | None:
        try:
            status = self._path.stat()
        except OSError:
            return self._kept if not self._may_write else None
        state = (status.st_ino, status.st_mtime_ns, status.st_size)
        if state != self._kept_of:
            self._kept, self._kept_of = _parsed(self._path), state
        return self._kept

    def _save(self, totals: Totals) -> None:
        if not self._may_write:
            self._kept = totals.copy()
            return
        try:
            private_files.make_directory(self._path.parent)
            lock = LockFile(self._path.with_suffix(".lock"))
            try:
                if lock.acquire():  # else another worker writes the same
                    text = json.dumps(pack(totals), separators=(",", ":"))
                    private_files.replace(self._path, text.encode())
            finally:
                lock.close()
        except OSError:
            pass  # the next one to be asked adds up a little more


def _merge(totals: Totals, deltas: Totals) -> None:
    before = totals.sums.get
    totals.sums |= {path: before(path, 0.0) + value for path, value in deltas.sums.items()}
    totals.gauges.update(deltas.gauges)
    for path, known in deltas.histograms.items():
        mine = totals.histograms.setdefault(path, HistogramTotal([0] * len(known.counts)))
        mine.add(known.counts, known.total)


def _sum(values: Sequence[float]) -> float:
    total = sum(values)
    return total if total == total else sum([value for value in values if value == value])


def _latest(values: Sequence[float]) -> tuple[float, int] | None:
    for place in range(len(values) - 1, -1, -1):
        if values[place] == values[place]:
            return values[place], place
    return None


def _parsed(path: Path) -> Totals | None:
    """The file's; None when it is damaged: counting then begins again, as after a restart."""
    try:
        return parse_totals(json.loads(private_files.read(path, _MAX_FILE_BYTES)))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
