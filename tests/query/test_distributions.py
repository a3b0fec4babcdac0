"""Virtual leaves of distributions: found, fetched, and merged before anything is computed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.ranges import DistributionRange
from inapp_monitor.query.evaluate import evaluate
from inapp_monitor.query.memory_source import MemorySource
from inapp_monitor.query.request import RenderRequest


def source() -> MemorySource:
    """Ten slots of 10 s: even ones hold 1..100, odd ones a single 1000; the last is empty."""
    slots: list[Histogram | None] = [
        Histogram.of(range(1, 101)) if i % 2 == 0 else Histogram.of([1000.0]) for i in range(9)
    ]
    return MemorySource(
        distributions={"x.time": DistributionRange("x.time", 1000, 1100, 10, [*slots, None])}
    )


def request(**more: object) -> RenderRequest:
    return RenderRequest(start=990, end=1099, now=2000, **more)  # type: ignore[arg-type]


def test_leaves_are_listed_below_the_path() -> None:
    """The path is a branch, its statistics are leaves, and any percentile can be asked for."""
    nodes = source().find("x.time.*")
    assert {"x.time.p95", "x.time.rate", "x.time.stddev"} <= {n.path for n in nodes if n.is_leaf}
    assert [n.is_leaf for n in source().find("x.time")] == [False]
    assert [n.path for n in source().find("x.time.p42")] == ["x.time.p42"]


def test_rate_is_per_second() -> None:
    """A slot of 10 s with 100 observations has a rate of 10."""
    (series,) = evaluate(["x.time.rate"], request(), source())
    assert series.values[0] == 10.0
    assert math.isnan(series.values[-1])


def test_percentiles_are_merged_not_averaged() -> None:
    """Over two slots the median is that of all 101 values, far from the average of medians."""
    (series,) = evaluate(["x.time.p50"], request(max_points=5), source())
    assert (series.start, series.step) == (1000, 20)
    assert series.values[0] == pytest.approx(51, rel=0.01)
    (fine,) = evaluate(["x.time.p50"], request(), source())
    assert fine.values[1] == pytest.approx(1000, rel=0.01)


def test_a_function_sees_the_merged_values() -> None:
    """Inside an expression percentiles are merged at the step that is drawn as well."""
    (series,) = evaluate(["scale(x.time.max,2)"], request(max_points=5), source())
    assert series.values[0] == 2000
    assert series.step == 20


def test_unknown_leaf_is_no_series() -> None:
    """A statistic that does not exist is not found."""
    assert evaluate(["x.time.bogus"], request(), source()) == []


def test_too_many_series_are_refused() -> None:
    """A pattern that matches more series than allowed is an error that says so."""
    many = MemorySource([(f"a.n{i}", 1000, 10, [1.0]) for i in range(1_001)])
    with pytest.raises(QueryError, match="matches 1001 series"):
        evaluate(["a.*"], request(), many)


def test_tagged_files_of_graphites_older_layout() -> None:
    """A file that carries its tagged name in clear is found without registration."""
    path = "_tagged.abc.def.disk_DOT_used;host=w1"
    held = MemorySource([(path, 1000, 10, [1.0] * 20)])
    assert held.tagged() == ["disk.used;host=w1"]
    (series,) = evaluate(["seriesByTag('host=w1')"], request(), held)
    assert (series.name, series.tags["host"]) == ("disk.used;host=w1", "w1")


def test_short_steps_are_always_read_anew() -> None:
    """A step of seconds is never answered from what was computed before."""
    slots: list[Histogram | None] = [Histogram.of([1.0, 3.0]) for _ in range(10)]
    held = MemorySource(
        distributions={"x.time": DistributionRange("x.time", 1000, 1100, 10, slots)}
    )
    first = evaluate(["x.time.count"], request(), held)[0].values[1]
    slots[1] = Histogram.of([1.0, 3.0, 5.0])
    assert evaluate(["x.time.count"], request(), held)[0].values[1] == first + 1


def test_long_steps_are_read_once_for_some_seconds() -> None:
    """Charts of weeks, whose steps are long, share what was read."""
    slots: list[Histogram | None] = [Histogram.of([1.0, 3.0]) for _ in range(10)]
    held = MemorySource(
        distributions={"x.time": DistributionRange("x.time", 0, 36_000, 3600, slots)}
    )
    day = RenderRequest(start=0, end=30_000, now=30_000)
    (before,) = evaluate(["x.time.count"], day, held)
    slots[1] = Histogram.of([1.0])
    (after,) = evaluate(["x.time.count"], day, held)
    np.testing.assert_array_equal(before.values, after.values)
    later = RenderRequest(start=0, end=30_000, now=30_200)
    assert evaluate(["x.time.count"], later, held)[0].values[0] == 1
