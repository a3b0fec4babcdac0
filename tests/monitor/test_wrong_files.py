"""Something else in the place of a file, or a file of somebody else: it costs that file only."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from inapp_monitor import ConfigError, Monitor
from inapp_monitor.ground.exceptions import MonitorError
from inapp_monitor.store.check import check_directory
from inapp_monitor.testing import FakeClock

ROOT = Path(__file__).parents[2]
TOKEN = "t" * 20
#: Each file of a data directory by name.
FILES = [
    *("store/lock", "store/group-000001", "monitor.db", "monitor.db-wal"),
    *("routes", "slowest", "slowest.lock", "workers", "workers.lock", "leader", "token"),
]
LATE = 8.0


def app(environ: dict[str, object], start: object) -> list[bytes]:
    start("200 OK", [("Content-Length", "1")])  # type: ignore[operator]
    return [b"x"]


def answer(monitor: Monitor) -> None:
    """One request, as a server would have it answered."""
    body = monitor({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda *_: lambda _: None)
    assert b"".join(body) == b"x"
    getattr(body, "close", lambda: None)()


def live(monitor: Monitor) -> None:
    """Requests, an error, ticks, reads and the end."""
    for _ in range(3):
        answer(monitor)
        try:
            raise ValueError("a failure")
        except ValueError:
            monitor.capture_exception()
        monitor.refresh()
        monitor.database.read("select 1")
        monitor.facts()
        monitor({"REQUEST_METHOD": "GET", "PATH_INFO": "/_metrics/", "SERVER_NAME": "x"}, _ignore)


def _ignore(*_: object) -> object:
    return lambda _: None


def put(kind: str, path: Path) -> None:
    """Something that is no regular file."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path, 0o600)
    elif kind == "directory":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(path.parent.parent / "outside")
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))


#: A pipe, which would be waited for, in the place of each file; the others for one of each room.
WRONG = [("pipe", name) for name in FILES]
WRONG += [
    (kind, name)
    for kind in ("directory", "link", "device", "socket")
    for name in ("store/lock", "store/group-000001", "monitor.db", "routes", "token")
]


@pytest.mark.parametrize("when", ["before the start", "while it runs"])
@pytest.mark.parametrize(("kind", "name"), WRONG)
def test_something_else_in_the_place_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, when: str, kind: str
) -> None:
    """Nobody waits for it, nothing outside is made, the app's requests go on, and the path is
    shown with what is expected, unless the file was replaced by a sound one. (A token that was
    read is not read again.)"""
    monkeypatch.chdir(tmp_path)
    data_dir = Path("d")  # a socket's path is short
    path = data_dir / name
    token = None if name == "token" else TOKEN
    monitor = Monitor(app, data_dir=data_dir, token=token, collect_host=False)
    if when == "while it runs":
        live(monitor)
        if name.startswith("store/group"):
            path = next((data_dir / "store").glob("group-*"))
    put(kind, path)
    thread = threading.Thread(target=live, args=(monitor,), daemon=True)
    thread.start()
    thread.join(LATE)
    assert not thread.is_alive(), "it waits"
    ended = threading.Thread(target=monitor.close, daemon=True)
    ended.start()
    ended.join(LATE)
    assert not ended.is_alive(), "its end waits"
    assert not (tmp_path / "outside").exists()
    shown = [*(fault.last for fault in monitor.guard.faults.values())]
    shown += [monitor.database.status().fault, *monitor.store.status().damaged]
    sound = path.exists() and stat.S_ISREG(path.lstat().st_mode)
    sound = sound or (name == "token" and when == "while it runs")
    assert sound or any(path.name in text for text in shown), shown


#: A web worker, and a command that root runs in its data directory; run by a Python that may be
#: somebody else, with all that is needed loaded before.
OTHERS = """
import os, sys, time
from wsgiref.util import setup_testing_defaults
from inapp_monitor import Monitor
import inapp_monitor.monitor.parts, inapp_monitor.issues.channels, inapp_monitor.issues.writer
import inapp_monitor.web.access.login_token, sqlite_utils, psutil, json.scanner
USER = 54321
data = sys.argv[1]
os.mkdir(data, 0o700)
os.chown(data, USER, USER)
def as_user(user, work):
    child = os.fork()
    if not child:
        try:
            if user:
                os.setgid(user)
                os.setuid(user)
            work()
            sys.stdout.flush()
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
def monitor(**settings):
    return Monitor(lambda e, s: (s("200 OK", []), [b"x"])[1], data_dir=data, token="t" * 20,
                   collect_host=False, collect_process=False, **settings)
def web(wanted=None, shown=None):
    worker = monitor()
    worker.incr("web")
    worker.timing("size", 5)
    try:
        raise ValueError("a failure")
    except ValueError:
        worker.capture_exception()
    worker.refresh()
    if wanted is not None:
        now = int(time.time())
        found = {r.path: sum(v for v in r.values if v == v)
                 for r in worker.store.fetch(["web"], now - 600, now + 60, now)}
        print(found.get("web"), sum(r["n"] for r in worker.database.read(
            "select count(*) as n from issue_events")))
    if shown is not None:
        print([text for f in worker.guard.faults.values() for text in [f.last] if "chown" in text])
    worker.close()
def command():
    rooted = monitor()
    rooted.timing("cron.time", 5)
    rooted.incr("cron.runs")
    rooted.timing("cron.size", 1)
    try:
        raise KeyError("root's failure")
    except KeyError:
        rooted.capture_exception()
    rooted.close()
"""

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory below others that everybody may enter."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


def others(place: Path, script: str) -> list[str]:
    """The lines that a script over `OTHERS` prints."""
    done = subprocess.run(
        [sys.executable, "-c", OTHERS + script, str(place / "data")],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@only_root
@pytest.mark.parametrize("first", ["web", "command"])
def test_root_makes_files_for_the_owner_of_the_directory(place: Path, first: str) -> None:
    """A command as root before or after the worker's start takes nothing away from the worker."""
    script = f"as_user({'USER' if first == 'web' else 0}, {first})\n"
    script += "as_user(0, command); as_user(USER, lambda: web(1))"
    found, _ = others(place, script)[0].split()
    assert float(found) == (2.0 if first == "web" else 1.0)
    owners = {path.stat().st_uid for path in (place / "data").rglob("*")}
    assert owners == {54321}
    modes = {path.stat().st_mode & 0o077 for path in (place / "data").rglob("*")}
    assert modes == {0}


@only_root
def test_a_file_of_another_user_costs_only_itself(place: Path) -> None:
    """The others are read and written; the remedy is shown, and once it is done all is read."""
    script = """
import glob
as_user(USER, web)
distribution = sorted(glob.glob(data + "/store/dist-*"))
for name in distribution:
    os.chown(name, 0, 0)
as_user(USER, lambda: web(1, 1))
for name in distribution:
    os.chown(name, USER, USER)
as_user(USER, lambda: web(1, 1))
"""
    before, faults, after, none = others(place, script)
    assert float(before.split()[0]) == 2.0
    assert "chown 54321" in faults
    assert "store/dist-" in faults
    assert float(after.split()[0]) == 3.0
    assert none == "[]"


@only_root
def test_the_database_of_another_user_is_shown_with_the_remedy(place: Path) -> None:
    """Series go on being stored."""
    script = """
as_user(USER, web)
os.chown(data + "/monitor.db", 0, 0)
as_user(USER, lambda: web(1, 1))
"""
    counts, faults = others(place, script)
    assert float(counts.split()[0]) == 2.0
    assert "chown 54321" in faults
    assert "monitor.db" in faults


@pytest.mark.parametrize("mask", [0o777, 0o377, 0])
def test_the_umask_changes_nothing(tmp_path: Path, mask: int) -> None:
    """A file that its owner could not open again would be of no use."""
    before = os.umask(mask)
    try:
        monitor = Monitor(app, data_dir=tmp_path / "data", token=TOKEN)
        live(monitor)
        monitor.close()
    finally:
        os.umask(before)
    for path in (tmp_path / "data").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_what_a_killed_creation_left_is_removed(tmp_path: Path) -> None:
    """`check` does not mind it, with or without a writer, and the next writer removes it."""
    clock = FakeClock()
    left = [tmp_path / "store" / name for name in ("dist-000099.new", "group-000098.new")]
    left[0].parent.mkdir(mode=0o700)
    for path in left:
        path.write_bytes(b"half a header")
    assert check_directory(tmp_path, clock.wall()).clean
    monitor = Monitor(app, data_dir=tmp_path, token=TOKEN, clock=clock)
    answer(monitor)
    monitor.refresh()
    assert not any(path.exists() for path in left)
    monitor.close()


def test_a_lock_that_no_leader_can_have_is_shown(tmp_path: Path) -> None:
    """What must be done once is done by nobody: that is a fault, until it is over."""
    (tmp_path / "leader").mkdir()
    monitor = Monitor(app, data_dir=tmp_path, token=TOKEN)
    answer(monitor)
    monitor.refresh()
    assert "leader" in monitor.guard.faults["leader lock"].last
    (tmp_path / "leader").rmdir()
    monitor.refresh()
    assert "leader lock" not in monitor.guard.faults
    monitor.close()


@pytest.fixture
def gone_directory(tmp_path: Path) -> Iterator[Path]:
    """The working directory has been removed."""
    before, release = Path.cwd(), tmp_path / "release-1"
    release.mkdir()
    os.chdir(release)
    release.rmdir()
    yield tmp_path
    os.chdir(before)


def test_errors_count_where_the_working_directory_is_gone(gone_directory: Path) -> None:
    """Old releases are pruned under running workers; the data directory is elsewhere."""
    monitor = Monitor(app, data_dir=gone_directory / "data", token=TOKEN)
    live(monitor)
    monitor.close()
    assert monitor.guard.faults == {}
    (row,) = monitor.database.read("select count(*) as n from issue_events")
    assert row["n"] >= 1


def test_a_relative_directory_needs_a_place(gone_directory: Path) -> None:
    """The setting is named, with what to do."""
    with pytest.raises(ConfigError, match=r"data_dir.*absolute path"):
        Monitor(app)


def test_a_home_that_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` of a user who has none is an error of the setting."""
    with pytest.raises(MonitorError, match="data_dir"):
        Monitor(app, data_dir="~nobody-of-this-name/monitor")


def test_a_directory_that_is_removed_with_its_parent_stays_away(tmp_path: Path) -> None:
    """A test's directory is; one that alone is removed is made again."""
    place = tmp_path / "place"
    place.mkdir()
    monitor = Monitor(app, data_dir=place / "data", token=TOKEN)
    live(monitor)
    monitor.life.ticker.stop(1.0) if monitor.life.ticker else None
    subprocess.run(["rm", "-r", str(place / "data")], check=True)
    answer(monitor)
    monitor.refresh()
    assert (place / "data" / "store").exists()
    subprocess.run(["rm", "-r", str(place)], check=True)
    answer(monitor)
    monitor.refresh()
    assert not place.exists()
    assert "removed" in monitor.guard.faults["data directory"].last
    monitor.close()
    assert not place.exists()


@pytest.mark.parametrize("name", ["routes", "slowest"])
@pytest.mark.parametrize("damage", [b"not what it was\n", b"\xff\0\xfe", b"a\tGET\tsoon\t[[1]]\n"])
def test_a_damaged_file_is_set_aside_and_shown(tmp_path: Path, name: str, damage: bytes) -> None:
    """What is sound in it goes on, what it was can be looked at, and that is a fault."""
    first = Monitor(app, data_dir=tmp_path, token=TOKEN)
    live(first)
    first.close()
    sound = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(sound + damage)
    again = Monitor(app, data_dir=tmp_path, token=TOKEN)
    live(again)
    again.close()
    (moved,) = tmp_path.glob(f"{name}.bad-*")
    assert moved.read_bytes() == sound + damage
    assert moved.name in again.guard.faults[f"damaged file {name}"].last
    now = (tmp_path / name).read_bytes()
    assert damage.strip() not in now
    assert name == "slowest" or now == sound
    third = Monitor(app, data_dir=tmp_path, token=TOKEN)
    live(third)
    third.close()
    assert f"damaged file {name}" not in third.guard.faults


def test_a_torn_line_of_routes_is_no_damage(tmp_path: Path) -> None:
    """A killed process and a full disk leave such lines; they cost only themselves."""
    (tmp_path / "routes").write_bytes(b'first\t"/first"\ntor\nn\t\nlast\t"/la')
    monitor = Monitor(app, data_dir=tmp_path, token=TOKEN)
    live(monitor)
    monitor.close()
    assert not list(tmp_path.glob("*.bad-*"))
    assert monitor.guard.faults == {}
