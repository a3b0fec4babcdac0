"""Who finds no place is told so, and the application keeps a thread of its server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from inapp_monitor.testing import FakeClock
from inapp_monitor.web.frame.places import LONGEST_WAIT_S, Places


def test_a_place_is_had_until_it_is_left() -> None:
    """As many at once as there are."""
    places = Places(FakeClock(), 2)
    assert [places.acquire(), places.acquire()] == [True, True]
    places.release()
    assert places.acquire()


def test_nobody_waits_for_work_that_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it has been going on for a while, the answer is no, and at once."""
    clock = FakeClock()
    places = Places(clock, 2)
    assert places.acquire() and places.acquire()
    clock.advance(LONGEST_WAIT_S * 2)

    def wait(self: threading.Condition, timeout: float | None = None) -> bool:
        raise AssertionError("a thread of the server is parked")

    monkeypatch.setattr(threading.Condition, "wait", wait)
    assert not places.acquire()


def test_work_that_has_just_begun_is_waited_for() -> None:
    """A dashboard asks for many small pictures at once."""
    clock = FakeClock()
    places = Places(clock, 1)
    assert places.acquire()
    found: list[bool] = []
    waiting = threading.Thread(target=lambda: found.append(places.acquire()))
    # Freed before or while it waits: both are right.
    waiting.start()
    places.release()
    waiting.join(60)
    assert found == [True]


def test_a_wait_is_short() -> None:
    """It ends by itself, whatever the clock says."""
    places = Places(FakeClock(), 1)
    assert places.acquire()
    assert not places.acquire()


@pytest.mark.parametrize("name", ["waitress", "CP Server Thread", "gunicorn"])
@pytest.mark.parametrize(("threads", "right"), [(1, 1), (2, 1), (3, 2), (8, 4)])
def test_one_thread_of_the_server_is_left_to_the_application(
    name: str, threads: int, right: int
) -> None:
    """Where the server's threads can be counted; four places are enough for more of them."""
    clock = FakeClock()
    places = Places(clock, 4)
    ready = threading.Barrier(threads + 1)

    def ask() -> bool:
        ready.wait(60)
        found = places.acquire()
        ready.wait(60)  # all threads are there as long as one asks
        return found

    assert sum(run_in_threads(name, threads, ask, ready)) == right


def run_in_threads(
    name: str, count: int, work: Callable[[], bool], ready: threading.Barrier
) -> list[bool]:
    """Run it in as many threads, named as those of a server are."""
    found: list[bool] = []
    if name == "gunicorn":
        with ThreadPoolExecutor(count) as pool:
            futures = [pool.submit(work) for _ in range(count)]
            ready.wait(60)
            ready.wait(60)
            return [future.result() for future in futures]
    made = [
        threading.Thread(target=lambda: found.append(work()), name=f"{name}{sep}{i}")
        for sep in ["-"]
        for i in range(count)
    ]
    for thread in made:
        thread.start()
    ready.wait(60)
    ready.wait(60)
    for thread in made:
        thread.join(60)
    return found


def test_threads_of_a_server_that_makes_one_a_request_are_not_counted() -> None:
    """There is always a further one."""
    places = Places(FakeClock(), 3)
    assert [places.acquire() for _ in range(3)] == [True] * 3
