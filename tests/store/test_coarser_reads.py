"""A read of a coarser archive on request: which one answers, and that its values are the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.store.retention import Archive, Retention
from tests.store.conftest import Bench

NOW = 1_700_000_123


@st.composite
def retentions(draw: st.DrawFn) -> Retention:
    """Up to four archives; each holds more than the finer one and a slot of its own together."""
    archives = [Archive(draw(st.integers(1, 30)), draw(st.integers(2, 60)))]
    for _ in range(draw(st.integers(0, 3))):
        fine = archives[-1]
        step = fine.step * draw(st.integers(2, min(fine.points, 12)))
        least = fine.retention // step + 2
        archives.append(Archive(step, draw(st.integers(least, least + 60))))
    return Retention(tuple(archives))


def seconds_later(archives: Sequence[Archive], start: int, end: int, now: int, slots: float) -> int:
    """How much later a request must come so that the coarsest archive with so many slots is the
    finest one that still reaches back to its start.
    """
    later = 0
    for finer, coarser in pairwise(archives):
        if (end - start) / coarser.step < slots:
            break
        later = max(finer.retention - (now - start) + coarser.step, 0)
    return later


@given(retentions(), st.data())
def test_the_coarsest_archive_with_enough_slots_answers(
    retention: Retention, data: st.DataObject
) -> None:
    """The same intervals as those of a request that comes so late that no finer archive answers."""
    start = NOW - data.draw(st.integers(1, retention.longest), label="back")
    end = data.draw(st.integers(start, NOW), label="end")
    slots = data.draw(st.integers(1, 400), label="slots")
    later = seconds_later(retention.archives, start, end, NOW, slots)
    expected = retention.window(start, end, NOW + later)
    assert retention.window(start, end, NOW, (end - start) // slots) == expected


@given(retentions(), st.integers(1, 10_000), st.integers(0, 10_000))
def test_no_wider_step_than_asked_for(retention: Retention, back: int, max_step_s: int) -> None:
    """The step is at most the one asked for, unless no finer archive reaches back so far."""
    usual = retention.window(NOW - back, NOW, NOW)
    window = retention.window(NOW - back, NOW, NOW, max_step_s)
    assert usual is not None
    assert window is not None
    assert usual.step <= window.step <= max(usual.step, max_step_s)
    wider = [a.step for a in retention.archives if window.step < a.step <= max_step_s]
    assert not wider


@pytest.mark.parametrize("seed", range(12))
def test_values_are_those_of_the_archive_that_time_would_choose(
    make_bench: Callable[..., Bench], seed: int
) -> None:
    """On random retentions, with points on disk and in the buffer, to the last bit."""
    chance = random.Random(seed)
    step, factor, further = (
        chance.choice([1, 2, 5, 10]),
        chance.choice([3, 6]),
        chance.choice([2, 5]),
    )
    fine = Archive(step, chance.randint(20, 60))
    middle = Archive(step * factor, fine.points // factor * 2 + chance.randint(2, 40))
    coarse = Archive(middle.step * further, middle.points // further * 2 + chance.randint(2, 40))
    retention = Retention((fine, middle, coarse))
    bench = make_bench(distribution_retention=str(retention))
    for _ in range(chance.randint(30, 150)):
        bench.observe("time", [chance.lognormvariate(3, 1) for _ in range(chance.randint(1, 9))])
        if chance.random() < 0.2:
            bench.observe("time", [7.5], at=bench.now - chance.randint(0, middle.retention))
        if chance.random() < 0.6:
            bench.store.flush()
        bench.wait(chance.choice([step, 1, 3 * step]))
    now = int(bench.now)
    coarser = 0
    for _ in range(60):
        start = now - chance.randint(1, chance.choice([fine, middle, coarse]).retention)
        end = chance.randint(start, now)
        slots = chance.randint(1, 8)
        later = seconds_later(retention.archives, start, end, now, slots)
        expected = bench.store.fetch_distribution("time", start, end, now + later)
        found = bench.store.fetch_distribution("time", start, end, now, (end - start) // slots)
        assert found == expected
        coarser += later > 0 and found is not None and any(found.slots)
    assert coarser > 0


def test_what_is_asked_for_in_vain(bench: Bench) -> None:
    """No distribution, no answer; a step finer than every archive's changes nothing."""
    bench.observe("time", [1.0])
    now = int(bench.now)
    assert bench.store.fetch_distribution("no.such", now - 600, now, now, 60) is None
    finest = bench.store.fetch_distribution("time", now - 600, now, now)
    assert bench.store.fetch_distribution("time", now - 600, now, now, 1) == finest
    wider = bench.store.fetch_distribution("time", now - 600, now, now, 599)
    assert wider is not None
    assert wider.step == 60
    assert [slot for slot in wider.slots if slot] == [Histogram.of([1.0])]
