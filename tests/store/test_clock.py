"""Clocks that jump: no past point changes, and the process never dies."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from inapp_monitor.store import group_format
from inapp_monitor.store.check import check_directory
from inapp_monitor.store.series import Store
from tests.store.conftest import START, Bench, known


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
    """A clock that leaps ahead and is set right again costs no point of the past.

    Where rows of the future have the places of some of a period, minutes answer for all of it.
    """
    count(bench, 360)
    hour = bench.get("hits", back=3_600)
    minutes = bench.get("hits", back=86_400)
    bench.now += 86_400
    count(bench, 30)
    bench.now -= 86_400
    count(bench, 30)
    now = int(bench.now)
    (alone,) = bench.store.fetch(["hits"], START, START + 3_500, now)
    assert known(alone) == {t: v for t, v in hour.items() if t < START + 3_510}
    assert bench.total("hits", back=7_200) == 390
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


def counted(bench: Bench, back: int, store: Store) -> int:
    """How many values the distribution has in the last seconds."""
    now = int(bench.now)
    found = store.fetch_distribution("time", now - back, now, now)
    assert found is not None
    return sum(slot.count for slot in found.slots if slot)


@pytest.mark.parametrize("gap", [0, 30, 1_000])
@pytest.mark.parametrize("hours", [1, 2])
def test_whole_rings_backwards(make_bench: Callable[..., Bench], hours: int, gap: int) -> None:
    """Set back by a multiple of a ring's length, the clock costs no point of either time."""
    bench = make_bench(retention="10s:1h,1m:1d,10m:14d", distribution_retention="10s:1h,1m:1d")
    bench.wait(3_600 * 3)
    count(bench, 100)
    first = bench.get("hits", back=3_600)
    bench.now -= 3_600 * hours + gap
    count(bench, 100)
    back = int(bench.now) - START + 60
    for store in (bench.store, bench.open(read_only=True)):
        assert bench.total("hits", back=back, store=store) == 100
        assert counted(bench, back, store) == 100
    bench.wait(3_600 * hours + gap)
    again = bench.get("hits", back=3_600)
    assert {t: again[t] for t in first if t in again} == {t: first[t] for t in first if t in again}
    count(bench, 10)
    for store in (bench.store, bench.open(read_only=True)):
        for back in (5 * 3_600, 20 * 3_600):
            assert bench.total("hits", back=back, store=store) == 210
            assert counted(bench, back, store) == 210
    assert bench.store.status().drops == {}
    assert check_directory(bench.data_dir, bench.now).clean


def test_one_requests_instant_an_hour_before(bench: Bench) -> None:
    """A hundred requests now and a hundred an hour earlier are two hundred."""
    for _ in range(2):
        bench.observe("time", [5.0] * 100)
        bench.store.flush()
        bench.now -= 3_600
    bench.now += 3_600 * 2
    for back in (7_000, 86_000):
        assert counted(bench, back, bench.store) == 200


def test_a_single_archive_keeps_what_is_newer(make_bench: Callable[..., Bench]) -> None:
    """Without a coarser archive, points of the second time are dropped and counted."""
    bench = make_bench(retention="10s:1h", distribution_retention="10s:1h")
    count(bench, 1)
    bench.now -= 3_610
    count(bench, 1)
    assert bench.store.status().drops == {"too_old": 2}
    bench.now = START
    assert bench.get("hits") == {START: 1}


def some_seconds(bench: Bench, rounds: int = 9, each: int = 20) -> int:
    """Requests of a few seconds, flushed as a tick does it; returns how many."""
    for _ in range(rounds):
        for _ in range(each):
            bench.put("hits", 1)
            bench.observe("time", [5.0])
        bench.store.flush()
        bench.wait(1)
    return rounds * each


@pytest.mark.parametrize(
    ("ahead", "idle"),
    [
        *((3_600, 4_000), (7_200, 100_000), (6 * 3_600, 4_000), (86_400, 100_000)),
        *((7_260, 4_000), (90_000_000, 100_000)),
    ],
)
def test_ahead_by_whole_rings_for_a_moment(
    make_bench: Callable[..., Bench], ahead: int, idle: int
) -> None:
    """What was recorded before, meanwhile and after stays counted, also once time has passed the
    rows of the future: an interval whose finer slots they hold is not rolled up from the rest."""
    bench = make_bench(
        retention="10s:1h,1m:3d,10m:30d,2h:20y",
        distribution_retention="10s:1h,1m:3d,10m:30d,2h:20y",
    )
    bench.wait(30)
    around = some_seconds(bench)
    bench.now += ahead
    meanwhile = some_seconds(bench)
    bench.now -= ahead
    around += some_seconds(bench)
    for store in (bench.store, bench.open(read_only=True)):
        for back in (1_800, 3_000, 7_200, 50_000):
            assert bench.total("hits", back=back, store=store) == around, back
            assert counted(bench, back, store) == around, back
    bench.wait(idle)
    bench.put("hits", 1)
    bench.observe("time", [5.0])
    bench.store.flush()
    right = around + 1 + (meanwhile if ahead < idle else 0)
    for store in (bench.store, bench.open(read_only=True)):
        assert bench.total("hits", back=250_000, store=store) == right
        assert counted(bench, 250_000, store) == right
    assert bench.store.status().drops == {}
    assert check_directory(bench.data_dir, bench.now).clean


def test_marks_that_are_lost_cost_no_rolled_up_point(bench: Bench) -> None:
    """Everything is rolled up again then, but for intervals whose finer rows are partly gone."""
    count(bench, 3)
    bench.wait(3_600 * 7 - 20)
    count(bench, 2)
    bench.store.close()
    for file in (p for p in bench.data_dir.rglob("*") if p.is_file()):
        with file.open("r+b") as stream:
            stream.seek(group_format.STATE_OFFSET)
            stream.write(b"\xff" * group_format.STATE_SIZE)
    store = bench.open()
    bench.put("hits", 1, store=store)
    bench.observe("time", [5.0], store=store)
    store.flush()
    for back in (50_000, 260_000):
        assert bench.total("hits", back=back, store=store) == 6
        assert counted(bench, back, store) == 6
