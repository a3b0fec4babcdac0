"""Batches that name the same series again take a short way: it leads to the same answers."""

from __future__ import annotations

import shutil
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inapp_monitor.ground.points import Batch, Method, Scalar
from inapp_monitor.store.retention import Retention
from inapp_monitor.store.series import Store
from tests.store.conftest import START, Bench, known

RETENTION = "1s:12s,4s:40s,8s:160s"
ARCHIVES = Retention.parse(RETENTION).archives
NAMES = [f"n{number}" for number in range(12)]
MIXES = {
    "sums": (Method.SUM,),
    "averages": (Method.SUM, Method.AVERAGE),
    "all": tuple(Method),
}
#: Which series a batch leaves out, and in which order it names the others.
ORDERS = (NAMES, NAMES[::-1], NAMES[1:], NAMES[:4] + NAMES[6:], NAMES[::2] + NAMES[1::2])

steps = st.lists(
    st.tuples(
        st.sampled_from(ORDERS),
        st.integers(1, 4),  # how many batches of that kind
        st.floats(-1e6, 1e6),
        st.sampled_from((0, 0, 0, 1, 3, 30)),  # age
        st.sampled_from((0, 1, 1, 4, 5, 13)),  # seconds until the next one
        st.booleans(),  # flush after each batch, or only at the end
    ),
    min_size=1,
    max_size=12,
)


def answers(store: Store, now: int) -> list[dict[str, dict[int, float]]]:
    """Everything that each archive knows."""
    spans = [0, *(archive.retention for archive in ARCHIVES)]
    return [
        {each.path: known(each) for each in store.fetch(NAMES, now - longest + 1, now, now)}
        for _, longest in pairwise(spans)
    ]


@pytest.mark.parametrize("mix", MIXES)
@given(steps=steps)
@settings(max_examples=25, deadline=None)
def test_a_batch_is_its_points(
    mix: str, steps: list[tuple[list[str], int, float, int, int, bool]]
) -> None:
    """Whatever is sent in batches reads as if each point had come alone, flushed or not."""
    methods = {name: MIXES[mix][i % len(MIXES[mix])] for i, name in enumerate(NAMES)}
    directory = Path(tempfile.mkdtemp())
    whole = Bench(directory / "whole", retention=RETENTION)
    single = Bench(directory / "single", retention=RETENTION)
    try:
        for names, repeats, value, age, seconds, flushing in steps:
            for number in range(repeats):
                at = int(whole.now) - age
                points = [
                    Scalar(n, at, value + i + number, methods[n]) for i, n in enumerate(names)
                ]
                whole.store.add(Batch(points, []))
                for point in points:
                    single.store.add(Batch([point], []))
                if flushing:
                    whole.store.flush()
                    single.store.flush()
            now = int(whole.now)
            assert answers(whole.store, now) == answers(single.store, now)
            assert whole.store.status().drops == single.store.status().drops
            assert whole.store.status().buffered == single.store.status().buffered
            whole.wait(seconds)
            single.wait(seconds)
        for bench in (whole, single):
            bench.store.close()
        now = int(whole.now)
        assert answers(whole.open(), now) == answers(single.open(), now)
    finally:
        shutil.rmtree(directory)


def waits_as_run(bench: Bench) -> bool:
    """Whether what waits is one run of columns."""
    (group,) = bench.store._catalog.groups.values()
    return group._run is not None


def test_the_short_way_is_taken(bench: Bench) -> None:
    """A batch like the one before waits as one run of columns; another joins it as cells."""
    ones = Batch([Scalar(n, START, 1.0, Method.SUM) for n in NAMES], [])
    bench.store.add(ones)
    bench.store.flush()
    bench.store.add(ones)
    assert waits_as_run(bench)
    bench.store.flush()
    assert bench.total("n0") == 2
    bench.store.add(ones)
    assert waits_as_run(bench)
    bench.store.add(ones)
    assert not waits_as_run(bench)
    assert bench.total("n0") == 4


def test_values_that_are_not_finite_are_dropped_from_a_repeated_batch(bench: Bench) -> None:
    """One NaN among usual values is dropped and counted, the others are kept."""
    for value in (1.0, 1.0, float("nan"), float("inf"), 1.0):
        points = [Scalar(n, START, value if n == "n3" else 1.0, Method.SUM) for n in NAMES]
        bench.store.add(Batch(points, []))
        bench.store.flush()
    assert bench.total("n0") == 5
    assert bench.total("n3") == 3
    assert bench.store.status().drops == {"not_finite": 2}


def test_a_refused_run_is_written_later(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the disk refuses, what came in one piece waits like anything else, and adds up."""

    def refuse(*_: object) -> int:
        raise OSError(28, "no space")

    def add() -> None:
        bench.store.add(Batch([Scalar(n, int(bench.now), 1.0, Method.SUM) for n in NAMES], []))
        bench.store.flush()

    for _ in range(3):
        add()
    with monkeypatch.context() as patch:
        patch.setattr("inapp_monitor.store.files.os.pwrite", refuse)
        for _ in range(3):
            bench.wait(10)
            add()
        assert bench.store.status().fault
        assert bench.total("n5") == 6
    bench.wait(60)
    add()
    assert bench.get("n5", store=bench.open()) == bench.get("n5")
    assert bench.total("n5", store=bench.open()) == 7
