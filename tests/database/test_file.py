"""The SQLite file: queued changes survive bad disks, several processes lose nothing."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from inapp_monitor.database.file import MAX_QUEUE_BYTES, Connection, Database
from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.config import load
from inapp_monitor.ground.guard import Guard
from inapp_monitor.testing import FakeClock

SCHEMA = ("create table things (name text primary key, count int not null)",)
MakeDatabase = Callable[..., Database]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def make(tmp_path: Path, clock: FakeClock) -> MakeDatabase:
    def make(budget: int = 64 * 2**20, read_only: bool = False) -> Database:
        settings = replace(load(environ={}).settings, disk_budget=budget)
        database = Database(tmp_path / "data", settings, clock, Guard(), read_only=read_only)
        database.declare("things", SCHEMA)
        return database

    return make


def increment(name: str = "a") -> Callable[[Connection], None]:
    def change(connection: Connection) -> None:
        connection.execute(
            "insert into things (name, count) values (?, 1)"
            " on conflict (name) do update set count = count + 1",
            (name,),
        )

    return change


def count(database: Database, name: str = "a") -> int:
    rows = database.read("select count from things where name = ?", (name,))
    return int(rows[0]["count"]) if rows else 0


def test_nothing_is_made_before_the_first_write(make: MakeDatabase, tmp_path: Path) -> None:
    """Construction and reading touch no file."""
    database = make()
    assert database.read("select * from things") == []
    database.write_pending()
    assert database.status().size_bytes == 0
    assert not (tmp_path / "data").exists()


def test_a_queued_change_is_written_by_the_tick(make: MakeDatabase) -> None:
    """submit only queues; write_pending writes and tells."""
    database = make()
    told: list[bool] = []
    assert database.submit(increment(), 10, told.append)
    assert count(database) == 0
    database.write_pending()
    assert count(database) == 1
    assert told == [True]
    status = database.status()
    assert (status.pending_changes, status.pending_bytes, status.written) == (0, 0, 1)


def test_files_are_private(make: MakeDatabase, tmp_path: Path) -> None:
    """The database is readable by its owner only."""
    database = make()
    database.submit(increment(), 10)
    database.write_pending()
    assert (tmp_path / "data" / "monitor.db").stat().st_mode & 0o077 == 0


def test_a_change_at_fault_costs_only_itself(make: MakeDatabase) -> None:
    """A change that raises is rolled back and dropped, its neighbours are written."""
    database = make()
    told: list[bool] = []

    def broken(connection: Connection) -> None:
        increment("half")(connection)
        raise KeyError("a bug")

    database.submit(increment(), 10)
    database.submit(broken, 10, told.append)
    database.submit(increment(), 10)
    database.write_pending()
    assert count(database) == 2
    assert count(database, "half") == 0
    assert told == [False]
    assert database.status().dropped == {"failed": 1}


def test_a_surrogate_or_bad_sql_is_the_changes_own_fault(make: MakeDatabase) -> None:
    """What can never be written does not block the queue."""
    database = make()
    database.submit(increment("\ud800"), 10)
    database.submit(lambda connection: connection.execute("selec") and None, 10)
    database.submit(increment(), 10)
    database.write_pending()
    assert count(database) == 1
    assert database.status().dropped == {"failed": 2}


def test_the_queue_is_bounded_by_bytes(make: MakeDatabase) -> None:
    """A full queue refuses, so that the caller can keep and merge."""
    database = make()
    assert database.submit(increment(), MAX_QUEUE_BYTES - 1)
    assert not database.submit(increment(), 2)
    assert database.status().dropped == {"queue full": 1}


def test_a_locked_file_keeps_the_queue_and_is_retried(
    make: MakeDatabase, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process holds the lock changes wait, with a pause; then all are written."""
    monkeypatch.setattr("inapp_monitor.database.connections.BUSY_TIMEOUT_S", 0.01)
    database = make()
    database.submit(increment(), 10)
    database.write_pending()
    other = sqlite3.connect(database.path)
    other.execute("begin immediate")
    database.submit(increment(), 10)
    database.write_pending()
    assert "locked" in database.status().fault
    assert database.status().pending_changes == 1
    other.rollback()
    database.write_pending()
    assert count(database) == 1, "the pause is kept"
    clock.advance(2)
    database.write_pending()
    assert count(database) == 2
    assert database.status().fault == ""
    other.close()


def test_a_data_directory_that_cannot_be_made_keeps_the_queue(
    make: MakeDatabase, clock: FakeClock, tmp_path: Path
) -> None:
    """Changes are written once the directory can be made."""
    (tmp_path / "data").write_text("a file in the way")
    database = make()
    database.submit(increment(), 10)
    database.write_pending()
    assert database.status().fault
    (tmp_path / "data").unlink()
    clock.advance(2)
    database.write_pending()
    assert count(database) == 1


def test_a_damaged_file_is_moved_aside(make: MakeDatabase, tmp_path: Path) -> None:
    """Garbage is kept under another name and replaced by a new file."""
    directory = tmp_path / "data"
    directory.mkdir(mode=0o700)
    (directory / "monitor.db").write_bytes(b"this is no database" * 500)
    database = make()
    database.submit(increment(), 10)
    database.write_pending()
    database.write_pending()
    assert count(database) == 1
    assert database.status().moved_aside == ["monitor.db.bad-1700000000"]
    assert (directory / "monitor.db.bad-1700000000").exists()


def test_damage_while_open_is_survived(make: MakeDatabase, tmp_path: Path) -> None:
    """A file overwritten under us is replaced at the next writes."""
    database = make()
    database.submit(increment(), 10)
    database.write_pending()
    database.close()
    path = tmp_path / "data" / "monitor.db"
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 20_000)
    for _ in range(3):
        database.submit(increment("b"), 10)
        database.write_pending()
    assert count(database, "b") == 3
    assert len(database.status().moved_aside) >= 1


def test_a_deleted_directory_is_made_again(make: MakeDatabase, tmp_path: Path) -> None:
    """Deleting the data directory of a running app starts a new file."""
    import shutil

    database = make()
    database.submit(increment(), 10)
    database.write_pending()
    shutil.rmtree(tmp_path / "data")
    database.submit(increment(), 10)
    database.write_pending()
    assert count(database) == 1


def test_the_file_has_a_hard_cap_and_parts_make_room(make: MakeDatabase) -> None:
    """At its cap the file grows no more; the parts are asked to delete."""
    database = make(budget=2 * 2**20)

    def make_room(connection: Connection) -> None:
        connection.execute(
            "delete from blobs where rowid in (select rowid from blobs order by rowid limit 20)"
        )

    database.declare("blobs", ("create table blobs (body blob)",), make_room)
    for _ in range(120):
        database.submit(
            lambda connection: (
                connection.execute("insert into blobs values (zeroblob(10000))") and None
            ),
            100,
        )
        database.write_pending()
    for _ in range(10):
        database.write_pending()
    status = database.status()
    assert status.pending_changes == 0
    assert database.path.stat().st_size <= status.budget_bytes
    assert database.read("select count(*) as n from blobs")[0]["n"] > 10


def test_read_only_never_writes(make: MakeDatabase) -> None:
    """Recorded data can be read by a database that refuses changes."""
    writer = make()
    writer.submit(increment(), 10)
    writer.write_pending()
    reader = make(read_only=True)
    assert not reader.submit(increment(), 10)
    reader.write_pending()
    assert count(reader) == 1


def test_schemas_move_forward_by_appended_scripts(make: MakeDatabase, tmp_path: Path) -> None:
    """A newer release adds a script; an older one leaves the newer tables alone."""
    old = make()
    old.submit(increment(), 10)
    old.write_pending()
    new = make()
    new.declare("things", (*SCHEMA, "alter table things add column note text default 'n'"))
    new.submit(increment(), 10)
    new.write_pending()
    assert new.read("select * from things") == [{"name": "a", "count": 2, "note": "n"}]
    old.submit(lambda connection: connection.execute("update things set count = 9") and None, 10)
    old.write_pending()
    assert new.read("select count from things") == [{"count": 9}]


def _work(path: Path, rounds: int) -> None:
    settings = load({}, environ={}).settings
    database = Database(path, settings, Clock(), Guard())
    database.declare("things", SCHEMA)
    for _ in range(rounds):
        database.submit(increment(), 10)
        database.write_pending()
    while database.status().pending_changes:
        database.write_pending()
    os._exit(0)


def test_a_part_declared_while_another_thread_writes_is_made_too(make: MakeDatabase) -> None:
    """Such as one that a visit of a page has loaded."""
    database = make()

    late = itertools.count()

    class Declaring(tuple[str, ...]):
        """Scripts: whenever their number is asked, another part is declared."""

        def __len__(self) -> int:
            name = f"late_{next(late)}"
            database.declare(name, (f"create table {name} (name text)",))
            return super().__len__()

    database.declare("early", Declaring((SCHEMA[0].replace("things", "early"),)))
    for _ in range(3):
        database.submit(increment(), size=1)
        database.write_pending()
    assert count(database) == 3
    assert database.read("select count(*) as n from late_0") == [{"n": 0}]


def test_several_processes_lose_nothing(make: MakeDatabase, tmp_path: Path) -> None:
    """Four processes that write at once are all counted."""
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_work, args=(tmp_path / "data", 50)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert count(make()) == 200


def test_what_is_written_now_is_there_also_while_another_thread_writes(make: MakeDatabase) -> None:
    """It waits for that one, which may have looked before at what there is to write."""
    database = make()
    begun, goes_on = threading.Event(), threading.Event()

    def slow(_connection: Connection) -> None:
        begun.set()
        goes_on.wait(60)

    database.submit(slow, 10)
    other = threading.Thread(target=database.write_pending)
    other.start()
    assert begun.wait(60)
    database.submit(increment(), 10)
    threading.Timer(0.1, goes_on.set).start()
    database.write_now()
    assert count(database) == 1
    other.join(60)


def test_a_child_starts_with_its_own_connections_and_queue(make: MakeDatabase) -> None:
    """What the parent queued before a fork is written once, by the parent."""
    database = make()
    database.submit(increment(), 10)
    database.write_pending()
    database.submit(increment(), 10)
    pid = os.fork()
    if pid == 0:
        database.submit(increment(), 10)
        database.write_pending()
        os._exit(0 if count(database) == 2 else 1)
    assert os.waitpid(pid, 0)[1] == 0
    database.write_pending()
    assert count(database) == 3


def test_it_loads_neither_sqlite_utils_nor_numpy(tmp_path: Path) -> None:
    """Importing, recording an error, writing and reading it."""
    code = (
        "import sys, pathlib\n"
        "from inapp_monitor.database.file import Database\n"
        "from inapp_monitor.issues.tracker import Tracker\n"
        "from inapp_monitor.ground.config import load\n"
        "from inapp_monitor.ground.clock import SYSTEM\n"
        "from inapp_monitor.ground.guard import Guard\n"
        "s = load({}, environ={}).settings\n"
        f"d = Database(pathlib.Path({str(tmp_path)!r}), s, SYSTEM, Guard())\n"
        "t = Tracker(s, SYSTEM, Guard(), d)\n"
        "t.capture(ValueError()); t.flush(); d.write_pending()\n"
        "assert d.status().written\n"
        "assert d.read('select name from parts')\n"
        "assert not {'sqlite_utils', 'werkzeug', 'numpy', 'jinja2'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
