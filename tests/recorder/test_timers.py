"""Timers measure every kind of callable and change none."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from inapp_monitor.recorder import timers
from inapp_monitor.recorder.timers import Timer
from inapp_monitor.testing import FakeClock


class Bench:
    """A clock, what was recorded, and timers that use both."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.recorded: list[tuple[str, Any]] = []

    def timer(self, name: str = "t") -> Timer:
        return Timer(name, lambda name, ms: self.recorded.append((name, ms)), self.clock.perf)

    def work(self, ms: float = 50.0) -> None:
        self.clock.advance(ms / 1000.0)

    @property
    def times(self) -> list[float]:
        return [round(ms, 6) for _, ms in self.recorded]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_with_block(bench: Bench) -> None:
    """A with block is timed; the timer has the duration."""
    with bench.timer("x") as timer:
        bench.work(20)
    assert bench.recorded == [("x", pytest.approx(20))]
    assert timer.ms == pytest.approx(20)


def test_with_block_that_raises(bench: Bench) -> None:
    """A block that fails is timed too, and its exception gets through."""
    with pytest.raises(ZeroDivisionError), bench.timer():
        bench.work()
        1 / 0  # noqa: B018
    assert bench.times == [50]


def test_start_and_stop(bench: Bench) -> None:
    """By hand; a stop without a start does nothing."""
    timer = bench.timer()
    timer.stop()
    timer.start()
    bench.work()
    timer.stop()
    timer.stop()
    assert bench.times == [50]


def test_nested_blocks_of_one_timer(bench: Bench) -> None:
    """A timer object may be used within itself."""
    timer = bench.timer()
    with timer:
        bench.work(10)
        with timer:
            bench.work(5)
    assert bench.times == [5, 15]


def test_overlapping_timers(bench: Bench) -> None:
    """Timers need not end in the order in which they began."""
    a, b = bench.timer("a").start(), bench.timer("b").start()
    bench.work(10)
    a.stop()
    bench.work(10)
    b.stop()
    assert bench.recorded == [("a", pytest.approx(10)), ("b", pytest.approx(20))]


def test_starts_that_never_stop_are_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that forgets to stop does not fill the memory."""
    monkeypatch.setattr(timers, "MAX_RUNNING", 10)
    for _ in range(1_000):
        timer = bench.timer().start()
    depth = 0
    running = timers._running.get()
    while running is not None:
        depth, running = depth + 1, running.before
    assert depth <= 10
    timer.stop()
    assert len(bench.recorded) == 1


def test_one_timer_in_many_threads(bench: Bench) -> None:
    """Threads that share a timer do not disturb one another."""
    timer = bench.timer()
    barrier = threading.Barrier(4)

    def use() -> None:
        with timer:
            barrier.wait(10)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bench.recorded) == 4


def test_one_timer_in_many_tasks(bench: Bench) -> None:
    """Nor do tasks of one event loop."""
    timer = bench.timer()

    async def use(ms: float, turns: int) -> None:
        with timer:
            bench.work(ms)
            for _ in range(turns):
                await asyncio.sleep(0)

    async def both() -> None:
        await asyncio.gather(use(10, 2), use(5, 1))

    asyncio.run(both())
    assert sorted(bench.times) == [5, 15]


# -- decorated callables: each returns 7 (or yields it) and takes 50 ms


def plain(bench: Bench) -> Callable[[], Any]:
    @bench.timer()
    def function() -> int:
        bench.work()
        return 7

    return function


def method(bench: Bench) -> Callable[[], Any]:
    class Owner:
        @bench.timer()
        def method(self) -> int:
            bench.work()
            return 7

    return Owner().method


def static_method(bench: Bench) -> Callable[[], Any]:
    class Owner:
        @bench.timer()
        @staticmethod
        def method() -> int:
            bench.work()
            return 7

    return Owner.method


def class_method(bench: Bench) -> Callable[[], Any]:
    class Owner:
        @bench.timer()
        @classmethod
        def method(cls) -> int:
            assert cls is Owner
            bench.work()
            return 7

    return Owner.method


def partial(bench: Bench) -> Callable[[], Any]:
    def function(result: int) -> int:
        bench.work()
        return result

    return bench.timer()(functools.partial(function, 7))


def callable_object(bench: Bench) -> Callable[[], Any]:
    class Doer:
        def __call__(self) -> int:
            bench.work()
            return 7

    return bench.timer()(Doer())


def builtin(bench: Bench) -> Callable[[], Any]:
    def takes_time() -> Iterator[int]:
        bench.work()
        yield 7

    return lambda: bench.timer()(next)(takes_time())


@pytest.mark.parametrize(
    "make", [plain, method, static_method, class_method, partial, callable_object, builtin]
)
def test_functions(bench: Bench, make: Any) -> None:
    """A call is timed and its result passed on."""
    function = make(bench)
    assert [function(), function()] == [7, 7]
    assert bench.times == [50, 50]


def test_recursion(bench: Bench) -> None:
    """Each level of a recursion is a call."""

    @bench.timer()
    def down(n: int) -> int:
        bench.work(10)
        return n if n == 0 else down(n - 1)

    assert down(2) == 0
    assert bench.times == [10, 20, 30]


def test_function_that_raises(bench: Bench) -> None:
    """A call that fails is timed, and its exception is the function's own."""
    error = ValueError("x")

    @bench.timer()
    def fail() -> None:
        bench.work()
        raise error

    with pytest.raises(ValueError, match="x") as caught:
        fail()
    assert caught.value is error
    assert error.__context__ is None
    assert bench.times == [50]


def test_decorated_function_looks_the_same(bench: Bench) -> None:
    """Name, documentation and signature stay."""

    @bench.timer()
    def documented(a: int, *, b: str = "") -> None:
        """Its documentation."""

    assert documented.__name__ == "documented"
    assert documented.__doc__ == "Its documentation."
    assert str(inspect.signature(documented)) == "(a: 'int', *, b: 'str' = '') -> 'None'"


def test_generator(bench: Bench) -> None:
    """A generator is timed from the first next to its end, with what happens between."""

    @bench.timer()
    def generate() -> Iterator[int]:
        bench.work(10)
        yield 1
        bench.work(10)
        yield 2
        bench.work(10)

    assert inspect.isgeneratorfunction(generate)
    iterator = generate()
    bench.work(1_000)  # not begun yet
    assert next(iterator) == 1
    bench.work(5)
    assert list(iterator) == [2]
    assert bench.times == [35]


def test_generator_closed_early(bench: Bench) -> None:
    """A generator that is closed ends there, and runs its own finally first."""
    ended = []

    @bench.timer()
    def generate() -> Iterator[int]:
        try:
            bench.work(10)
            yield 1
        finally:
            ended.append(True)

    iterator = generate()
    next(iterator)
    iterator.close()
    assert (ended, bench.times) == ([True], [10])


def test_generator_gets_what_is_sent_and_thrown(bench: Bench) -> None:
    """send, throw and the return value pass through."""

    @bench.timer()
    def generate() -> Any:
        got = yield "first"
        try:
            yield got
        except KeyError:
            return "returned"

    iterator = generate()
    assert next(iterator) == "first"
    assert iterator.send("sent") == "sent"
    with pytest.raises(StopIteration) as end:
        iterator.throw(KeyError())
    assert end.value.value == "returned"
    assert len(bench.times) == 1


async def _await(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


def test_coroutine(bench: Bench) -> None:
    """A coroutine is timed over its waiting, not when it is made."""

    @bench.timer()
    async def work() -> int:
        bench.work(10)
        await asyncio.sleep(0)
        bench.work(10)
        return await _await(7)

    assert inspect.iscoroutinefunction(work)
    coroutine = work()
    assert bench.times == []
    assert asyncio.run(coroutine) == 7
    assert bench.times == [20]


def test_coroutine_that_is_cancelled(bench: Bench) -> None:
    """A cancelled coroutine is timed to its end."""

    @bench.timer()
    async def work() -> None:
        bench.work(10)
        await asyncio.sleep(3_600)

    async def cancel() -> None:
        task = asyncio.ensure_future(work())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert bench.times == [10]


@pytest.mark.parametrize("wrapped", ["object", "partial"])
def test_asynchronous_callables_in_disguise(bench: Bench, wrapped: str) -> None:
    """An object with an async call, and a partial of a coroutine, are timed as coroutines."""

    class Doer:
        async def __call__(self) -> int:
            bench.work(10)
            await asyncio.sleep(0)
            bench.work(10)
            return 7

    function: Any = Doer() if wrapped == "object" else functools.partial(Doer().__call__)
    assert asyncio.run(bench.timer()(function)()) == 7
    assert bench.times == [20]


def test_asynchronous_generator(bench: Bench) -> None:
    """An async generator is timed from its first item to its end; asend and athrow pass through."""

    @bench.timer()
    async def generate() -> AsyncIterator[Any]:
        bench.work(10)
        got = yield 1
        bench.work(10)
        try:
            yield got
        except KeyError:
            yield "caught"

    async def use() -> list[Any]:
        generator: Any = generate()
        items = [await anext(generator), await generator.asend("sent")]
        items.append(await generator.athrow(KeyError()))
        with pytest.raises(StopAsyncIteration):
            await anext(generator)
        return items

    assert inspect.isasyncgenfunction(generate)
    assert asyncio.run(use()) == [1, "sent", "caught"]
    assert bench.times == [20]


def test_asynchronous_generator_closed_early(bench: Bench) -> None:
    """Closing it closes the wrapped one, whose finally may wait."""
    ended = []

    @bench.timer()
    async def generate() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    async def use() -> None:
        generator: Any = generate()
        await anext(generator)
        await generator.aclose()

    asyncio.run(use())
    assert (ended, len(bench.times)) == ([True], 1)


@pytest.mark.parametrize(
    "thing",
    [property(lambda self: 7), type("C", (), {}), 7, None],
    ids=["property", "class", "number", "None"],
)
def test_what_is_no_function_stays_as_it_is(bench: Bench, thing: Any) -> None:
    """A class, a property or anything else is returned; the misuse is counted."""
    assert bench.timer()(thing) is thing
    assert bench.recorded == [("t", thing)]
