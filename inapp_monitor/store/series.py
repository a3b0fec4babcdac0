"""`Store`: the only door to series and distributions on disk.

It joins what the other modules do and adds nothing of its own but the order of their locks.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path

from inapp_monitor.ground import disk_shares
from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.config import Settings
from inapp_monitor.ground.exceptions import ConfigError
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.points import Batch, Method
from inapp_monitor.ground.ranges import DistributionRange, Leaf, ScalarRange
from inapp_monitor.store.buffer import Buffer
from inapp_monitor.store.catalog import DIRECTORY, LOCK_NAME, Catalog
from inapp_monitor.store.files import Descriptors
from inapp_monitor.store.groups import Group
from inapp_monitor.store.kept_columns import Settled
from inapp_monitor.store.lock import StoreLock
from inapp_monitor.store.reader import Reader
from inapp_monitor.store.retention import Retention
from inapp_monitor.store.schemas import Schemas, parse_aggregations, parse_schemas
from inapp_monitor.store.status import FileStatus, StoreStatus
from inapp_monitor.store.whisper_tree import DIRECTORY as WHISPER_DIRECTORY
from inapp_monitor.store.whisper_tree import WhisperTree
from inapp_monitor.store.writer import SETTLED_AFTER_S, Writer


class Store:
    """Series and distributions of one data directory.

    Any number of processes may have one open; each sees what all have flushed, and what it has
    not flushed itself yet. No method raises for the disk's sake.

    *Threads:* every method may be called from any thread. *Fork:* a child starts with nothing
    buffered and with locks of its own.
    """

    def __init__(
        self,
        data_dir: Path,
        settings: Settings,
        clock: Clock,
        guard: Guard,
        *,
        read_only: bool = False,
    ) -> None:
        """No file is touched before the first flush or read, but for the two configuration files.

        Args:
            data_dir: Made by the first flush.
            settings: Retentions, budget, buffer size, sync interval, schema files.
            clock: Wall time of points and flushes.
            guard: Counts failures.
            read_only: Never write, lock, or create anything: to look at stored data.

        Raises:
            ConfigError: a retention or a schema file is not valid.
        """
        self._data_dir = data_dir
        self._settings = settings
        self._clock = clock
        self._guard = guard
        self._read_only = read_only
        self._schemas = schemas_of(settings)
        self._distribution_retention = Retention.parse(settings.distribution_retention)
        self._leaves: list[Leaf] | None = None
        self._leaves_of = -1
        self._set_up()

    def add(self, batch: Batch) -> None:
        """Take points into the write buffer.

        Points of the future (more than a step), too old ones and those that find no room are
        dropped and counted. *Cost:* about 0.2 µs a scalar; half of it for the names, in the order,
        of the batch before.
        """
        if self._read_only:
            return
        self._check_process()
        try:
            self._buffer.add(batch, self._clock.wall())
        except Exception as error:  # noqa: BLE001  # the app must not notice
            self._guard.failed("store add", error)

    def flush(self) -> None:
        """Write what is buffered; while the disk refuses, try again with growing pauses."""
        self._flush(force=False)

    def _flush(self, *, force: bool) -> None:
        if self._read_only:
            return
        self._check_process()
        with self._io_lock:
            self._descriptors.begin_use()
            try:
                self._writer.flush(force=force)
            except Exception as error:  # noqa: BLE001  # the app must not notice
                self._guard.failed("store flush", error)

    @property
    def flushes(self) -> int:
        """How many have written all that waited when they began."""
        return self._writer.flushes

    def leaves(self) -> list[Leaf]:
        """All stored and buffered series, sorted by path."""
        generation = self.generation
        if self._leaves is None or self._leaves_of != generation:
            with self._buffer.lock:
                leaves = {
                    path: Leaf(path, "scalar", series.method)
                    for path, series in self._buffer.series.items()
                }
                for path in self._buffer.distributions:
                    leaves.setdefault(path, Leaf(path, "distribution", Method.SUM))
            for leaf in self._whisper.leaves():
                leaves.setdefault(leaf.path, leaf)
            self._leaves = [leaves[path] for path in sorted(leaves)]
            self._leaves_of = generation
        return self._leaves

    @property
    def generation(self) -> int:
        """A number that changes when `leaves()` may have changed, in any process."""
        self._check_process()
        with self._io_lock:
            self._refresh()
            if self._whisper.refresh(self._clock.perf()):
                self._whisper_version += 1
        return self._buffer.version + self._whisper_version

    @property
    def past(self) -> tuple[int, int] | None:
        """What identifies the settled past: while it stays the same, the values of intervals that
        ended `SETTLED_AFTER_S` ago do not change, whichever process writes.

        None while nobody can tell: late points wait for the disk, or others write Whisper files.
        """
        generation = self.generation
        settled = self._clock.wall() - SETTLED_AFTER_S
        with self._io_lock:
            if self._whisper.leaves():
                return None
            number = self._lock.past()
            stored = [rings for _, rings in self._catalog.all_rings()]
            with self._buffer.lock:
                waits = self._buffer.has_before(settled, stored)
        return None if waits else (generation, number)

    def _settled(self) -> Settled | None:
        """What does not change of the past, for readers. Needs the I/O lock."""
        now = int(self._clock.wall())
        try:
            past = self._catalog.generation, self._lock.past()
        except OSError:
            return None
        return Settled(now - SETTLED_AFTER_S, past, now)

    def fetch(self, paths: Sequence[str], start: int, end: int, now: int) -> list[ScalarRange]:
        """The values of scalars and Whisper files.

        Args:
            paths: Names; unknown ones and those without data in the window are left out.
            start: Exclusive, seconds since the epoch.
            end: Inclusive.
            now: Decides which archive answers: the finest that covers `now - start`.

        *Cost:* reads all columns of the groups concerned, so ask for many series at once.
        """
        self._check_process()
        try:
            with self._io_lock:
                self._refresh()
                self._reader.settled = self._settled()
                found, problem = self._reader.fetch(paths, start, end, now)
                self._note_read(problem)
                missing = [path for path in paths if path not in found]
                if missing:
                    self._whisper.refresh(self._clock.perf())
                    for path in missing:
                        answer = self._whisper.fetch(path, start, end, now)
                        if answer is not None:
                            found[path] = answer
            return [found[path] for path in paths if path in found]
        except Exception as error:  # noqa: BLE001  # a page without data beats no page
            self._guard.failed("store read", error)
            return []

    def fetch_distribution(
        self, path: str, start: int, end: int, now: int, max_step_s: int = 0
    ) -> DistributionRange | None:
        """The histograms of one distribution.

        Args:
            path: Its name.
            start, end, now: As for `fetch`.
            max_step_s: Read the coarsest archive with at most this step, if it is coarser than the
                one that would answer. Its histograms are merged already, so that fewer are read;
                the values are the same, the intervals at the edges wider.
        """
        self._check_process()
        try:
            with self._io_lock:
                self._refresh()
                with self._buffer.lock:
                    distribution = self._buffer.distributions.get(path)
                if distribution is None:
                    return None
                answer, problem = self._reader.fetch_distribution(
                    distribution, start, end, now, max_step_s
                )
            self._note_read(problem)
            return answer
        except Exception as error:  # noqa: BLE001  # a page without data beats no page
            self._guard.failed("store read", error)
            return None

    def status(self) -> StoreStatus:
        """How the store is: sizes, waiting points, drops, faults."""
        self._check_process()
        with self._io_lock:
            self._refresh()
            files = [
                FileStatus(
                    name,
                    rings.file.size,
                    _used(rings.file.path),
                    len(rings.entries) if isinstance(rings, Group) else 1,
                    rings.free_count() if isinstance(rings, Group) else 0,
                    str(rings.retention),
                )
                for name, rings in self._catalog.all_rings()
                if rings.file is not None
            ]
            with self._buffer.lock:
                return StoreStatus(
                    files=files,
                    size=sum(file.size for file in files),
                    used=sum(file.used for file in files),
                    budget=self._catalog.budget,
                    series=len(self._buffer.series),
                    distributions=len(self._buffer.distributions),
                    buffered=self._buffer.bytes,
                    buffer_size=self._settings.buffer_size,
                    drops=dict(self._buffer.drops),
                    last_flush=self._writer.last_flush,
                    flush_s=self._writer.flush_s,
                    fault=self._writer.fault,
                    retry_in_s=self._writer.retry_in_s,
                    reused=self._catalog.reused,
                    damaged=[*self._writer.damaged, *self._catalog.forbidden.values()],
                    descriptors=len(self._descriptors),
                )

    def retention_of(self, path: str) -> tuple[Retention, float] | None:
        """Archives and xFilesFactor of a stored or buffered series or distribution."""
        self._check_process()
        with self._io_lock:
            self._refresh()
            with self._buffer.lock:
                series = self._buffer.series.get(path)
                if series is not None:
                    return series.group.retention, series.entry.x_files_factor
                distribution = self._buffer.distributions.get(path)
                return None if distribution is None else (distribution.retention, 0.0)

    def fits(self, path: str, method: Method | None) -> bool | None:
        """Whether values that combine by a method belong into a series; None: there is none.

        Args:
            method: None for a distribution. Sums and other values do not belong together.
        """
        self._check_process()
        with self._io_lock:
            self._refresh()
            with self._buffer.lock:
                series = self._buffer.series.get(path)
                if series is None:
                    return method is None if path in self._buffer.distributions else None
        if method is None:
            return False
        rollup, _ = self._schemas.rollup_for(path, method)
        return (rollup is Method.SUM) == (series.method == Method.SUM)

    def close(self) -> None:
        """Try once more to write what is buffered, and close all files; they open again on need."""
        self._flush(force=True)
        with self._io_lock:
            self._descriptors.close_all()
            self._lock.close()

    def _set_up(self) -> None:
        """Everything that belongs to one process."""
        self._io_lock = threading.RLock()
        self._descriptors = Descriptors()
        # A store that is dropped without `close` must not keep the process's descriptors.
        weakref.finalize(self, self._descriptors.close_all).atexit = False
        self._buffer = Buffer(
            self._schemas, self._distribution_retention, self._settings.buffer_size
        )
        self._catalog = Catalog(
            self._data_dir,
            self._descriptors,
            disk_shares.of_series(self._settings.disk_budget),
            self._note_damage,
            read_only=self._read_only,
        )
        self._lock = StoreLock(self._data_dir / DIRECTORY / LOCK_NAME, read_only=self._read_only)
        self._writer = Writer(
            self._data_dir,
            self._settings,
            self._clock,
            self._guard,
            self._buffer,
            self._catalog,
            self._lock,
        )
        self._reader = Reader(self._buffer)
        self._whisper = WhisperTree(self._data_dir / WHISPER_DIRECTORY)
        self._whisper_version = 0
        self._read_fails = False
        self._leaves = None
        self._leaves_of = -1
        self._pid = os.getpid()  # last: another thread must not use what the parent had

    def forked(self) -> None:
        """In a child process, by one thread: leave the parent what is the parent's."""
        self._check_process()

    def _check_process(self) -> None:
        """After a fork: points and locks of the parent stay the parent's."""
        if self._pid != os.getpid():
            self._descriptors.abandon()
            self._lock.close()
            self._set_up()

    def _refresh(self) -> None:
        """See what other processes have added, before reading. Needs the I/O lock."""
        self._descriptors.begin_use()
        try:
            if self._catalog.refresh(self._lock, self._clock.wall(), repair=False):
                with self._buffer.lock:
                    self._buffer.adopt(self._catalog)
        except OSError as error:
            self._note_read(error)

    def _note_read(self, problem: OSError | None) -> None:
        """Tell once when reading begins to fail, and when it works again."""
        if problem is not None and not self._read_fails:
            self._guard.failed("store read", problem)
        elif problem is None and self._read_fails:
            self._guard.recovered("store read")
        self._read_fails = problem is not None

    def _note_damage(self, path: Path, what: str) -> None:
        self._writer.note_damage(path, what)


def schemas_of(settings: Settings) -> Schemas:
    """The rules for new series.

    Raises:
        ConfigError: a retention or a file is not valid, or cannot be read.
    """
    return Schemas(
        Retention.parse(settings.retention),
        parse_schemas(*_text(settings.storage_schemas)) if settings.storage_schemas else (),
        parse_aggregations(*_text(settings.storage_aggregation))
        if settings.storage_aggregation
        else (),
    )


def _text(path: Path) -> tuple[str, str]:
    try:
        return path.read_text("utf-8"), str(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None


def _used(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except OSError:
        return 0
