"""Folding: every request is counted once, in the step in which it ended, whatever it looks like."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.ground.points import Batch, Method
from inapp_monitor.recorder import recorder as recorder_module
from inapp_monitor.recorder.recorder import Recorder
from inapp_monitor.testing import FakeClock

STEP = 10
#: What may stand where a string should.
NO_STRINGS = st.one_of(st.none(), st.just([]), st.just({}), st.integers())


def new_recorder(clock: FakeClock | None = None, **limits: Any) -> Recorder:
    settings: dict[str, Any] = {
        "step_s": STEP,
        "max_routes": 500,
        "max_series": 100,
        "max_pending": 100_000,
        "strict": False,
        "first_use": lambda: None,
        **limits,
    }
    return Recorder(clock or FakeClock(), **settings)


def scalars(batch: Batch) -> dict[str, float]:
    """Path to sum of the values of a batch."""
    totals: dict[str, float] = {}
    for path, _, value, _ in batch.scalars:
        totals[path] = totals.get(path, 0.0) + value
    return totals


def counts(batch: Batch) -> dict[str, int]:
    """Path to how many values its histograms hold."""
    totals: dict[str, int] = {}
    for path, _, histogram in batch.distributions:
        totals[path] = totals.get(path, 0) + histogram.count
    return totals


@dataclass(eq=False)
class Noted:
    """A request as the request path notes it."""

    start: float
    end: float | None
    method: Any = "GET"
    route: Any = "/"
    status: Any = "200 OK"
    error: Any = None
    path: Any = "/p"
    size: Any = None


def put(
    recorder: Recorder, clock: FakeClock, *, ms: float = 1.0, failed: bool = False, **facts: Any
) -> None:
    """One request that ends now."""
    end = clock.perf()
    error = BaseException if failed else None
    recorder.pending.append(Noted(end - ms / 1000.0, end, error=error, **facts))


def fold(recorder: Recorder) -> Batch:
    recorder.fold()
    return recorder.take()


def test_series_of_a_request() -> None:
    """A request is counted in all and under its route and method, with its duration in ms."""
    clock = FakeClock()
    recorder = new_recorder(clock)
    put(recorder, clock, route="/users/<id>", method="POST", status="201 Created", ms=250.0)
    batch = fold(recorder)
    assert scalars(batch) == {
        "requests.status.2xx": 1,
        "routes.users-id.POST.status.2xx": 1,
    }
    assert counts(batch) == {"requests.time": 1, "routes.users-id.POST.time": 1}
    assert batch.distributions[0].histogram.total == pytest.approx(250.0)
    assert {scalar.method for scalar in batch.scalars} == {Method.SUM}


def test_errors_are_failures_and_5xx() -> None:
    """An exception and a 5xx are errors, once each; a 404 is none, and counted by itself."""
    clock = FakeClock()
    recorder = new_recorder(clock)
    put(recorder, clock, failed=True, status="500")
    put(recorder, clock, failed=True)  # failed while streaming: the status was sent long ago
    put(recorder, clock, status="503 Busy")
    put(recorder, clock, status="404 Not Found", route=None)
    totals = scalars(fold(recorder))
    assert totals["requests.errors"] == 3
    assert totals["routes.root.GET.errors"] == 3
    assert totals["requests.not_found"] == 1
    assert totals["routes.not-found.GET.status.4xx"] == 1
    assert "routes.not-found.GET.errors" not in totals


def test_nothing_recorded_is_nothing_flushed() -> None:
    """Without requests there are no points, and what was taken once is not taken again."""
    clock = FakeClock()
    recorder = new_recorder(clock)
    assert fold(recorder) == Batch([], [])
    put(recorder, clock)
    fold(recorder)
    assert fold(recorder) == Batch([], [])


@pytest.mark.parametrize("late_s", [0.0, 1.0, 9.9, 10.0, 35.0])
def test_step_of_a_late_fold(late_s: float) -> None:
    """However late the fold is, a request is labelled with the step in which it ended."""
    clock = FakeClock(wall=1_700_000_000.0)
    recorder = new_recorder(clock)
    clock.advance(9.5)  # 0.5 s before the next step
    put(recorder, clock)
    clock.advance(late_s)
    batch = fold(recorder)
    assert {timestamp // STEP * STEP for _, timestamp, _ in batch.distributions} == {1_700_000_000}
    assert all(timestamp <= clock.wall() for _, timestamp, _ in batch.distributions)


def test_requests_of_two_steps_in_one_fold() -> None:
    """A fold just after a boundary parts the requests before it from those after it."""
    clock = FakeClock(wall=1_700_000_000.0)
    recorder = new_recorder(clock)
    clock.advance(9.999)
    put(recorder, clock)
    clock.advance(0.001)
    put(recorder, clock)
    put(recorder, clock)
    clock.advance(0.5)
    labels = {t // STEP * STEP: h.count for p, t, h in fold(recorder).distributions if "req" in p}
    assert labels == {1_700_000_000: 1, 1_700_000_010: 2}


def test_wall_clock_set_back() -> None:
    """A wall clock that jumps changes labels, never counts or durations."""
    clock = FakeClock()
    recorder = new_recorder(clock)
    put(recorder, clock, ms=20.0)
    recorder.fold()
    clock.step_wall(-3_600.0)
    put(recorder, clock, ms=20.0)
    batch = fold(recorder)
    assert counts(batch)["requests.time"] == 2
    assert all(t <= clock.wall() for _, t, _ in batch.distributions)


@given(
    st.lists(
        st.tuples(
            st.one_of(
                st.sampled_from(["GET", "POST"]), st.text(max_size=5), st.none(), st.just([])
            ),
            st.one_of(
                st.sampled_from(["/a", "/b/<x>"]), st.text(), st.none(), st.just({}), st.just(7)
            ),
            st.one_of(
                st.sampled_from(["200 OK", "404 Not Found", "500 Oops"]),
                st.text(max_size=6),
                NO_STRINGS,
            ),
            st.floats(0, 100),
            st.booleans(),
        ),
        max_size=40,
    )
)
def test_any_request_is_counted(requests: list[Any]) -> None:
    """Whatever an application or a client puts there, each request is counted exactly once."""
    clock = FakeClock()
    recorder = new_recorder(clock)
    for method, route, status, seconds, failed in requests:
        ms = seconds * 1000.0
        put(recorder, clock, ms=ms, method=method, route=route, status=status, failed=failed)
    batch = fold(recorder)
    by_path = counts(batch)
    assert by_path.pop("requests.time", 0) == len(requests)
    assert sum(by_path.values()) == len(requests)
    totals = scalars(batch)
    sent = sum(n for path, n in totals.items() if path.startswith("requests.status."))
    assert sent <= len(requests)


class Hostile(str):
    """A string that cannot be hashed, compared or cut."""

    def __hash__(self) -> int:
        raise RuntimeError("no hash")

    def __getitem__(self, _: object) -> str:
        raise RuntimeError("no slice")


def test_hostile_strings_lose_nothing() -> None:
    """Strings that fail in every operation are counted as what they say; the others too."""
    clock = FakeClock()
    recorder = new_recorder(clock)
    put(recorder, clock)
    put(recorder, clock, method=Hostile("GET"), route=Hostile("/x"), status=Hostile("404 N"))
    put(recorder, clock)
    batch = fold(recorder)
    assert counts(batch)["requests.time"] == 3
    assert counts(batch)["routes.x.GET.time"] == 1
    assert scalars(batch)["requests.not_found"] == 1


def test_clock_that_runs_backwards() -> None:
    """A negative duration is counted as zero."""
    clock = FakeClock()
    recorder = new_recorder(clock)
    put(recorder, clock, ms=-5.0)
    assert fold(recorder).distributions[0].histogram.maximum == 0.0


@pytest.fixture
def hurried() -> Iterator[None]:
    """Threads take turns as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def run_threads(work: Any, threads: int) -> None:
    workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


@pytest.mark.usefixtures("hurried")
def test_no_request_is_lost_between_threads() -> None:
    """Eight threads append while two others fold and take: the counts are exact."""
    recorder = new_recorder()
    per_thread, folders = 4_000, 2
    batches: list[Batch] = []
    running = threading.Event()
    running.set()

    def append_or_fold(number: int) -> None:
        if number >= folders:
            for n in range(per_thread):
                record = Noted(0.0, None, route=f"/{number}", size="10")
                recorder.pending.append(record)
                record.error = BaseException if n % 4 == 0 else None
                record.end = n / 1e6
                recorder.instruments.record("counter", "calls", 1)
            return
        while running.is_set():
            recorder.help_if_free() if number else recorder.fold(slices=3)
            batches.append(recorder.take())

    folding = [threading.Thread(target=append_or_fold, args=(n,)) for n in range(folders)]
    for thread in folding:
        thread.start()
    run_threads(lambda n: append_or_fold(n + folders), 8)
    running.clear()
    for thread in folding:
        thread.join()
    batches.append(fold(recorder))
    assert sum(counts(b).get("requests.time", 0) for b in batches) == 8 * per_thread
    assert sum(scalars(b).get("requests.errors", 0) for b in batches) == 8 * per_thread / 4
    assert sum(scalars(b).get("calls", 0) for b in batches) == 8 * per_thread
    assert recorder.total_requests == 8 * per_thread


def test_pending_is_bounded() -> None:
    """When nothing folds, the oldest requests go, and are counted."""
    clock = FakeClock()
    recorder = new_recorder(clock, max_pending=1_000)
    for n in range(1_500):
        put(recorder, clock, ms=n)
    recorder.bound_pending()
    assert (len(recorder.pending), recorder.dropped_requests) == (1_000, 500)
    recorder.fold()
    for n in range(1_500, 1_600):
        put(recorder, clock, ms=n)
    recorder.bound_pending()
    assert (len(recorder.pending), recorder.dropped_requests) == (100, 600)
    assert fold(recorder).distributions[0].histogram.minimum == pytest.approx(600.0)


def test_folding_keeps_up_with_a_thread_that_never_rests() -> None:
    """While another thread computes without a pause, folding gets its part of the interpreter."""
    recorder = new_recorder(SYSTEM)
    for n in range(20_000):
        end = SYSTEM.perf()
        recorder.pending.append(Noted(end, end, route=f"/{n}"))
    running = threading.Event()
    running.set()

    def compute() -> None:
        while running.is_set():
            sum(range(100))

    thread = threading.Thread(target=compute)
    thread.start()
    begin = SYSTEM.perf()
    batch = fold(recorder)
    seconds = SYSTEM.perf() - begin
    running.clear()
    thread.join()
    assert counts(batch)["requests.time"] == 20_000
    assert seconds < 30.0  # on a busy machine, too: a pause a request would take 100


def test_requests_under_way_can_be_forgotten() -> None:
    """A request that will never end can be dropped."""
    clock = FakeClock()
    recorder = new_recorder(clock)
    lost, kept = Noted(clock.perf(), None), Noted(clock.perf(), None)
    recorder.live.update((lost, kept))
    recorder.forget({lost})
    assert recorder.unfinished() == [kept]
    assert fold(recorder) == Batch([], [])


def test_requests_help_when_too_much_waits() -> None:
    """Each counts a few, and none while somebody else folds; nothing is lost or counted twice."""
    clock = FakeClock()
    recorder = new_recorder(clock)
    assert not recorder.lags
    for _ in range(10_001):
        put(recorder, clock)
    assert recorder.lags
    with recorder.lock:
        recorder.help_if_free()
    assert recorder.lags
    recorder.help_if_free()
    assert not recorder.lags
    assert counts(recorder.take())["requests.time"] == recorder_module.SLICE
    for _ in range(20):
        recorder.help_if_free()
    assert counts(fold(recorder))["requests.time"] == 10_001 - recorder_module.SLICE
    assert recorder.total_requests == 10_001


def test_a_handler_of_a_signal_that_interrupts_counting() -> None:
    """It is in the thread that counts, and neither waits for it nor counts anything twice."""
    clock = FakeClock()
    recorder = new_recorder(clock)
    put(recorder, clock)
    with recorder.lock:
        assert recorder.fold() == []
        assert recorder.take() == Batch([], [])
        recorder.bound_pending()
    assert counts(fold(recorder))["requests.time"] == 1


def test_what_was_counted_with_help_is_seen_by_who_wants_each_request() -> None:
    """Who counts takes no request away from the signals."""
    clock = FakeClock()
    recorder = new_recorder(clock)
    recorder.keeps_whole = True
    for _ in range(10_001):
        put(recorder, clock)
    recorder.help_if_free()
    assert len(recorder.fold()) == 10_001
    assert recorder.fold() == []
    assert counts(recorder.take())["requests.time"] == 10_001


def test_steps_are_bounded_while_nobody_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the ticking thread hangs and requests count, memory stays bounded and no count is
    lost: the later ones share a step."""
    monkeypatch.setattr(recorder_module, "MAX_STEPS", 5)
    clock = FakeClock()
    recorder = new_recorder(clock, max_pending=10)
    for _ in range(20):
        for _ in range(20):
            put(recorder, clock)
        for _ in range(2):
            recorder.help_if_free()
        clock.advance(STEP)
    batch = fold(recorder)
    assert len([each for each in batch.distributions if each.path == "requests.time"]) == 5
    assert counts(batch)["requests.time"] == 400


def test_fork_leaves_everything_to_the_parent() -> None:
    """A child starts from nothing, even when the parent's lock was held."""
    clock = FakeClock()
    recorder = new_recorder(clock, max_pending=2)
    for _ in range(20):
        put(recorder, clock)
    recorder.help_if_free()  # some of them are counted, and not taken
    recorder.sample(1.0, 1.0)
    recorder.instruments.record("counter", "calls", 1)
    recorder.lock.acquire()
    recorder.forked()
    assert fold(recorder) == Batch([], [])


def test_not_found_is_bounded() -> None:
    """404s wait in bounded number and length, decoded as the UTF-8 that browsers send."""
    recorder = new_recorder()
    recorder.note_not_found("/caf\xc3\xa9", "x" * 100_000)
    path, referer, _ = recorder.not_found[0]
    assert (path, len(referer)) == ("/café", recorder_module.MAX_URL_LENGTH)
    for _ in range(recorder_module.MAX_NOT_FOUND_PENDING):
        recorder.note_not_found("/x", "")
    assert len(recorder.take_not_found()) == recorder_module.MAX_NOT_FOUND_PENDING
    assert recorder.dropped_not_found == 1
    assert recorder.take_not_found() == []


def test_who_calls_more_than_is_folded_folds_himself() -> None:
    """Without any tick all calls of a thread add up, and what waits stays bounded."""
    recorder = new_recorder(max_pending=2_000)
    for _ in range(12_000):
        recorder.instruments.record("counter", "orders", 1)
        recorder.instruments.record("timer", "render", 2.0)
    assert len(recorder.instruments.pending) <= 2_000
    recorder.fold()
    batch = recorder.take()
    assert recorder.instruments.refused == {}
    assert (scalars(batch)["orders"], counts(batch)["render"]) == (12_000.0, 12_000)
