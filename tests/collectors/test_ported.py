"""Collectors of Diamond's, ported: the same numbers under names that go on from theirs."""

from __future__ import annotations

import os
from pathlib import Path

from inapp_monitor import Collector
from inapp_monitor.collectors.base import Sink

NOW = 1_700_000_000.0


class LoadAverageCollector(Collector):
    """Diamond's loadavg: `publish('01', ...)` there."""

    name = "loadavg"

    def collect(self) -> None:
        for name, value in zip(("01", "05", "15"), os.getloadavg(), strict=True):
            self.gauge(name, value)


class FilesCollector(Collector):
    """Diamond's files: a number a line, `name value`, that cron jobs leave behind."""

    path = "/var/lib/numbers"

    def collect(self) -> None:
        for file in Path(self.path).glob("*.count"):
            self.counter(file.stem, float(file.read_text()))


def run(collector: Collector, name: str) -> dict[str, float]:
    collector._sink = collector._sink or Sink(name, per_worker=False)
    collector.collect()
    return {scalar.path: scalar.value for scalar in collector._sink.take(NOW, 10)}


def test_the_load_average() -> None:
    """Three gauges."""
    found = run(LoadAverageCollector(), "loadavg")
    assert set(found) == {"loadavg.01", "loadavg.05", "loadavg.15"}


def test_counters_in_files(tmp_path: Path) -> None:
    """What was added, also after a file began anew; one that comes later begins to count then."""
    collector = FilesCollector()
    collector.path = str(tmp_path)
    (tmp_path / "mails.count").write_text("100\n")
    assert run(collector, "files") == {}
    (tmp_path / "mails.count").write_text("130\n")
    (tmp_path / "faxes.count").write_text("7\n")
    assert run(collector, "files") == {"files.mails": 30}
    (tmp_path / "mails.count").write_text("4\n")
    assert run(collector, "files") == {"files.mails": 4, "files.faxes": 0}
