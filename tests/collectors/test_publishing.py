"""What a collector publishes: names, gauges, totals across resets, bounds, sums over workers."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inapp_monitor import Collector
from inapp_monitor.collectors import Description
from inapp_monitor.collectors.base import MAX_NAMES, MAX_SHARED_BYTES, Sink, joined, name_of
from inapp_monitor.ground.points import Method
from inapp_monitor.testing import collected, described

NOW = 1_700_000_000.0


class DiskSpaceCollector(Collector):
    pass


class Queue(Collector):
    pass


class HTTPCollector(Collector):
    pass


class Named(Collector):
    name = "shop.queue"


def sink(per_worker: bool = False) -> Sink:
    return Sink("queue", per_worker)


def values(made: Sink, interval_s: float = 10) -> dict[str, float]:
    return {scalar.path: scalar.value for scalar in made.take(NOW, interval_s)}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (DiskSpaceCollector, "disk_space"),
        (Queue, "queue"),
        (HTTPCollector, "http"),
        (Named, "shop.queue"),
        (Collector, "collector"),
    ],
)
def test_a_collector_without_a_name_is_called_as_its_class(kind: Any, name: str) -> None:
    """In words of lower case, without the word collector."""
    assert name_of(kind) == name
    assert name_of(kind()) == name


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("length", "queue.length"),
        ("by.kind", "queue.by.kind"),
        ("/dev/sda 1", "queue./dev/sda_1".replace("/", "_").replace("._dev", ".dev")),
        ("käse", "queue.käse"),
        ("", "queue"),
        ("..", "queue"),
        ("a..b", "queue.a.b"),
        ("x{}*[]?", "queue.x"),
    ],
)
def test_any_text_becomes_a_legal_name(given: str, path: str) -> None:
    """Names often come from elsewhere: devices, hosts, users."""
    made = sink()
    made.gauge(given, 1, "")
    assert list(values(made)) == [path]


@pytest.mark.parametrize("name", [None, 5, b"x"])
def test_a_name_is_text(name: Any) -> None:
    """Anything else is a mistake of the collector."""
    with pytest.raises(TypeError, match="must be a string"):
        sink().gauge(name, 1, "")


@pytest.mark.parametrize("value", ["5", True, [1], object()])
def test_a_value_is_a_number(value: Any) -> None:
    """Anything else is a mistake of the collector."""
    with pytest.raises(TypeError):
        sink().gauge("x", value, "")
    with pytest.raises(TypeError):
        sink().counter("x", value, True)


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_what_is_not_known_is_a_gap(value: Any) -> None:
    """Neither a zero nor an error."""
    made = sink()
    made.gauge("x", value, "")
    made.counter("y", 1, True)
    made.counter("y", value, True)
    assert values(made) == {}
    made.counter("y", 4, True)
    assert values(made) == {"queue.y": 3}


def test_numbers_of_any_kind_are_taken() -> None:
    """Decimal as much as int and float; of large integers the difference is exact."""
    made = sink()
    made.gauge("x", Decimal("1.5"), "")
    for total in (2**62, 2**62 + 3):
        made.counter("y", total, True)
    assert values(made) == {"queue.x": 1.5, "queue.y": 3}


@given(st.lists(st.lists(st.integers(0, 10**6), max_size=8), min_size=1, max_size=6))
def test_growth_is_counted_across_restarts(lives: list[list[int]]) -> None:
    """Of a total that begins at zero with each life, the sum of all growth is what is stored."""
    made, expected, last = sink(), 0, None
    for life in lives:
        total = 0
        for growth in life:
            total += growth
            if last is not None:
                expected += total - last if total >= last else total
            made.counter("done", total, True)
            last = total
    assert sum(values(made).values()) == expected


@pytest.mark.parametrize(
    ("totals", "resets", "added"),
    [
        ([5], True, []),
        ([5, 5], True, [0]),
        ([5, 9, 12], True, [7]),
        ([100, 7], True, [7]),
        ([100, 7], False, [0]),
        ([100, 7, 9], False, [2]),
        ([0.5, 1.25], True, [0.75]),
    ],
)
def test_a_total(totals: list[float], resets: bool, added: list[float]) -> None:
    """The first is where counting begins; a lower one began anew, or has lost a part."""
    made = sink()
    for total in totals:
        made.counter("done", total, resets)
    assert list(values(made).values()) == added


def test_growth_is_of_the_interval_before() -> None:
    """What was added happened since the last run; a gauge stands at the end of that time."""
    made = sink()
    made.gauge("length", 3, "")
    made.counter("done", 1, True)
    made.counter("done", 2, True)
    stamps = {scalar.path: scalar.timestamp for scalar in made.take(NOW, 60)}
    assert stamps == {"queue.length": NOW - 5, "queue.done": NOW - 30}


@pytest.mark.parametrize(
    ("per_worker", "combine", "method"),
    [
        (False, "", Method.LAST),
        (False, "last", Method.LAST),
        (False, "max", Method.MAX),
        (False, "min", Method.MIN),
        (False, "average", Method.AVERAGE),
        (True, "max", Method.MAX),
        (True, "min", Method.MIN),
        (True, "last", Method.LAST),
    ],
)
def test_how_values_become_one(per_worker: bool, combine: str, method: Method) -> None:
    """The store keeps a gauge as its collector says."""
    made = sink(per_worker)
    made.gauge("x", 1, combine)
    assert [scalar.method for scalar in made.take(NOW, 10)] == [method]


@pytest.mark.parametrize(("per_worker", "combine"), [(False, "sum"), (True, "median")])
def test_a_wrong_combine_names_the_right_ones(per_worker: bool, combine: str) -> None:
    """`sum` is of workers, and there is only one."""
    with pytest.raises(ValueError, match="one of max, min, average, last"):
        sink(per_worker).gauge("x", 1, combine)


def test_gauges_of_workers_are_summed_or_averaged() -> None:
    """Of all who have told lately; a worker that stopped telling counts no more."""
    workers = [sink(per_worker=True) for _ in range(3)]
    for number, made in enumerate(workers):
        made.gauge("threads", number + 1, "")
        made.gauge("load", number, "average")
        assert made.take(NOW if number else NOW - 100, 10) == []
    found = {s.path: (s.value, s.method) for s in joined([m.shared for m in workers], NOW, 5)}
    assert found == {"queue.threads": (5, Method.LAST), "queue.load": (1.5, Method.AVERAGE)}


def test_a_name_keeps_its_kind() -> None:
    """A gauge cannot be a counter too."""
    made = sink()
    made.gauge("x", 1, "")
    with pytest.raises(ValueError, match=r"queue\.x.* is a gauge"):
        made.counter("x", 1, True)


def test_a_million_names_are_capped() -> None:
    """The first are kept; the rest costs no memory and is counted."""
    made = sink()
    for number in range(1_000_000):
        made.gauge(f"n{number}", number, "")
    assert len(values(made)) == MAX_NAMES == len(made.paths)
    assert made.refused == 1_000_000 - MAX_NAMES


def test_what_workers_share_is_bounded() -> None:
    """It must fit into a worker's row."""
    made = sink(per_worker=True)
    for number in range(900):
        made.gauge(f"ü{number:03}" + "x" * 100, number, "")
    made.take(NOW, 10)
    assert 0 < sum(len(path) for path in made.shared) < MAX_SHARED_BYTES
    assert made.refused == 900 - len(made.shared)


def test_a_collector_at_rest_publishes_nowhere() -> None:
    """Calling `collect` by hand hurts nobody."""
    collector = Queue()
    collector.gauge("x", 1)
    collector.counter("y", 1)
    with pytest.raises(NotImplementedError, match="Queue must define collect"):
        collector.collect()


class Sold(Collector):
    """A source that begins anew at each look, described."""

    prefix = ""
    max_names = 3

    def collect(self) -> None:
        self.describe("shop.sold", Description(unit="cups", warning=(None, 100.0)))
        for name in ("shop.sold", "shop.lost", "shop.found", "shop.further"):
            self.add(name, 5)


def test_what_was_counted_since_the_last_run_is_added() -> None:
    """Under names of its own, as many as it may have, with what they are."""
    sold = Sold()
    expected = {"shop.sold": 5.0, "shop.lost": 5.0, "shop.found": 5.0}
    assert collected(sold) == expected
    assert collected(sold) == expected
    assert described(sold) == {"shop.sold": Description(unit="cups", warning=(None, 100.0))}


def test_names_without_a_prefix_are_not_the_monitors() -> None:
    """A reserved first node is refused."""

    class Intruder(Collector):
        prefix = ""

        def collect(self) -> None:
            self.add("requests.count", 5)

    with pytest.raises(ValueError, match="reserved"):
        collected(Intruder())
