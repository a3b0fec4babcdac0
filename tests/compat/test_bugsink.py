"""Bugsink from PyPI takes forwarded errors, once each and in one issue. With `make compat` only."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from inapp_monitor import Monitor
from tests.export.conftest import application, visit

pytestmark = [pytest.mark.compat, pytest.mark.peer]
_PROJECT = """
from projects.models import Project
from teams.models import Team
project = Project.objects.create(name="shop", team=Team.objects.create(name="team"))
print("DSN", project.sentry_key.hex, project.id)
"""
_SEEN = """
from events.models import Event
from issues.models import Issue
print("SEEN", Issue.objects.count(), Event.objects.count())
for issue in Issue.objects.all():
    print("ISSUE", issue.calculated_type, issue.calculated_value)
"""


class Bugsink:
    """An installation below a directory."""

    def __init__(self, programs: Path, root: Path, port: int) -> None:
        self._manage = str(programs / "bugsink-manage")
        self._root = root
        self.port = port
        self._run([str(programs / "bugsink-create-conf"), "--template", "local",
                   "--port", str(port), "-o", "bugsink_conf.py"])  # fmt: skip
        self._run([self._manage, "migrate"])
        self._run([self._manage, "migrate", "--database=snappea"])

    def _run(self, command: list[str], text: str = "") -> str:
        environ = {**os.environ, "DJANGO_SETTINGS_MODULE": "bugsink_conf"}
        done = subprocess.run(
            command, cwd=self._root, env=environ, input=text, capture_output=True, text=True,
            timeout=240, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2_000:]
        return done.stdout

    def shell(self, script: str) -> list[list[str]]:
        """What a script prints, as words."""
        return [line.split() for line in self._run([self._manage, "shell"], script).splitlines()]

    def start(self) -> subprocess.Popen[bytes]:
        """Its server."""
        environ = {**os.environ, "DJANGO_SETTINGS_MODULE": "bugsink_conf"}
        server = subprocess.Popen(
            [self._manage, "runserver", "--noreload", f"127.0.0.1:{self.port}"],
            cwd=self._root, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(150):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5).close()
            except urllib.error.HTTPError:
                break
            except OSError:
                time.sleep(0.2)
            else:
                break
        return server


@pytest.fixture
def bugsink(tmp_path: Path, port: int) -> Iterator[Bugsink]:
    """A running one; an environment that has it is named by INAPP_TEST_BUGSINK, or made."""
    named = os.environ.get("INAPP_TEST_BUGSINK")
    programs = Path(named) if named else tmp_path / "environment" / "bin"
    if not named:
        for command in (
            [sys.executable, "-m", "venv", str(programs.parent)],
            [str(programs / "pip"), "install", "-q", "bugsink"],
        ):
            if subprocess.run(command, capture_output=True, check=False).returncode:
                pytest.skip("Bugsink cannot be installed here")
    root = tmp_path / "bugsink"
    root.mkdir()
    made = Bugsink(programs, root, port)
    server = made.start()
    yield made
    server.terminate()
    server.wait(10)


def test_errors_arrive_once_and_in_one_issue(bugsink: Bugsink, data_dir: Path) -> None:
    """Also those of a time in which nobody listened, and after a restart of the app."""
    (dsn,) = [words[1:] for words in bugsink.shell(_PROJECT) if words[:1] == ["DSN"]]
    key, project = dsn
    address = f"http://{key}@127.0.0.1:{bugsink.port}/{project}"
    common = {"data_dir": data_dir, "token": "0123456789", "forward": address}
    for _ in range(2):
        monitor = Monitor(application, **common, collect_process=False, collect_host=False)
        visit(monitor, "/ok")
        time.sleep(4.0)  # the forwarder begins with the errors from then on
        visit(monitor, "/fails", "/fails", "/fails")
        time.sleep(6.0)
        monitor.close()
    seen = bugsink.shell(_SEEN)
    assert ["SEEN", "1", "6"] in seen
    assert any(words[:2] == ["ISSUE", "ValueError"] for words in seen)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"
