"""Scanners invent paths and methods: memory stays bounded, and every request is counted."""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from inapp_monitor.testing import FakeClock

from .test_fold import counts, fold, new_recorder, put

PATHS, METHODS, AT_A_TIME = 30_000, 10_000, 3_000


@pytest.mark.slow
def test_thirty_thousand_paths_cost_less_than_a_megabyte() -> None:
    """Each path a route of its own and thousands of methods: all counted, at most 1 MB kept."""
    clock = FakeClock()
    recorder = new_recorder(clock)
    counted = 0
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for first in range(0, PATHS, AT_A_TIME):
        for n in range(first, first + AT_A_TIME):
            put(recorder, clock, route=f"/page/{n}", path=f"/page/{n}", method=f"M{n % METHODS}")
        counted += counts(fold(recorder))["requests.time"]
        clock.advance(1.0)
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert (counted, recorder.total_requests) == (PATHS, PATHS)
    assert recorder.routes.overflowed == PATHS - 500
    assert kept < 1_000_000
