"""What the store promises to those who add and read, on a disk that works."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from inapp_monitor.ground.exceptions import ConfigError
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Batch, Method, Scalar
from tests.store.conftest import START, Bench


def test_construction_touches_no_file(bench: Bench) -> None:
    """A store that nobody adds to leaves no trace."""
    assert not bench.data_dir.exists()
    assert bench.store.leaves() == []
    bench.store.flush()
    bench.store.close()
    assert not bench.data_dir.exists()
    assert bench.store.fetch(["a"], START - 60, START, START) == []
    assert not bench.data_dir.exists()


def test_sum_deltas_of_one_step_add_up(bench: Bench) -> None:
    """Counts of several flushes within one interval are one sum."""
    for value in (1, 2, 4):
        bench.put("hits", value)
        bench.store.flush()
        bench.wait(2)
    assert bench.get("hits") == {START: 7}


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (Method.SUM, -1.0),
        (Method.AVERAGE, -0.25),
        (Method.LAST, 4.0),
        (Method.MAX, 4.0),
        (Method.MIN, -6.0),
        (Method.AVG_ZERO, -0.25),
        (Method.ABSMAX, -6.0),
        (Method.ABSMIN, -1.0),
    ],
)
@pytest.mark.parametrize("flushed", [True, False])
def test_values_of_one_step_combine_by_method(
    bench: Bench, method: Method, expected: float, flushed: bool
) -> None:
    """Several values of an interval, from two processes, combine by the series' method."""
    other = bench.open()
    for value, store in ((2, bench.store), (-6, other), (-1, bench.store), (4, other)):
        bench.put("x", value, method=method, store=store)
        if flushed:
            store.flush()
    if not flushed:
        bench.store.flush()
        other.flush()
        if method is Method.LAST:
            expected = 4.0
    assert bench.get("x") == {START: pytest.approx(expected)}
    assert bench.get("x", store=other) == {START: pytest.approx(expected)}


def test_buffered_points_are_visible_at_once(bench: Bench) -> None:
    """What was added and never flushed is found and fetched like the rest."""
    bench.put("a.b", 3)
    bench.observe("a.time", [1.0, 2.0])
    assert [leaf.path for leaf in bench.store.leaves()] == ["a.b", "a.time"]
    assert bench.get("a.b") == {START: 3}
    answer = bench.store.fetch_distribution("a.time", START - 60, START, START)
    assert answer is not None
    assert [slot.count for slot in answer.slots if slot] == [2]


def test_buffered_points_are_visible_in_coarser_archives(bench: Bench) -> None:
    """A minute that lies partly on disk and partly in the buffer reads as one sum."""
    for _ in range(5):
        bench.put("hits", 1)
        bench.store.flush()
        bench.wait(10)
    bench.put("hits", 1)
    assert bench.get("hits", back=86_400) == {START: 6}


def test_closed_intervals_roll_up(bench: Bench) -> None:
    """Each archive holds the sums, averages and extremes of the finer one."""
    for number in range(61):
        bench.put("sum", 1)
        bench.put("avg", number, method=Method.AVERAGE)
        bench.put("max", number, method=Method.MAX)
        bench.store.flush()
        bench.wait(60)
    week = 86_400 * 7
    assert bench.get("sum", back=week)[START] == 10
    assert bench.get("avg", back=week)[START] == 4.5
    assert bench.get("max", back=week)[START + 600] == 19
    assert bench.total("sum", back=week * 10) == 61


def test_late_points_merge(bench: Bench) -> None:
    """A late point adds to its interval and to all that contain it; none is replaced."""
    for _ in range(30):
        bench.put("hits", 1)
        bench.store.flush()
        bench.wait(10)
    bench.put("hits", 100, at=START + 15)
    bench.store.flush()
    assert bench.get("hits")[START + 10] == 101
    assert bench.get("hits", back=86_400)[START] == 106
    assert bench.get("hits", back=86_400 * 7)[START] == 130


def test_points_older_than_the_finest_archive_merge_into_a_coarser_one(bench: Bench) -> None:
    """Where the fine rows are gone, a late point still adds to the coarse ones."""
    bench.put("hits", 1)
    bench.store.flush()
    bench.wait(86_400)
    bench.put("hits", 5, at=START + 30)
    bench.store.flush()
    assert bench.get("hits", back=86_400 + 60) == {START: 6}
    assert bench.get("hits", back=86_400 * 10) == {START: 6}


def test_future_points_are_refused(bench: Bench) -> None:
    """A point more than a step ahead is dropped and counted; history stays as it was."""
    bench.put("hits", 1)
    bench.put("hits", 9, at=START + 21)
    bench.put("hits", 9, at=START + 10**9)
    bench.store.flush()
    assert bench.get("hits") == {START: 1}
    assert bench.store.status().drops == {"future": 2}


def test_points_older_than_everything_are_refused(bench: Bench) -> None:
    """A point that no archive holds is dropped and counted."""
    bench.put("hits", 1, at=START - 86_400 * 800)
    bench.put("hits", 1, at=-5)
    assert bench.store.status().drops == {"too_old": 2}


def test_values_that_are_no_numbers_are_refused(bench: Bench) -> None:
    """NaN and infinities are dropped and counted."""
    for value in (math.nan, math.inf, -math.inf):
        bench.put("x", value)
    assert bench.store.status().drops == {"not_finite": 3}


def test_the_stored_method_wins(bench: Bench) -> None:
    """A series keeps the method that it was made with."""
    bench.put("x", 5, method=Method.MAX)
    bench.store.flush()
    bench.put("x", 3, method=Method.SUM)
    bench.store.flush()
    assert bench.get("x") == {START: 5}
    assert bench.store.leaves()[0].method is Method.MAX


def test_everything_is_there_after_reopening(bench: Bench) -> None:
    """Another process, later, finds the same names and values."""
    bench.put("a", 1.5, method=Method.AVERAGE)
    bench.put("b", 2, method=Method.LAST)
    bench.observe("c", [5.0] * 7)
    bench.store.close()
    other = bench.open(read_only=True)
    assert [(leaf.path, leaf.kind) for leaf in other.leaves()] == [
        ("a", "scalar"),
        ("b", "scalar"),
        ("c", "distribution"),
    ]
    assert bench.get("a", store=other) == {START: 1.5}
    assert bench.get("b", store=other) == {START: 2}


def test_generation_tells_of_other_processes_series(bench: Bench) -> None:
    """The generation changes when another process has made a series, and only then."""
    other = bench.open()
    bench.put("a", 1)
    bench.store.flush()
    before = other.generation
    assert other.generation == before
    bench.put("b", 1)
    bench.store.flush()
    assert other.generation != before
    assert [leaf.path for leaf in other.leaves()] == ["a", "b"]


def test_a_read_only_store_writes_nothing(bench: Bench) -> None:
    """Looking at stored data neither adds nor locks nor creates."""
    store = bench.open(read_only=True)
    bench.put("a", 1, store=store)
    store.flush()
    assert store.leaves() == []
    assert not bench.data_dir.exists()


def test_the_finest_archive_that_covers_the_window_answers(bench: Bench) -> None:
    """Steps are 10 s for hours, 1 min for days, 10 min for weeks, 2 h for years."""
    bench.put("a", 1)
    bench.store.flush()
    now = START
    for back, step in ((21_600, 10), (21_601, 60), (259_201, 600), (2_592_001, 7_200)):
        assert bench.store.fetch(["a"], now - back, now, now)[0].step == step


def test_window_follows_graphite(bench: Bench) -> None:
    """`from` is exclusive, `until` inclusive, and an empty window means the next point."""
    bench.put("a", 1)
    bench.wait(100)
    now = START + 100
    answer = bench.store.fetch(["a"], START, START + 45, now)[0]
    assert (answer.start, answer.end, len(answer.values)) == (START + 10, START + 50, 4)
    answer = bench.store.fetch(["a"], START + 1, START + 2, now)[0]
    assert (answer.start, answer.end, len(answer.values)) == (START + 10, START + 20, 1)
    assert bench.store.fetch(["a"], now + 1, now + 2, now) == []
    assert bench.store.fetch(["a"], 0, 10, now) == []


def test_distributions_merge_over_processes_and_time(bench: Bench) -> None:
    """A histogram read at any step holds every value recorded, whoever recorded it."""
    other = bench.open()
    everything: list[float] = []
    for number in range(40):
        for store in (bench.store, other):
            values = [float(number + 1), 3.5]
            everything += values
            bench.observe("t", values, store=store)
            store.flush()
        bench.wait(30)
    for back in (3_600, 86_400, 86_400 * 10, 86_400 * 100):
        now = int(bench.now)
        answer = bench.store.fetch_distribution("t", now - back, now, now)
        assert answer is not None
        merged = Histogram()
        for slot in answer.slots:
            if slot is not None:
                merged.merge(slot)
        assert merged == Histogram.of(everything)


def test_a_bad_retention_is_a_config_error(make_bench: Callable[..., Bench]) -> None:
    """A retention that Whisper would refuse is refused, with the reason."""
    with pytest.raises(ConfigError, match="no multiple"):
        make_bench(retention="10s:1h,15s:2h")


def test_schema_files_choose_retention_and_rollup(
    make_bench: Callable[..., Bench], tmp_path: object
) -> None:
    """Carbon's two configuration files decide about new series by name."""
    from pathlib import Path

    directory = Path(str(tmp_path))
    schemas = directory / "storage-schemas.conf"
    schemas.write_text("[slow]\npattern = ^slow\\.\nretentions = 60s:1d\n")
    rollups = directory / "storage-aggregation.conf"
    rollups.write_text("[max]\npattern = \\.max$\nxFilesFactor = 0.5\naggregationMethod = max\n")
    bench = make_bench(storage_schemas=schemas, storage_aggregation=rollups)
    for path in ("slow.max", "fast.max"):
        bench.put(path, 2, method=Method.AVERAGE)
        bench.put(path, 4, method=Method.AVERAGE)
    bench.put("hits.max", 1)
    answers = bench.store.fetch(["slow.max", "fast.max", "hits.max"], START - 600, START, START)
    assert [(a.step, a.method, a.x_files_factor) for a in answers] == [
        (60, Method.MAX, 0.5),
        (10, Method.MAX, 0.5),
        (10, Method.SUM, 0.0),
    ]


def test_many_series_take_several_groups(bench: Bench) -> None:
    """A thousand new series in one flush are all found and read."""
    points = [Scalar(f"s.n{n}", START, float(n), Method.SUM) for n in range(1_000)]
    bench.store.add(Batch(points, []))
    bench.store.flush()
    answers = bench.open().fetch([p.path for p in points], START - 60, START, START)
    assert [a.values[-1] for a in answers] == [float(n) for n in range(1_000)]
    assert len(bench.store.status().files) == 4


def test_the_kind_that_came_first_stays_in_the_buffer(bench: Bench) -> None:
    """A name is a scalar or a distribution; points of the other kind are dropped and counted."""
    bench.put("a", 1)
    bench.observe("a", [5.0])
    bench.observe("b", [5.0])
    bench.put("b", 1)
    assert [(leaf.path, leaf.kind) for leaf in bench.store.leaves()] == [
        ("a", "scalar"),
        ("b", "distribution"),
    ]
    bench.store.flush()
    bench.observe("a", [5.0])
    bench.put("b", 1)
    bench.store.flush()
    assert [(leaf.path, leaf.kind) for leaf in bench.open().leaves()] == [
        ("a", "scalar"),
        ("b", "distribution"),
    ]
    assert bench.total("a") == 1
    found = bench.store.fetch_distribution("b", START - 60, START, START)
    assert found is not None and sum(slot.count for slot in found.slots if slot) == 1
    assert bench.store.status().drops == {"other_kind": 4}


def test_the_kind_that_another_process_stored_first_stays(bench: Bench) -> None:
    """What waits in this process under the name of the other kind is dropped and counted."""
    other = bench.open()
    bench.put("a", 1, store=other)
    bench.observe("b", [5.0], store=other)
    bench.observe("a", [5.0])
    bench.put("b", 1)
    other.flush()
    bench.store.flush()
    assert bench.store.leaves() == other.leaves()
    assert [leaf.kind for leaf in bench.store.leaves()] == ["scalar", "distribution"]
    assert bench.total("a") == 1
    assert bench.store.status().drops == {"other_kind": 2}
