"""A process that dies at its n-th write, for every n: the store opens, the past is unchanged."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from inapp_monitor.ground.points import Method
from inapp_monitor.store.check import check_directory
from inapp_monitor.store.retention import Retention
from tests.store.conftest import START, Bench, known

RETENTION = "10s:2m,30s:10m,1m:1h"
ARCHIVES = Retention.parse(RETENTION).archives
ROUNDS = 20


class Died(BaseException):
    """Not an Exception: nothing in the store may go on after it."""


class Dying:
    """The system's pwrite, until the n-th call; that one writes only a part, or nothing."""

    def __init__(self, at: int, share: float) -> None:
        self.calls = 0
        self._at = at
        self._share = share

    def __call__(self, fd: int, data: bytes, offset: int) -> int:
        self.calls += 1
        if self.calls == self._at:
            part = bytes(data)[: int(len(data) * self._share)]
            if part:
                os.pwrite(fd, part, offset)
            raise Died
        return os.pwrite(fd, data, offset)


class System:
    """The `os` module with another pwrite."""

    def __init__(self, pwrite: Callable[..., int]) -> None:
        self.pwrite = pwrite

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)


def live(bench: Bench) -> None:
    """One count and one observation an interval, flushed each time."""
    for _ in range(ROUNDS):
        bench.put("sum", 1)
        bench.put("avg", 3, method=Method.AVERAGE)
        bench.observe("time", [1.0, 9.0])
        bench.store.flush()
        bench.wait(10)


def assert_past_unchanged(bench: Bench, died_at: int) -> None:
    """Each interval that had ended when the process died holds exactly what was recorded."""
    now = int(bench.now)
    for number, archive in enumerate(ARCHIVES):
        start = now - archive.retention
        ended = archive.floor(died_at)
        begin = START if not number else archive.floor(START)
        expected = {
            at: float(archive.step // 10)
            for at in range(begin, ended, archive.step)
            if at > archive.floor(start)
        }
        answers = bench.store.fetch(["sum", "avg"], start, now, now)
        for answer in answers:
            assert answer.step == archive.step
            values = {at: value for at, value in known(answer).items() if at < ended}
            wanted = dict.fromkeys(expected, 3.0) if answer.path == "avg" else expected
            assert values == wanted, (answer.path, number)
        assert len(answers) == 2 or not expected
        found = bench.store.fetch_distribution("time", start, now, now)
        if found is not None:
            times = range(found.start, found.end, found.step)
            counts = {
                at: slot.count
                for at, slot in zip(times, found.slots, strict=True)
                if slot and at < ended
            }
            assert counts == {at: 2 * value for at, value in expected.items()}


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_crash_at_every_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    """Whichever write is the last one, and whether it was done in part or not at all."""
    number = 0
    while True:
        number += 1
        dying = Dying(number, share)
        bench = Bench(tmp_path / f"{number}", retention=RETENTION, distribution_retention=RETENTION)
        with monkeypatch.context() as patch:
            patch.setattr("inapp_monitor.store.files.os", System(dying))
            patch.setattr("inapp_monitor.store.lock.os", System(dying))
            patch.setattr("inapp_monitor.ground.private_files.os", System(dying))
            try:
                live(bench)
                break
            except Died:
                died_at = int(bench.now)
        bench.store = bench.open()
        assert_past_unchanged(bench, died_at)
        bench.wait(10)
        bench.put("sum", 1)
        bench.put("avg", 3, method=Method.AVERAGE)
        bench.observe("time", [1.0, 9.0])
        bench.store.flush()
        assert bench.store.status().fault == ""
        assert_past_unchanged(bench, died_at)
        kinds = {p.kind for p in check_directory(bench.data_dir, bench.now, repair=True).problems}
        assert kinds <= {"row", "table", "header"}
        assert check_directory(bench.data_dir, bench.now).clean
        bench.store.close()
    assert number > 70
