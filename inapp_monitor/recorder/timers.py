"""Timing code: a context manager and decorator that is right for functions, generators and async.

It measures, and passes the milliseconds on; it changes neither the result nor an exception of what
it wraps. No naming rules and no aggregation here.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Generator
from contextvars import ContextVar
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
#: `record(name, milliseconds)`; must not raise.
Record = Callable[[str, float], None]


class _Running(NamedTuple):
    """A `start` without its `stop` yet; those of one thread or task form a chain."""

    timer: Timer
    start: float
    before: _Running | None
    depth: int


#: The latest one of this thread or task. A timer object may be shared by many.
_running: ContextVar[_Running | None] = ContextVar("inapp_monitor_timers", default=None)
#: Starts remembered in a thread or task; past it, those that were never stopped are forgotten.
MAX_RUNNING = 10_000


class Timer:
    """`with timer("x"):` or `@timer("x")`; also `start()` and `stop()` by hand.

    Attributes:
        name: Series that the milliseconds are recorded under.
        ms: Duration of the last finished `with` block or `stop()`, else None.
    """

    def __init__(self, name: str, record: Record, clock: Callable[[], float]) -> None:
        self.name = name
        self.ms: float | None = None
        self._record = record
        self._clock = clock

    def __enter__(self) -> Timer:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> Timer:
        """Begin to measure in this thread or task."""
        before = _running.get()
        depth = before.depth + 1 if before is not None else 1
        if depth > MAX_RUNNING:
            before, depth = None, 1
        _running.set(_Running(self, self._clock(), before, depth))
        return self

    def stop(self) -> Timer:
        """End the latest `start` of this thread or task and record it; without one, do nothing."""
        latest = _running.get()
        inner: list[_Running] = []  # started later by other timers, and still running
        running = latest
        while running is not None and running.timer is not self:
            inner.append(running)
            running = running.before
        if running is not None:
            rest = running.before
            for other in reversed(inner):
                rest = other._replace(before=rest)
            _running.set(rest)
            self.ms = self._finish(running.start)
        return self

    def _finish(self, start: float) -> float:
        milliseconds = (self._clock() - start) * 1000.0
        self._record(self.name, milliseconds)
        return milliseconds

    def __call__(self, function: F) -> F:
        """Time every call of `function`.

        Generators count from the first `next` to their end, coroutines from the first to the last
        step, waiting included.
        """
        if isinstance(function, type) or not _is_function(function):
            self._record(self.name, function)  # type: ignore[arg-type]  # counted as misuse
            return function
        wrapped: F = _wrapper_for(function)(self, function)
        return wrapped


def _is_function(function: object) -> bool:
    return callable(function) or isinstance(function, (staticmethod, classmethod))


def _is(test: Callable[[Any], bool], function: Callable[..., Any]) -> bool:
    """Whether a function, or the `__call__` of an object, is of a kind."""
    return test(function) or test(getattr(type(function), "__call__", None))  # noqa: B004


def _wrapper_for(function: Callable[..., Any]) -> Callable[[Timer, Any], Any]:
    if isinstance(function, (staticmethod, classmethod)):
        return _wrap_method
    if _is(inspect.iscoroutinefunction, function):
        return _wrap_coroutine
    if _is(inspect.isasyncgenfunction, function):
        return _wrap_async_generator
    if _is(inspect.isgeneratorfunction, function):
        return _wrap_generator
    return _wrap_function


def _wrap_method(timer: Timer, method: Any) -> Any:
    return type(method)(timer(method.__func__))


def _wrap_function(timer: Timer, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def timed(*args: Any, **kwargs: Any) -> Any:
        start = timer._clock()
        try:
            return function(*args, **kwargs)
        finally:
            timer._finish(start)

    return timed


def _wrap_coroutine(timer: Timer, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def timed(*args: Any, **kwargs: Any) -> Any:
        start = timer._clock()
        try:
            return await function(*args, **kwargs)
        finally:
            timer._finish(start)

    return timed


def _wrap_generator(timer: Timer, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def timed(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        start = timer._clock()
        try:
            return (yield from function(*args, **kwargs))
        finally:
            timer._finish(start)

    return timed


def _wrap_async_generator(timer: Timer, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def timed(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        start = timer._clock()
        generator = function(*args, **kwargs)
        try:  # what `yield from` does, which async generators lack
            item = await anext(generator)
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    await generator.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001  # it belongs to the generator
                    item = await generator.athrow(error)
                else:
                    item = await generator.asend(sent)
        except StopAsyncIteration:
            return
        finally:
            timer._finish(start)

    return timed
