"""A disk that refuses the login token at first, by a limit of the kernel on the size of files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits of processes are POSIX")

_PROLOGUE = """
import resource, signal, sys
from pathlib import Path
from werkzeug.test import Client
from inapp_monitor.ground import config
from inapp_monitor.ground.guard import Guard
from inapp_monitor.testing import FakeClock
from inapp_monitor.web.access import login_token
from inapp_monitor.web.app import TOKEN_AGAIN_S, WebApp
from tests.web.stored_backend import stored_backend

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
data_dir = Path(sys.argv[1])
settings = config.load({"data_dir": data_dir}, environ={}).settings
backend = stored_backend(data_dir, token=None)
backend.clock = FakeClock()
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]

def disk_is_full(full):
    resource.setrlimit(resource.RLIMIT_FSIZE, (0 if full else hard, hard))

def status(app, token):
    headers = {"Authorization": f"Bearer {token}"}
    return Client(app).get("/version", headers=headers).status_code

def obtain():
    return login_token.obtain(settings, backend.guard)

disk_is_full(True)
told = obtain()
login_token.announce(told, "http://first/")
assert told.source == "memory", told
assert [entry.name for entry in data_dir.iterdir() if "token" in entry.name] == []
"""


def run(script: str, data_dir: Path) -> str:
    """What a process of its own wrote to stderr; it must succeed."""
    command = [sys.executable, "-c", _PROLOGUE + script, str(data_dir)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_the_announced_token_is_the_one_written_when_the_disk_is_back(tmp_path: Path) -> None:
    """Whether the dashboard was first visited before or after; nobody is told twice."""
    before = """
app = WebApp(backend)
disk_is_full(False)
assert status(app, told.value) == 200
backend.clock.advance(TOKEN_AGAIN_S)
"""
    after = "disk_is_full(False); app = WebApp(backend)\n"
    check = """
assert status(app, told.value) == 200
assert (data_dir / "token").read_text().strip() == told.value
assert obtain().value == told.value and obtain().source == "file"
assert "token file" not in backend.guard.faults
"""
    for number, script in enumerate((before, after)):
        assert run(script + check, tmp_path / str(number)).count("?token=") == 1


def test_two_processes_that_told_two_tokens_agree_on_one(tmp_path: Path) -> None:
    """The first to write wins; the other tells its people, and lets both in."""
    stderr = run(
        """
app = WebApp(backend)
disk_is_full(False)
(data_dir / "token").write_text("of-the-other-process\\n")
(data_dir / "token").chmod(0o600)
backend.clock.advance(TOKEN_AGAIN_S)
for _ in range(2):
    assert status(app, told.value) == 200
    assert status(app, "of-the-other-process") == 200
    assert status(app, "") == 401
assert status(WebApp(backend), told.value) == 200
assert (data_dir / "token").read_text() == "of-the-other-process\\n"
""",
        tmp_path,
    )
    assert stderr.count("?token=of-the-other-process ") == 1
    assert stderr.count("?token=") == 2


def test_a_dashboard_that_is_visited_first_tells_the_token_it_makes(tmp_path: Path) -> None:
    """Nobody else would: the token is known by then."""
    stderr = run(
        """
(data_dir / "fresh").mkdir()
disk_is_full(False)
other = stored_backend(data_dir / "fresh", token=None)
app = WebApp(other)
status(app, "x")
status(app, "x")
""",
        tmp_path,
    )
    assert stderr.count("the token is kept in") == 1
