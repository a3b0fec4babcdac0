"""What the time of a request went to, and of all requests of a route."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Distribution
from inapp_monitor.traces.breakdown import breakdown
from inapp_monitor.traces.breakdown_sums import BreakdownSums
from inapp_monitor.traces.ended_request import EndedRequest
from inapp_monitor.traces.spans import CODE, DATABASE, HTTP, TEMPLATE, Spans


def request(spans: Sequence[tuple[int, float, float, int]], end: float = 10.0) -> EndedRequest:
    """A request of some seconds with spans: kind, start, end, thread."""
    made = Spans()
    for kind, start, stop, thread in spans:
        made.append((kind, start, stop, "text", thread, None, None, None, None))
    return EndedRequest(0.0, end, "GET", "/", "200 OK", "/", False, (), made)


def test_a_span_counts_without_those_within_it() -> None:
    """A template that loads rows is a template for the rest of its time."""
    spans = [(DATABASE, 2.0, 3.0, 1), (DATABASE, 4.0, 5.0, 1), (TEMPLATE, 1.0, 6.0, 1)]
    assert breakdown(request([*spans, (HTTP, 7.0, 9.0, 1)])) == {
        "database": 2.0,
        "templates": 3.0,
        "http": 2.0,
    }


def test_named_code_is_the_applications_own() -> None:
    """It is no part of its own, and what happens in it is counted as ever."""
    spans = [(DATABASE, 2.0, 3.0, 1), (CODE, 1.0, 6.0, 1), (TEMPLATE, 0.5, 7.0, 1)]
    assert breakdown(request(spans)) == {"database": 1.0, "templates": 1.5}


def test_threads_side_by_side_share_the_time() -> None:
    """Ten threads that wait eight seconds each are no eighty seconds of a request."""
    spans = [(HTTP, 1.0, 9.0, thread) for thread in range(10)]
    assert breakdown(request(spans)) == {"http": pytest.approx(10.0)}


def counted(route: str, ms: list[float]) -> Distribution:
    return Distribution(f"routes.{route}.GET.time", 0, Histogram.of(ms))


def test_the_rest_is_computing_and_waiting_as_measured_on_some() -> None:
    """Of requests looked at closer a third was computing; so it is held to be of all."""
    sums = BreakdownSums()
    sums.add("shop", {"database": 0.004})
    sums.sample("shop", 0.006, 0.002)
    queue_ms = sums.count([counted("shop", [5.0, 5.0]), counted("other", [2.0])])
    values = {scalar.path: scalar.value for scalar in sums.take(0, queue_ms)}
    assert values["routes.shop.breakdown.database"] == pytest.approx(4.0)
    assert values["routes.shop.breakdown.computing"] == pytest.approx(2.0)
    assert values["routes.shop.breakdown.waiting"] == pytest.approx(4.0)
    assert values["requests.breakdown.database"] == pytest.approx(4.0)
    total = sum(ms for path, ms in values.items() if path.startswith("requests."))
    assert total == pytest.approx(12.0)


def test_requests_wait_in_the_servers_queue_too() -> None:
    """That time comes before the request and on top of it."""
    sums = BreakdownSums()
    waiting = Distribution("requests.queue_time", 0, Histogram.of([3.0]))
    values = {
        scalar.path: scalar.value
        for scalar in sums.take(0, sums.count([counted("shop", [5.0, 5.0]), waiting]))
    }
    assert values["requests.breakdown.queue"] == pytest.approx(6.0)


def test_series_of_routes_are_bounded() -> None:
    """Ten thousand routes have thirty breakdowns; the sum over all is right."""
    sums = BreakdownSums()
    sums.count([counted(f"r{n}", [1.0]) for n in range(100)])
    paths = {scalar.path for scalar in sums.take(0, 0.0)}
    assert len({path.split(".")[1] for path in paths if path.startswith("routes.")}) == 30
    sums.count([counted(f"r{n}", [1.0]) for n in range(10_000)])
    values = {scalar.path: scalar.value for scalar in sums.take(0, 0.0)}
    assert values["requests.breakdown.computing"] == pytest.approx(10_000)
