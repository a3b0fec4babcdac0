"""Locks exclude within a process too, survive what others close, and end with their holder."""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inapp_monitor.ground import file_lock
from inapp_monitor.ground.file_lock import LockFile

#: Another process, of an earlier release: holds a POSIX lock until it is told to end.
HOLDER = (
    "import fcntl, sys; f = open(sys.argv[1], 'r+b'); fcntl.lockf(f, fcntl.LOCK_EX, 1, 3);"
    "print('held', flush=True); sys.stdin.readline()"
)


@pytest.fixture(params=["open file description", "posix"])
def path(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock file, by each kind of lock that there is."""
    if request.param == "posix":
        monkeypatch.setattr(file_lock, "OFD_SETLK", None)
    elif not hasattr(fcntl, "F_OFD_SETLK"):
        pytest.skip("no such locks here")
    return tmp_path / "lock"


def free_elsewhere(path: Path, start: int = 0) -> bool:
    """Whether another process could lock a byte."""
    code = (
        "import fcntl, sys; f = open(sys.argv[1], 'r+b');"
        "fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, int(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(path), str(start)]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


def is_open_here(path: Path) -> bool:
    """Whether a descriptor of this process is of the file. Others come and go with neighbours."""
    file = path.stat()
    for number in list(Path("/dev/fd").iterdir()):
        try:
            found = os.fstat(int(number.name))
        except OSError:  # closed meanwhile
            continue
        if (found.st_dev, found.st_ino) == (file.st_dev, file.st_ino):
            return True
    return False


@pytest.fixture
def locked(path: Path) -> Iterator[LockFile]:
    """Somebody in this process has the lock."""
    lock = LockFile(path)
    assert lock.acquire()
    yield lock
    lock.close()


def test_a_second_user_in_the_process_is_excluded(path: Path, locked: LockFile) -> None:
    """As another process is, until the first one releases it."""
    other = LockFile(path)
    assert not other.acquire()
    assert not free_elsewhere(path)
    locked.release()
    assert other.acquire()
    assert not locked.acquire()
    other.close()
    assert locked.acquire()


def test_a_process_of_an_earlier_release_is_excluded(path: Path) -> None:
    """Both kinds of locks conflict with each other, byte by byte."""
    lock = LockFile(path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert not lock.acquire(3, 1)
    assert lock.acquire(4, 1)
    assert not free_elsewhere(path, 4)
    holder.communicate("end\n")
    assert lock.acquire(3, 1)
    lock.close()


def test_another_user_s_end_frees_nothing_of_the_first(path: Path, locked: LockFile) -> None:
    """Neither closing nor dropping another object of the same file."""
    LockFile(path).close()
    dropped = LockFile(path)
    del dropped
    gc.collect()
    assert not free_elsewhere(path)
    assert not LockFile(path).acquire()


@pytest.mark.skipif(not hasattr(fcntl, "F_OFD_SETLK"), reason="POSIX locks do not survive it")
def test_the_app_may_read_the_file(tmp_path: Path) -> None:
    """A backup opens and closes it: the lock stays."""
    lock = LockFile(tmp_path / "lock")
    assert lock.acquire()
    (tmp_path / "lock").read_bytes()
    assert not free_elsewhere(tmp_path / "lock")
    lock.close()
    assert free_elsewhere(tmp_path / "lock")


def test_a_dropped_lock_is_free(path: Path) -> None:
    """With its descriptor: nobody has to call `close`."""
    lock = LockFile(path)
    assert lock.acquire()
    assert is_open_here(path)
    del lock
    gc.collect()
    assert free_elsewhere(path)
    assert not is_open_here(path)


def test_a_child_keeps_nothing_and_frees_nothing(path: Path) -> None:
    """The lock ends with the parent although a child that it forked lives on; before that the
    child's `release`, `close` and end leave it alone."""
    ready, go = os.pipe(), os.pipe()
    parent = os.fork()
    if parent == 0:
        lock = LockFile(path)
        lock.acquire()
        for last in (False, True):
            child = os.fork()
            if child == 0:
                lock.release()
                lock.close()
                os.write(ready[1], b"%d\n" % (os.getpid() if last else 0))
                if last:
                    signal.alarm(60)  # nobody is left behind, whatever becomes of the test
                    signal.pause()
                os._exit(0)
        signal.pause()
    try:
        children = os.read(ready[0], 100).split()
        while len(children) < 2:
            children += os.read(ready[0], 100).split()
        assert not free_elsewhere(path)
    finally:
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
    assert free_elsewhere(path)
    (living,) = {int(child) for child in children} - {0}
    os.kill(living, signal.SIGKILL)
    for descriptor in (*ready, *go):
        os.close(descriptor)


def test_a_descriptor_that_the_app_took_is_left_alone(tmp_path: Path, path: Path) -> None:
    """Its number is of a file of the app's: nothing is closed there, and the lock is known lost."""
    lock = LockFile(path)
    assert lock.acquire()
    number = lock.descriptor
    os.close(number)
    mine = os.open(tmp_path / "mine", os.O_RDWR | os.O_CREAT)
    assert mine == number
    assert not lock.is_intact()
    assert not lock.is_at(path)
    lock.close()
    del lock
    gc.collect()
    os.write(mine, b"still open")
    os.close(mine)


def test_a_kernel_without_such_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It refuses them by EINVAL: POSIX locks are used."""

    def refuse(*_: object) -> int:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(file_lock, "OFD_SETLK", 37)
    monkeypatch.setattr("inapp_monitor.ground.file_lock.fcntl.fcntl", refuse)
    first, second = LockFile(tmp_path / "lock"), LockFile(tmp_path / "lock")
    assert first.acquire()
    assert not second.acquire()
    assert not free_elsewhere(tmp_path / "lock")
    first.close()
    assert second.acquire()
    second.close()
    assert free_elsewhere(tmp_path / "lock")


def test_no_lock_at_all_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ENOLCK is not "somebody else has it"."""

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("inapp_monitor.ground.file_lock.fcntl.fcntl", refuse)
    monkeypatch.setattr("inapp_monitor.ground.file_lock.fcntl.lockf", refuse)
    with pytest.raises(OSError, match="No locks"):
        LockFile(tmp_path / "lock").acquire()


@pytest.mark.parametrize("ofd", [True, False], ids=["ofd", "posix"])
def test_a_lock_whose_descriptor_the_app_closed_can_be_had_again(
    ofd: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that becomes a daemon closes all descriptors; the lock went with its own."""
    if not ofd:
        monkeypatch.setattr(file_lock, "OFD_SETLK", None)
    first = LockFile(tmp_path / "lock")
    assert first.acquire()
    os.close(first.descriptor)
    first.close()
    second = LockFile(tmp_path / "lock")
    assert second.acquire()
    second.close()


def test_a_number_that_is_given_again_is_the_new_owners(tmp_path: Path) -> None:
    """The same file under the same number: what was closed from outside is not intact any more."""
    first = LockFile(tmp_path / "lock")
    number = first.descriptor
    os.close(number)
    second = LockFile(tmp_path / "lock")
    assert second.descriptor == number
    assert not first.is_at(tmp_path / "lock")
    first.close()
    assert second.is_at(tmp_path / "lock")
    assert second.acquire()
    second.close()


@pytest.mark.parametrize("kind", ["open file description", "posix"])
def test_locks_that_the_collector_of_garbage_closes_do_not_wait(tmp_path: Path, kind: str) -> None:
    """It may run in the thread that is closing another one; then that thread closes both."""
    script = f"""
import fcntl, gc, threading
from pathlib import Path
from inapp_monitor.ground import file_lock
from inapp_monitor.ground.file_lock import LockFile

if {kind!r} == "posix":
    file_lock.OFD_SETLK = None
lockf = fcntl.lockf

def collecting(*arguments):
    gc.collect(0)
    return lockf(*arguments)

fcntl.lockf = collecting
gc.set_threshold(1)

def work():
    for number in range(300):
        one = LockFile(Path({str(tmp_path)!r}) / f"lock-{{number % 7}}")
        one.acquire()
        circle = [one]
        circle.append(circle)
        other = LockFile(Path({str(tmp_path)!r}) / "other")
        other.acquire()
        del one, circle
        LockFile(Path({str(tmp_path)!r}) / "other").acquire(8, 1)
        other.close()

worker = threading.Thread(target=work, daemon=True)
worker.start()
worker.join(20)
assert not worker.is_alive()
gc.collect()
for number in range(7):
    assert LockFile(Path({str(tmp_path)!r}) / f"lock-{{number}}").acquire()
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_reading_a_lock_file_frees_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where locks belong to the process, the file is closed when nothing is locked in it."""
    monkeypatch.setattr(file_lock, "OFD_SETLK", None)
    path = tmp_path / "lock"
    held = LockFile(path)
    assert held.acquire()
    file_lock.read(path, 8)
    script = f"""
from pathlib import Path
from inapp_monitor.ground.file_lock import LockFile

raise SystemExit(LockFile(Path({str(path)!r})).acquire())
"""
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0
    held.close()
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 1


def test_a_user_that_has_locked_nothing_frees_nothing(path: Path, locked: LockFile) -> None:
    """A lock is its holder's, whoever else calls `release`; bytes in common exclude each other."""
    other = LockFile(path)
    other.release()
    assert not free_elsewhere(path)
    assert not other.acquire(3, 1)
    locked.release()
    assert other.acquire(3, 1)
    assert other.acquire(5, 2)
    assert not locked.acquire(6, 1)
    assert not locked.acquire()
    assert locked.acquire(4, 1)
    other.close()


def test_locks_of_a_program_that_closed_all_descriptors(path: Path) -> None:
    """They are gone, whoever had them: others may lock, and the former holder knows it."""
    first, second = LockFile(path), LockFile(path)
    assert first.acquire()
    for number in (first.descriptor, second.descriptor):
        os.close(number)
    third = LockFile(path)
    assert third.acquire()
    assert not first.is_intact()
    with pytest.raises(OSError, match="descriptor"):
        first.acquire()
    first.close()
    second.close()
    assert not free_elsewhere(path)
    third.close()
    assert free_elsewhere(path)
