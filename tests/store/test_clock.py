"""Clocks that jump: no past point changes, and the process never dies."""

from __future__ import annotations

import pytest

from tests.store.conftest import START, Bench


def count(bench: Bench, rounds: int) -> None:
    """One count every ten seconds."""
    for _ in range(rounds):
        bench.put("hits", 1)
        bench.observe("time", [5.0])
        bench.store.flush()
        bench.wait(10)


def test_an_hour_backwards(bench: Bench) -> None:
    """Points before the new time stay; those of the hour that comes again add up."""
    count(bench, 720)
    bench.now -= 3_600
    past = {t: v for t, v in bench.get("hits", back=7_200).items() if t < bench.now}
    minutes = bench.get("hits", back=86_400)
    count(bench, 60)
    now = bench.get("hits", back=7_200)
    assert {t: now[t] for t in past} == past
    later = bench.get("hits", back=86_400)
    assert all(later[t] == minutes[t] for t in minutes if t + 60 <= bench.now - 600)
    assert bench.guard.faults == {}
    bench.wait(3_600)
    count(bench, 10)
    assert bench.total("hits", back=86_400) == 790


def test_a_day_forwards_and_back(bench: Bench) -> None:
    """A clock that leaps ahead and is set right again costs no point of the past."""
    count(bench, 360)
    hour = bench.get("hits", back=3_600)
    minutes = bench.get("hits", back=86_400)
    bench.now += 86_400
    count(bench, 30)
    bench.now -= 86_400
    count(bench, 30)
    after = bench.get("hits", back=7_200)
    assert {t: after[t] for t in hour if t < START + 3_500} == {
        t: v for t, v in hour.items() if t < START + 3_500
    }
    again = bench.get("hits", back=86_400)
    assert all(again[t] == v for t, v in minutes.items())
    assert bench.guard.faults == {}


@pytest.mark.parametrize("start", [0, 5, 1_000_000, 2**31 - 50, 2**32 - 50, 2**33, 253_402_300_000])
def test_any_year(bench: Bench, start: int) -> None:
    """1970, 2038, 2106 and the year 9999 are times like any other."""
    bench.now = float(start)
    count(bench, 20)
    assert bench.guard.faults == {}
    other = bench.open(read_only=True)
    assert bench.total("hits", back=3_600, store=other) >= 19
    found = other.fetch_distribution("time", max(start - 60, 0), start + 200, start + 200)
    assert found is not None
    assert sum(slot.count for slot in found.slots if slot) >= 19


def test_before_1970_points_are_dropped(bench: Bench) -> None:
    """A clock before the epoch records nothing, and breaks nothing."""
    bench.now = -1_000_000.0
    count(bench, 3)
    assert bench.store.status().drops == {"too_old": 6}
    assert bench.guard.faults == {}
