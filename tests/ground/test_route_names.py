"""Which slug stands for which route: a torn line costs itself, never the next one."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from inapp_monitor.ground.workers.route_names import FILE_NAME, RouteNames

ROOT = Path(__file__).parents[2]


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    """A route that is saved after a torn line is kept; what was torn is not taken for a route."""
    (tmp_path / FILE_NAME).write_bytes(b'first\t"/first"\ntorn\t"/to')
    names = RouteNames(tmp_path)
    assert names.save_new({"later": "/later"}) == {"first": "/first", "later": "/later"}
    again = RouteNames(tmp_path)
    assert again.save_new({"torn": "/torn"})["torn"] == "/torn"
    assert again.load() == {"first": "/first", "later": "/later", "torn": "/torn"}


def test_a_disk_that_accepts_a_part_says_so_and_loses_nothing_later(tmp_path: Path) -> None:
    """The limit is the kernel's own: the write is short, the next one has room again."""
    script = f"""
import errno, resource, signal, sys
from pathlib import Path
from inapp_monitor.ground.workers.route_names import RouteNames
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
names = RouteNames(Path({str(tmp_path)!r}))
names.save_new({{"first": "/first"}})
size = (Path({str(tmp_path)!r}) / {FILE_NAME!r}).stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 9, hard))
try:
    names.save_new({{"second": "/second"}})
except OSError as error:
    assert error.errno in (errno.ENOSPC, errno.EFBIG), error
    assert {FILE_NAME!r} in str(error), error
else:
    raise AssertionError("a short write was not noticed")
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
known = names.save_new({{"second": "/second", "third": "/third"}})
assert known == {{"first": "/first", "second": "/second", "third": "/third"}}, known
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=60)


def test_the_first_writer_of_a_slug_keeps_it(tmp_path: Path) -> None:
    """In every worker, whatever another one would call by it."""
    first, second = RouteNames(tmp_path), RouteNames(tmp_path)
    first.save_new({"users": "/users"})
    assert second.save_new({"users": "/Users", "other": "/other"})["users"] == "/users"
    assert first.load() == {"users": "/users", "other": "/other"}


def test_a_link_in_its_place_is_refused(tmp_path: Path) -> None:
    """What it points to is neither read nor written."""
    (tmp_path / "elsewhere").write_text('a\t"/a"\n')
    (tmp_path / FILE_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=FILE_NAME) as caught:
        RouteNames(tmp_path).save_new({"b": "/b"})
    assert caught.value.errno == errno.ELOOP
    assert (tmp_path / "elsewhere").read_text() == 'a\t"/a"\n'
