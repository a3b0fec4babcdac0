"""The SQLite file `DATA_DIR/monitor.db`: issues, 404s, posted events, dashboards.

Changes are queued and written by a background tick, never by a request; reads return lists, never
an open cursor (an open cursor lets the write-ahead log grow without bound). A disk that is full,
read-only, locked or broken keeps the queue, is retried with a growing pause and shows in `status`.

What must not be here: any table. Each part brings its own with `declare`.

Rules that measurements forced:
- `BEGIN IMMEDIATE`: a deferred BEGIN upgrades a read snapshot,
  which fails at once, whatever the busy timeout, when another process wrote in between.
- Connections do not cross a fork: state belongs to a process id, the child starts with none.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from inapp_monitor.database.connections import (
    create_file,
    file_identity,
    open_reader,
    open_writer,
    primary_code,
)
from inapp_monitor.database.database_status import DatabaseStatus
from inapp_monitor.database.migrations import migrate
from inapp_monitor.database.open_files import OpenFiles, abandon
from inapp_monitor.ground import data_directory, disk_shares
from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.guard import Guard, describe

FILE_NAME = "monitor.db"
#: Bytes of changes that wait for the disk, at most.
MAX_QUEUE_BYTES = 8 * 2**20
#: Changes of one transaction; the lock is given up in between, for the other processes.
BATCH = 50
#: Seconds that a change of a page waits for another thread that writes.
_LONGEST_WAIT_S = 5.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0

#: SQLite's primary error codes that are the disk's fault and may pass: permission, busy, locked,
#: out of memory, read-only, I/O error, full, cannot open, locking protocol.
_PASSING = frozenset({3, 5, 6, 7, 8, 10, 13, 14, 15})
#: Corrupt, and not a database.
_BROKEN = frozenset({11, 26})
_FULL = 13

Parameters = Sequence[object] | Mapping[str, object]


class Connection(Protocol):
    """What a change gets: `execute` inside the open transaction. It must not commit."""

    def execute(self, sql: str, parameters: Any = ..., /) -> sqlite3.Cursor: ...


Change = Callable[[Connection], None]
Done = Callable[[bool], None]


class DatabaseSettings(Protocol):
    """The settings that matter here."""

    @property
    def disk_budget(self) -> int: ...


@dataclass(slots=True)
class _Part:
    scripts: Sequence[str]
    make_room: Change | None


@dataclass(slots=True)
class _Queued:
    change: Change
    size: int
    done: Done | None


@dataclass(slots=True)
class _State:
    """Everything that belongs to one process. Lock order: writing, reading, then queueing."""

    pid: int
    files: OpenFiles
    queueing: threading.Lock = field(default_factory=threading.Lock)
    writing: threading.Lock = field(default_factory=threading.Lock)
    reading: threading.Lock = field(default_factory=threading.Lock)
    queue: deque[_Queued] = field(default_factory=deque)
    queue_bytes: int = 0
    writer: sqlite3.Connection | None = None
    writer_file: tuple[int, int] | None = None
    writer_losses: int = 0
    reader: sqlite3.Connection | None = None
    reader_file: tuple[int, int] | None = None
    reader_losses: int = 0
    migrated: dict[str, int] = field(default_factory=dict)
    fault: str = ""
    read_fault: str = ""
    pause_s: float = 0.0
    retry_at: float = 0.0
    written: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    moved_aside: list[str] = field(default_factory=list)


class Database:
    """The one SQLite file of a data directory, shared by several processes.

    Construction does no I/O. *Threads:* every method may be called from any thread.

    Args:
        data_dir: Holds the file; made at the first write.
        settings: `disk_budget` is looked at.
        clock: For pauses between attempts and names of files put aside.
        guard: Informed once an incident, and when it is over.
        read_only: Never write; for showing recorded data.
    """

    def __init__(
        self,
        data_dir: Path,
        settings: DatabaseSettings,
        clock: Clock,
        guard: Guard,
        *,
        read_only: bool = False,
    ) -> None:
        self.path = Path(data_dir) / FILE_NAME
        self.read_only = read_only
        self._budget = disk_shares.of_database(settings.disk_budget)
        self._clock = clock
        self._guard = guard
        self._parts: dict[str, _Part] = {}
        self._states: dict[int, _State] = {}

    # -- what parts bring

    def declare(self, part: str, scripts: Sequence[str], make_room: Change | None = None) -> None:
        """Name the tables of a part.

        Args:
            part: Its name.
            scripts: SQL statements separated by `;`, one script a version. A released script is
                never changed: append another one.
            make_room: Deletes what is least worth keeping; called when the file is at its cap.
        """
        self._parts[part] = _Part(scripts, make_room)

    # -- writing

    def submit(self, change: Change, size: int, done: Done | None = None) -> bool:
        """Queue a change. It may run more than once (after a roll-back), and in another thread.

        Args:
            change: Called with the connection inside `BEGIN IMMEDIATE`.
            size: Bytes of memory it holds on to, about.
            done: Called with True after the commit, with False when the change itself failed.

        Returns:
            False when the queue is full or nothing can ever be written: the change is not accepted.
        """
        state = self._state()
        if self.read_only:
            return False
        with state.queueing:
            if state.queue and state.queue_bytes + size > MAX_QUEUE_BYTES:
                state.dropped["queue full"] = state.dropped.get("queue full", 0) + 1
                return False
            state.queue.append(_Queued(change, size, done))
            state.queue_bytes += size
        return True

    def write_now(self) -> None:
        """As `write_pending`, also where another thread is at it, which may have missed what has
        just been submitted: what a page changes is there for the next one.
        """
        self.write_pending(wait_s=_LONGEST_WAIT_S)

    def write_pending(self, until: float = float("inf"), wait_s: float = 0.0) -> bool:
        """Write the queue, unless a pause after a failure lasts. Never raises for the disk's sake.

        Once it is `until` by the performance counter, the rest waits for the next call: then True.

        *Cost:* may wait for the lock of other processes (up to 5 s): for background threads.

        Args:
            until: When to leave the rest.
            wait_s: How long to wait for another thread of this process that is at it.
        """
        state = self._state()
        if self.read_only or not state.queue or self._clock.perf() < state.retry_at:
            return False
        if not state.writing.acquire(timeout=wait_s):
            return False
        try:
            self._write(state, until)
            self._succeeded(state)
        except (OSError, sqlite3.Error) as error:
            self._refused(state, error)
        finally:
            state.writing.release()
        return bool(state.queue) and not state.fault and self._clock.perf() >= until

    # -- reading

    def read(self, sql: str, parameters: Parameters = ()) -> list[dict[str, Any]]:
        """The rows of a query, as dicts.

        Returns:
            An empty list also when there is no file, no such table yet, or the file is unreadable
            (which is then in `status().fault`).
        """
        state = self._state()
        with state.reading:
            try:
                reader = self._reader(state)
                rows = [] if reader is None else reader.execute(sql, parameters).fetchall()
                state.read_fault = ""
                return [dict(row) for row in rows]
            except (OSError, sqlite3.Error) as error:
                self._drop_reader(state)
                if "no such table" not in str(error) and "no such column" not in str(error):
                    state.read_fault = describe(error)
                return []

    def status(self) -> DatabaseStatus:
        """The file and the queue in numbers."""
        state = self._state()
        size = 0
        for name in (FILE_NAME, f"{FILE_NAME}-wal"):
            try:
                size += (self.path.parent / name).stat().st_size
            except OSError:
                pass
        return DatabaseStatus(
            path=str(self.path),
            size_bytes=size,
            budget_bytes=self._budget,
            pending_changes=len(state.queue),
            pending_bytes=state.queue_bytes,
            written=state.written,
            dropped=dict(state.dropped),
            fault=state.fault or state.read_fault,
            moved_aside=list(state.moved_aside),
        )

    def close(self) -> None:
        """Close this process's connections. What is queued and unwritten is lost: write first."""
        state = self._state()
        with state.writing, state.reading:
            self._drop_writer(state)
            self._drop_reader(state)

    def forked(self) -> None:
        """In a child process: the connections are the parent's, and closing them is not safe."""
        for pid, state in list(self._states.items()):
            if pid != os.getpid():
                for connection in (state.writer, state.reader):
                    if connection is not None:
                        abandon(connection)
                self._states.pop(pid, None)

    # -- inside

    def _state(self) -> _State:
        """This process's state; a fresh one after a fork, whose queue the parent still has."""
        pid = os.getpid()
        state = self._states.get(pid)
        if state is None:
            self.forked()
            state = self._states.setdefault(pid, _State(pid, OpenFiles.of(self.path)))
        return state

    def _write(self, state: _State, until: float) -> None:
        while state.queue:
            with state.queueing:
                batch = [state.queue[index] for index in range(min(BATCH, len(state.queue)))]
            connection = self._writer(state)
            outcome = self._transaction(state, connection, batch, until)
            del batch[len(outcome) :]
            with state.queueing:
                for queued in batch:
                    state.queue.popleft()
                    state.queue_bytes -= queued.size
            for queued, written in zip(batch, outcome, strict=True):
                state.written += written
                if queued.done is not None:
                    queued.done(written)
            if self._clock.perf() >= until:
                return

    def _transaction(
        self, state: _State, connection: sqlite3.Connection, batch: list[_Queued], until: float
    ) -> list[bool]:
        """Commit the first changes of a batch, all that are run in time: how each of them ended."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            parts = dict(self._parts)  # another thread may add a part that has just been loaded
            if any(state.migrated.get(k) != len(part.scripts) for k, part in parts.items()):
                scripts = {name: part.scripts for name, part in parts.items()}
                state.migrated = migrate(connection, scripts)
            outcome: list[bool] = []
            for queued in batch:
                if outcome and self._clock.perf() >= until:
                    break
                outcome.append(self._run(state, connection, queued))
            connection.commit()
            return outcome
        except BaseException:
            state.migrated = {}
            if connection.in_transaction:
                connection.rollback()
            raise

    def _run(self, state: _State, connection: sqlite3.Connection, queued: _Queued) -> bool:
        """Run one change; False when it is at fault itself, which costs only that change."""
        connection.execute("SAVEPOINT change")
        try:
            queued.change(connection)
        except Exception as error:
            if primary_code(error) in _PASSING | _BROKEN:
                raise
            connection.execute("ROLLBACK TO change")
            connection.execute("RELEASE change")
            state.dropped["failed"] = state.dropped.get("failed", 0) + 1
            self._guard.failed("database change", error)
            return False
        connection.execute("RELEASE change")
        return True

    def _succeeded(self, state: _State) -> None:
        if state.fault:
            state.fault = ""
            self._guard.recovered("database")
        state.pause_s = state.retry_at = 0.0

    def _refused(self, state: _State, error: BaseException) -> None:
        code = primary_code(error)
        text = describe(error)
        if not state.fault:
            self._guard.failed("database", error)  # once an incident: a full disk is not a bug
        state.fault = text
        if code == _FULL and self._make_room(state):
            state.retry_at = 0.0
        else:
            state.pause_s = min(state.pause_s * 2 or FIRST_PAUSE_S, LONGEST_PAUSE_S)
            state.retry_at = self._clock.perf() + state.pause_s
        if code in _BROKEN:
            self._move_aside(state)
        if code != _FULL:
            self._drop_writer(state)

    def _make_room(self, state: _State) -> bool:
        """Ask the parts to delete something when the cap is reached; True when they could."""
        connection = state.writer
        askable = [part.make_room for part in [*self._parts.values()] if part.make_room is not None]
        if connection is None or not askable:
            return False
        try:
            (pages,) = connection.execute("pragma page_count").fetchone()
            (most,) = connection.execute("pragma max_page_count").fetchone()
            if pages < most - 16:
                return False  # it is the disk that is full: deleting here would free nothing
            connection.execute("BEGIN IMMEDIATE")
            before = connection.total_changes
            for make_room in askable:
                make_room(connection)
            connection.commit()
            return connection.total_changes > before
        except Exception as error:  # noqa: BLE001  # whatever it is, the disk stays full
            if connection.in_transaction:
                connection.rollback()
            state.fault = describe(error)
            return False

    def _move_aside(self, state: _State) -> None:
        """Rename a damaged file, unless another process has replaced it in the meantime."""
        damaged = state.writer_file
        self._drop_writer(state)
        with state.reading:
            self._drop_reader(state)
        if damaged is None or file_identity(self.path) != damaged:
            return
        stamp = f".bad-{int(self._clock.wall())}"
        for suffix in ("", "-wal", "-shm"):
            source = self.path.with_name(FILE_NAME + suffix)
            try:
                source.rename(source.with_name(source.name + stamp))
            except OSError:
                continue
            state.moved_aside.append(source.name + stamp)
        state.retry_at = 0.0

    def _writer(self, state: _State) -> sqlite3.Connection:
        """The open connection; reopened when the file at the path is another one by now."""
        if (
            state.writer is not None
            and state.writer_file == file_identity(self.path)
            and state.files.are_usable(state.writer_losses)
        ):
            return state.writer
        self._drop_writer(state)
        data_directory.prepare(self.path.parent)
        create_file(self.path)
        state.writer_file = file_identity(self.path)
        state.writer = open_writer(self.path, self._budget)
        state.writer_losses = state.files.changed()
        return state.writer

    def _reader(self, state: _State) -> sqlite3.Connection | None:
        present = file_identity(self.path)
        if present is None:
            return None
        if (
            state.reader is not None
            and state.reader_file == present
            and state.files.are_usable(state.reader_losses)
        ):
            return state.reader
        self._drop_reader(state)
        state.reader, state.reader_file = open_reader(self.path), present
        state.reader_losses = state.files.changed()
        return state.reader

    def _drop_writer(self, state: _State) -> None:
        writer, state.writer, state.writer_file = state.writer, None, None
        state.migrated = {}
        if writer is not None:
            state.files.close(writer, state.writer_losses)

    def _drop_reader(self, state: _State) -> None:
        reader, state.reader, state.reader_file = state.reader, None, None
        if reader is not None:
            state.files.close(reader, state.reader_losses)
