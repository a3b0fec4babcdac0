"""The collectors of docs/collectors.md: Diamond's, ported, and a Munin plugin, as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor import Collector, Monitor
from inapp_monitor.testing import collected

PAGE = Path(__file__).parents[2] / "docs" / "collectors.md"


class Jobs:
    """The reader's own queue."""

    def waiting(self) -> int:
        return 4

    def done_so_far(self) -> int:
        return 1_000


@pytest.fixture
def page() -> dict[str, Any]:
    """What the Python blocks of the page define, run one after another."""
    names: dict[str, Any] = {"jobs": Jobs(), "application": lambda environ, start: []}
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S):
        exec(code, names)
    return names


def test_the_five_lines(page: dict[str, Any]) -> None:
    """Two series under the class's name, and the app is wrapped."""
    assert collected(page["Queue"]()) == {"queue.length": 4}
    assert isinstance(page["application"], Monitor)


def test_the_load_average(page: dict[str, Any]) -> None:
    """Three gauges, under the names that Diamond gave them."""
    found = collected(page["LoadAverageCollector"]())
    assert set(found) == {"loadavg.01", "loadavg.05", "loadavg.15"}


def test_counters_in_files(page: dict[str, Any], tmp_path: Path) -> None:
    """What was added, also after a file began anew; one that comes later begins to count then."""
    collector = page["FilesCollector"]()
    collector.path = str(tmp_path)
    (tmp_path / "mails.count").write_text("100\n")
    assert collected(collector) == {}
    (tmp_path / "mails.count").write_text("130\n")
    (tmp_path / "faxes.count").write_text("7\n")
    assert collected(collector) == {"files.mails": 30}
    (tmp_path / "mails.count").write_text("4\n")
    assert collected(collector) == {"files.mails": 4, "files.faxes": 0}


def test_a_munin_plugin(page: dict[str, Any], tmp_path: Path) -> None:
    """Its fields under its name; U is a gap."""
    plugin = tmp_path / "users"
    plugin.write_text("#!/bin/sh\necho 'tty.value 3'\necho 'pts.value U'\n")
    plugin.chmod(0o755)
    assert collected(page["MuninPlugin"](str(plugin))) == {"munin.users.tty": 3}


def test_what_is_published_in_a_test_is_seen_at_once() -> None:
    """Gauges of workers too."""

    class Pool(Collector):
        per_worker = True

        def collect(self) -> None:
            self.gauge("open", 2)
            self.gauge("slowest_ms", 7, combine="max")

    assert collected(Pool()) == {"pool.open": 2, "pool.slowest_ms": 7}
