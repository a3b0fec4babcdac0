"""What tables read of rolled-up archives says the same as the finest one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Batch, Distribution
from inapp_monitor.testing import FakeClock
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame import columns
from tests.web.stored_backend import close, stored_backend

START = 1_700_000_040
PATH = "requests.time"


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """Eleven hours with a request in each minute and more of them now and then."""
    clock = FakeClock(START)
    backend = stored_backend(tmp_path_factory.mktemp("data"), clock)
    for minute in range(11 * 60):
        values = [float(1 + minute % 400)] * (1 + 7 * (minute % 11 == 0))
        backend.store.add(Batch([], [Distribution(PATH, int(clock.wall()), Histogram.of(values))]))
        if minute % 20 == 19:
            backend.store.flush()
        clock.advance(60)
    yield backend
    close(backend)


@pytest.mark.parametrize("span", [700, 3_600, 7_000, 5 * 3_600, 10 * 3_600 + 123])
@pytest.mark.parametrize("ended_ago", [0, 60, 777, 4_000])
def test_a_summary_counts_what_the_finest_archive_counts(
    backend: Backend, span: int, ended_ago: int
) -> None:
    """Wherever the window begins and ends, to the minute; also its percentiles."""
    end = backend.now() - ended_ago
    exact = columns.durations(backend, PATH, end - span, end, 40)
    quick = columns.summary(backend, PATH, end - span, end, 30)
    assert exact is not None
    assert quick is not None
    # The end of a past window is read at the finest step there is, the rest a minute each.
    assert abs(quick.whole.count - exact.whole.count) <= (16 if ended_ago else 0)
    assert quick.whole.quantile(0.9) == pytest.approx(exact.whole.quantile(0.9), rel=0.04)
    assert quick.covered.sum() == pytest.approx(span, abs=600)


def test_a_summary_of_nothing_is_none(backend: Backend) -> None:
    """As of a series that is not stored."""
    assert columns.summary(backend, "no.such", backend.now() - 36_000, backend.now(), 30) is None
