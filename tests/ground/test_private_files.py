"""Private files: for their owner only, regular files only, and never a part for the whole."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from inapp_monitor.ground import private_files

ROOT = Path(__file__).parents[2]

WRITERS: dict[str, Callable[[Path], object]] = {
    "append_lines": lambda path: private_files.append_lines(path, b"a\n"),
    "replace": lambda path: private_files.replace(path, b"a\n"),
    "create_once": lambda path: private_files.create_once(path, b"a\n"),
    "open_for_update": lambda path: os.close(private_files.open_for_update(path)),
}
OPENERS: dict[str, Callable[[Path], object]] = {
    "append_lines": WRITERS["append_lines"],
    "open_for_update": WRITERS["open_for_update"],
    "read": lambda path: private_files.read(path, 10),
    "read_secret": lambda path: private_files.read_secret(path, 10),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_new_file_is_its_owner_s_only(tmp_path: Path, write: Callable[[Path], object]) -> None:
    """Mode 0600 whatever the umask allows, and no draft beside it."""
    before = os.umask(0)
    try:
        write(tmp_path / "file")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("kind", ["pipe", "link", "directory"])
@pytest.mark.parametrize("open_it", OPENERS.values(), ids=OPENERS)
def test_what_is_no_regular_file_is_refused(
    tmp_path: Path, open_it: Callable[[Path], object], kind: str
) -> None:
    """At once, although nobody is at the other end of the pipe, and with the path in the error."""
    path, target = tmp_path / "file", tmp_path / "target"
    target.write_bytes(b"kept")
    if kind == "pipe":
        os.mkfifo(path, 0o600)
    elif kind == "link":
        path.symlink_to(target)
    else:
        path.mkdir()
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OSError, match=str(path)):
        open_it(path)
    assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors  # garbage may go meanwhile
    assert target.read_bytes() == b"kept"


def test_a_descriptor_is_not_inherited(tmp_path: Path) -> None:
    """By programs that the app starts."""
    descriptor = private_files.open_for_update(tmp_path / "file")
    try:
        assert not os.get_inheritable(descriptor)
    finally:
        os.close(descriptor)


def test_replace_takes_the_place_of_whatever_is_there(tmp_path: Path) -> None:
    """Also of a link, whose target stays, and of a draft that a killed process has left."""
    (tmp_path / "target").write_bytes(b"kept")
    (tmp_path / "file").symlink_to(tmp_path / "target")
    (tmp_path / "file.new").write_bytes(b"a long draft of somebody else")
    private_files.replace(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert not (tmp_path / "file").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"kept"
    assert not (tmp_path / "file.new").exists()


def test_create_once_leaves_what_is_there(tmp_path: Path) -> None:
    """The first writer wins, and a link counts as being there."""
    assert private_files.create_once(tmp_path / "file", b"first")
    assert not private_files.create_once(tmp_path / "file", b"second")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert not private_files.create_once(tmp_path / "link", b"third")
    assert (tmp_path / "file").read_bytes() == b"first"
    assert not (tmp_path / "nowhere").exists()


def test_appended_lines_never_continue_a_torn_one(tmp_path: Path) -> None:
    """A line without an end stays a line of its own; whole lines follow one another."""
    path = tmp_path / "file"
    private_files.append_lines(path, b"one\n")
    private_files.append_lines(path, b"two\nthr")
    private_files.append_lines(path, b"four\n")
    assert path.read_bytes() == b"one\ntwo\nthr\nfour\n"


def test_no_more_is_read_than_was_asked_for(tmp_path: Path) -> None:
    """A file that somebody else has grown costs no memory."""
    (tmp_path / "file").write_bytes(b"0123456789")
    assert private_files.read(tmp_path / "file", 4) == b"0123"
    assert private_files.read(tmp_path / "file", 100) == b"0123456789"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_secret_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    """With what to do about it."""
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "secret").chmod(mode)
    with pytest.raises(PermissionError, match="chmod 600"):
        private_files.read_secret(tmp_path / "secret", 10)


#: What a full disk leaves: a limit of the kernel on the size of files makes writes short.
SHORT_WRITES = """
import errno, resource, signal, sys
from pathlib import Path
from inapp_monitor.ground import private_files
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (8, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
path = Path(sys.argv[1])
try:
    private_files.{call}
except OSError as error:
    assert error.errno in (errno.ENOSPC, errno.EFBIG), error
else:
    raise AssertionError("a short write passed for a whole one")
"""


@pytest.mark.parametrize("call", ["replace", "create_once", "append_lines"])
@pytest.mark.parametrize("there", [True, False])
def test_a_short_write_is_an_error(tmp_path: Path, call: str, there: bool) -> None:
    """What was there stays whole, and no draft is left."""
    path = tmp_path / "file"
    if there and call != "create_once":
        path.write_bytes(b"old\n")
    script = SHORT_WRITES.format(call=f"{call}(path, b'0123456789' * 10)")
    subprocess.run([sys.executable, "-c", script, str(path)], cwd=ROOT, check=True, timeout=60)
    left = {found.name: found.read_bytes()[:4] for found in tmp_path.iterdir()}
    if there and call != "create_once":
        assert left == {"file": b"old\n"}
    elif call == "append_lines":
        assert left == {"file": b"0123"}
    else:
        assert left == {}


def test_a_failed_replacement_leaves_the_old_file(tmp_path: Path) -> None:
    """Whatever the block that writes it runs into."""
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(OSError, match="broken"), private_files.replacement(tmp_path / "file"):
        raise OSError(errno.EIO, "broken")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"
