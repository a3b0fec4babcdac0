"""From the buffer to the files: one lock, one write a group and archive, retried when refused.

Nothing in here raises for the disk's sake. The order within a flush is what makes a crash harmless:
finest rows first, then rollups, then the marks that say how far rollups have come.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from inapp_monitor.ground import data_directory, private_files
from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.config import Settings
from inapp_monitor.ground.exceptions import BudgetError, FormatError
from inapp_monitor.ground.guard import Guard, describe
from inapp_monitor.store import (
    disk_budget,
    distribution_format,
    files,
    group_format,
)
from inapp_monitor.store.buffer import AnyRingFile, Buffer
from inapp_monitor.store.catalog import Catalog
from inapp_monitor.store.distributions import DistributionFile
from inapp_monitor.store.groups import Group
from inapp_monitor.store.lock import PATIENCE_S, LockBusyError, StoreLock

_FIRST_RETRY_S: Final = 1.0
_LONGEST_RETRY_S: Final = 60.0
#: Seconds that the last flush of a process waits for the lock: where ten workers end together, on
#: a busy machine, each may be the last one.
_PATIENCE_AT_END_S: Final = 4.0
_PART: Final = "store"
#: Seconds after its end until which points of an interval are on time; longer than any worker
#: waits between two flushes.
SETTLED_AFTER_S: Final = 120


class Writer:
    """Flushes a buffer.

    Attributes:
        fault: Why the disk refuses; "" when it does not.
        flushes: Complete ones.
        last_flush: Wall time of the last complete flush.
        flush_s: How long it took.
        damaged: What was moved aside or mended, latest last.

    *Threads:* needs the store's I/O lock, so never two at once.
    """

    def __init__(
        self,
        data_dir: Path,
        settings: Settings,
        clock: Clock,
        guard: Guard,
        buffer: Buffer,
        catalog: Catalog,
        lock: StoreLock,
    ) -> None:
        self.fault = ""
        self.flushes = 0
        self.last_flush = 0.0
        self.flush_s = 0.0
        self.damaged: deque[str] = deque(maxlen=20)
        self._data_dir = data_dir
        self._sync_interval_s = settings.sync_interval_s
        self._clock = clock
        self._guard = guard
        self._buffer = buffer
        self._catalog = catalog
        self._lock = lock
        self._shown_forbidden: set[str] = set()
        self._wait_s = 0.0
        self._retry_at = 0.0
        self._synced_at = clock.perf()

    @property
    def retry_in_s(self) -> float:
        """Seconds until a refused flush is tried again."""
        return max(self._retry_at - self._clock.perf(), 0.0) if self.fault else 0.0

    def note_damage(self, path: Path, what: str) -> None:
        """A file was moved aside or mended."""
        text = f"{path.name}: {what}"
        if text in self.damaged:
            return
        self.damaged.append(text)
        self._guard.failed(f"store file {path.name}", FormatError(what))

    def flush(self, *, force: bool = False) -> None:
        """Write all that waits, unless the disk refused a moment ago.

        Args:
            force: Also then, and wait longer for the lock: what is not written now is lost.
        """
        if not self._buffer.bytes and self._catalog.generation <= 0:
            return  # nothing was ever recorded or read: leave no trace
        started = self._clock.perf()
        if self.fault and not force and started < self._retry_at <= started + _LONGEST_RETRY_S:
            return
        try:
            patience_s = _PATIENCE_AT_END_S if force else PATIENCE_S
            self._flush_locked(max(self._clock.wall(), 0.0), patience_s)
        except LockBusyError:
            with self._buffer.lock:
                self._buffer.recount()
        except OSError as error:
            self._refused(error)
        else:
            self._succeeded(started)

    def _flush_locked(self, now: float, patience_s: float) -> None:
        fresh = self._open_lock(patience_s)
        try:
            if fresh:
                self._catalog.forget()
            looked = self._catalog.refresh(self._lock, now, repair=True)
            self._note_forbidden()
            if self._check_files(now) or looked:
                with self._buffer.lock:
                    self._buffer.adopt(self._catalog)
            problem = self._settle_newcomers(now)
            problem = self._write(int(now)) or problem
        finally:
            self._lock.release()
        self._sync()
        if problem is not None:
            raise problem

    def _open_lock(self, patience_s: float) -> bool:
        try:
            return self._lock.acquire(patience_s)
        except FileNotFoundError:
            data_directory.prepare(self._data_dir)
            private_files.make_directory(self._catalog.directory)
            return self._lock.acquire(patience_s)

    def _check_files(self, now: float) -> bool:
        """Deal with files that were deleted or cut under us; True when one had to go."""
        lost = []
        for name, rings in self._catalog.all_rings():
            if rings.file is None or not (rings.waits or rings.unfinished):
                continue
            try:
                state = rings.file.state()
            except PermissionError as error:
                self._catalog.lose_access(name, error)
                lost.append(name)
                continue
            if state == "gone" or (state == "cut" and not self._mend(rings, now)):
                lost.append(name)
        for name in lost:
            self._catalog.drop(name)
        if lost:
            self._catalog.index()
            self._catalog.changed(self._lock)
            self._catalog.has_unrepaired = True  # something else may be in its place
        return bool(lost)

    def _note_forbidden(self) -> None:
        """A file of another user costs what is in it: it is shown with the remedy."""
        forbidden = self._catalog.forbidden
        for name in forbidden.keys() - self._shown_forbidden:
            self._guard.failed(f"store file {name}", PermissionError(forbidden[name]))
        for name in self._shown_forbidden - forbidden.keys():
            self._guard.recovered(f"store file {name}")
        self._shown_forbidden = set(forbidden)

    def _mend(self, rings: AnyRingFile, now: float) -> bool:
        """Give a cut file its size back when its head is still there, else move it aside."""
        assert rings.file is not None
        page = rings.file.read(group_format.PAGE, 0)
        try:
            if isinstance(rings, Group):
                group_format.unpack_header(page)
            else:
                distribution_format.unpack_header(page)
        except FormatError as error:
            target = private_files.set_aside(rings.file.path, now)
            where = "" if target is None else f"; moved to {target.name}"
            self.note_damage(rings.file.path, f"{error}{where}")
            return False
        rings.file.mend()
        rings.forget()
        self.note_damage(rings.file.path, "was cut; its size has been restored")
        return True

    def _settle_newcomers(self, now: float) -> OSError | None:
        """Find a place on disk for new series; the disk's refusal is returned, not raised."""
        buffer, catalog = self._buffer, self._catalog
        with buffer.lock:
            batches = buffer.newcomers()
            distributions = buffer.new_distributions()
        if not batches and not distributions:
            return None
        refused: list[str] = []
        before = len(catalog.series) + len(catalog.distributions)
        own = [d for d in distributions if disk_budget.is_own(d.path)]
        others = [d for d in distributions if not disk_budget.is_own(d.path)]
        problem = self._create(own, now, refused)  # first: the overview lives on them
        for batch in batches:
            try:
                placed = {series.path for series in catalog.assign(batch, int(now))}
                refused += [series.path for series in batch if series.path not in placed]
            except OSError as error:
                problem = error
        problem = self._create(others, now, refused) or problem
        if len(catalog.series) + len(catalog.distributions) != before:
            catalog.changed(self._lock)
        with buffer.lock:
            for path in refused:
                buffer.refuse(path, "no_room", now)
            buffer.adopt(catalog)
        return problem

    def _create(
        self, distributions: Iterable[DistributionFile], now: float, refused: list[str]
    ) -> OSError | None:
        """Make the files of new distributions; adds those without room to `refused`."""
        for distribution in distributions:
            try:
                self._catalog.create_distribution(
                    distribution.path, distribution.retention, int(now)
                )
            except BudgetError:
                refused.append(distribution.path)
            except OSError as error:
                return error
        return None

    def _write(self, now: int) -> OSError | None:
        buffer = self._buffer
        with buffer.lock:
            taken = buffer.take([rings for _, rings in self._catalog.all_rings()])
        problem: OSError | None = None
        dropped: Counter[str] = Counter()
        is_due, epoch = self._sync_is_due(self._clock.perf()), self._lock.epoch
        begun = ((rings.oldest_changing, rings.step) for rings in taken)
        earliest = min((at + step for at, step in begun if at is not None), default=now)
        if earliest + SETTLED_AFTER_S <= now:
            self._lock.note_past()  # who reads from now on may see some of it
        for rings in taken:
            try:
                dropped["too_old"] += len(rings.flush(now, epoch))
                if is_due and rings.file is not None:
                    rings.file.start_sync()  # the disk works while the next file is written to
            except OSError as error:
                problem = error
        if earliest + SETTLED_AFTER_S <= self._clock.wall():
            self._lock.note_past()  # who has read meanwhile may have seen only some of it
        with buffer.lock:
            for rings in taken:
                rings.give_back()
            if problem is not None:
                buffer.recount()
            buffer.drops.update(+dropped)
        return problem

    def _sync(self) -> None:
        """Make written files safe against a power cut, when it is time."""
        now = self._clock.perf()
        if not self._sync_is_due(now):
            return
        self._synced_at = now
        files.sync_all([file for file in self._catalog.files() if file.dirty])
        if self._catalog.has_new_files:
            self._catalog.has_new_files = False
            files.sync_directory(self._catalog.directory)

    def _sync_is_due(self, now: float) -> bool:
        return not 0 <= now - self._synced_at < self._sync_interval_s

    def _refused(self, error: OSError) -> None:
        """Keep everything, and wait longer each time."""
        self._wait_s = min(max(self._wait_s * 2, _FIRST_RETRY_S), _LONGEST_RETRY_S)
        self._retry_at = self._clock.perf() + self._wait_s
        if not self.fault:
            self._guard.failed(_PART, error)
        self.fault = describe(error)
        with self._buffer.lock:
            self._buffer.recount()

    def _succeeded(self, started: float) -> None:
        if self.fault:
            self._guard.recovered(_PART)
        self.fault, self._wait_s = "", 0.0
        self.flushes += 1
        self.last_flush = self._clock.wall()
        self.flush_s = self._clock.perf() - started
