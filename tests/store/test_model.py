"""Random use of a store by several processes, compared with a plain dictionary at every step."""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Batch, Method, Scalar
from inapp_monitor.store.check import check_directory
from inapp_monitor.store.retention import Retention
from tests.store.conftest import START, Bench, known

#: Tiny rings, so that wrapping, rolling up and late points are common.
RETENTION = "1s:12s,4s:40s,8s:160s"
ARCHIVES = Retention.parse(RETENTION).archives
METHODS = {
    "sum": Method.SUM,
    "avg": Method.AVERAGE,
    "max": Method.MAX,
    "min": Method.MIN,
    "absmax": Method.ABSMAX,
    "absmin": Method.ABSMIN,
    "sum.2": Method.SUM,
    "sum.3": Method.SUM,
    "avg.2": Method.AVERAGE,
}
#: What a recorder sends at once: the same names again and again, or all but one.
SWEEPS = (sorted(METHODS), sorted(METHODS, reverse=True), sorted(METHODS.keys() - {"max"}))
EXPECTED = {
    "sum": sum,
    "avg": lambda values: sum(values) / len(values),
    "max": max,
    "min": min,
    "absmax": lambda values: max(values, key=abs),
    "absmin": lambda values: min(values, key=abs),
}


class StoreMachine(RuleBasedStateMachine):
    """Three processes add, flush and read; the model keeps every point that was accepted."""

    @initialize()
    def make(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.bench = Bench(
            self.directory / "data", retention=RETENTION, distribution_retention=RETENTION
        )
        self.stores = [self.bench.store, self.bench.open(), self.bench.open()]
        self.model: dict[str, list[tuple[int, float]]] = defaultdict(list)
        self.observed: list[tuple[int, float]] = []

    def teardown(self) -> None:
        if hasattr(self, "directory"):
            for store in self.stores:
                store.close()
            shutil.rmtree(self.directory)

    @rule(
        who=st.integers(0, 2),
        name=st.sampled_from(sorted(METHODS)),
        value=st.integers(-50, 50).filter(bool),
        age=st.one_of(st.integers(0, 3), st.integers(0, 150)),
    )
    def add(self, who: int, name: str, value: int, age: int) -> None:
        at = int(self.bench.now) - age
        # Opposites have no single extreme by magnitude: which one wins is a matter of order.
        value = abs(value) if name.startswith("abs") else value
        self.bench.put(name, value, at=at, method=METHODS[name], store=self.stores[who])
        self.model[name].append((at, value))

    @rule(
        who=st.integers(0, 2),
        names=st.sampled_from(SWEEPS),
        value=st.integers(1, 50),
        age=st.one_of(st.integers(0, 3), st.integers(0, 150)),
        times=st.integers(1, 3),
    )
    def sweep(self, who: int, names: list[str], value: int, age: int, times: int) -> None:
        """A batch of all series, one or several times."""
        at = int(self.bench.now) - age
        for _ in range(times):
            points = [Scalar(n, at, float(value + i), METHODS[n]) for i, n in enumerate(names)]
            self.stores[who].add(Batch(points, []))
            for i, name in enumerate(names):
                self.model[name].append((at, value + i))

    @rule(
        who=st.integers(0, 2),
        value=st.floats(0.001, 1e6),
        age=st.one_of(st.integers(0, 3), st.integers(0, 150)),
    )
    def observe(self, who: int, value: float, age: int) -> None:
        at = int(self.bench.now) - age
        self.bench.observe("time", [value], at=at, store=self.stores[who])
        self.observed.append((at, value))

    @rule(who=st.integers(0, 2))
    def flush(self, who: int) -> None:
        self.stores[who].flush()

    @rule(seconds=st.one_of(st.integers(1, 5), st.integers(1, 60)))
    def wait(self, seconds: int) -> None:
        for store in self.stores:
            store.flush()
        self.bench.wait(seconds)

    @rule(who=st.integers(0, 2))
    def restart(self, who: int) -> None:
        self.stores[who].close()
        self.stores[who] = self.bench.open()

    @rule(who=st.integers(0, 2), number=st.integers(0, 2))
    def read(self, who: int, number: int) -> None:
        """After everybody's flush, each process reads exactly the model, at every step."""
        for store in self.stores:
            store.flush()
        self.compare(who, number)

    @rule(number=st.integers(0, 2))
    def read_unflushed(self, number: int) -> None:
        """What one process has buffered is visible to it as if it were written."""
        self.stores[1].flush()
        self.stores[2].flush()
        self.compare(0, number)

    def compare(self, who: int, number: int) -> None:
        archive, now = ARCHIVES[number], int(self.bench.now)
        start = now - archive.retention + archive.step
        if number:
            start = min(start, now - ARCHIVES[number - 1].retention - 1)
        for name in METHODS:
            expected = defaultdict(list)
            for at, value in self.model[name]:
                if archive.floor(at) > archive.floor(start):
                    expected[archive.floor(at)].append(value)
            answers = self.stores[who].fetch([name], start, now, now)
            got = known(answers[0]) if answers else {}
            want = {at: EXPECTED[name.partition(".")[0]](values) for at, values in expected.items()}
            assert got.keys() == want.keys(), (name, number)
            for at, value in want.items():
                assert abs(got[at] - value) < 1e-9, (name, number, at)
        self.compare_distribution(who, number, start, now)

    def compare_distribution(self, who: int, number: int, start: int, now: int) -> None:
        archive = ARCHIVES[number]
        answer = self.stores[who].fetch_distribution("time", start, now, now)
        merged: dict[int, Histogram] = defaultdict(Histogram)
        for at, value in self.observed:
            if archive.floor(at) > archive.floor(start):
                merged[archive.floor(at)].merge(Histogram.of([value]))
        got = {}
        if answer is not None:
            times = range(answer.start, answer.end, answer.step)
            got = {t: slot for t, slot in zip(times, answer.slots, strict=True) if slot}
        assert got.keys() == merged.keys()
        for at, histogram in merged.items():
            assert got[at].count == histogram.count
            assert got[at].buckets == histogram.buckets

    @invariant()
    def files_are_sound(self) -> None:
        if hasattr(self, "bench"):
            assert check_directory(self.bench.data_dir, self.bench.now).problems == []


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=30,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
assert START % ARCHIVES[-1].step == 0
