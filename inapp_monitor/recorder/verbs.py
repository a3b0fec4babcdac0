"""The verbs that users put into their code, as StatsD's clients name them.

They never raise (unless the recorder is strict), never block and never change a result. Only names
and arguments here; what they record is `instruments`' business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from inapp_monitor.ground.names import tagged_name
from inapp_monitor.recorder.instruments import COUNTER, GAUGE, GAUGE_DELTA, SET, TIMER
from inapp_monitor.recorder.timers import Timer

F = TypeVar("F", bound=Callable[..., Any])
#: `record(kind, name, value)`, see `Instruments.record`.
Record = Callable[[str, Any, Any], None]
#: Values by key, or texts `key:value`.
Tags = Mapping[str, object] | Iterable[str]


def record_nothing(kind: str, name: Any, value: Any) -> None:
    """What a disabled monitor records."""


class Calls:
    """incr, decr, gauge, timing, set, observe, timer and timed over one `record` function.

    `tags` make a series of their own of each set of values: `jobs;queue=mail`. `rate` is accepted
    for StatsD's sake and changes nothing: in process there is no reason to sample.
    """

    def __init__(self, record: Record, perf: Callable[[], float]) -> None:
        self._record = record
        self._perf = perf

    def incr(self, name: str, value: float = 1, rate: float = 1, tags: Tags | None = None) -> None:  # noqa: ARG002
        """Count: add `value` to a counter."""
        self._record(COUNTER, _with_tags(name, tags) if tags is not None else name, value)

    def decr(self, name: str, value: float = 1, rate: float = 1, tags: Tags | None = None) -> None:  # noqa: ARG002
        """Count down: subtract `value` from a counter."""
        try:
            value = -value
        except Exception:  # noqa: BLE001, S110  # `record` says what is wrong with it
            pass
        self._record(COUNTER, _with_tags(name, tags) if tags is not None else name, value)

    def gauge(
        self,
        name: str,
        value: float,
        rate: float = 1,  # noqa: ARG002
        delta: bool = False,
        tags: Tags | None = None,
    ) -> None:
        """Set a gauge to `value`, or move it by `value` when `delta`."""
        name = _with_tags(name, tags) if tags is not None else name
        self._record(GAUGE_DELTA if delta else GAUGE, name, value)

    def timing(
        self,
        name: str,
        delta: float | timedelta,
        rate: float = 1,  # noqa: ARG002
        tags: Tags | None = None,
    ) -> None:
        """Record a duration in milliseconds (or a timedelta)."""
        self._record(TIMER, _with_tags(name, tags) if tags is not None else name, delta)

    def observe(self, name: str, value: float, tags: Tags | None = None) -> None:
        """Record one of many values that are no durations, such as a size: its distribution."""
        self._record(TIMER, _with_tags(name, tags) if tags is not None else name, value)

    def set(self, name: str, value: object, rate: float = 1, tags: Tags | None = None) -> None:  # noqa: ARG002
        """Count the distinct values of a step, within this process."""
        self._record(SET, _with_tags(name, tags) if tags is not None else name, value)

    def timer(self, name: str, rate: float = 1, tags: Tags | None = None) -> Timer:  # noqa: ARG002
        """Time a block (`with monitor.timer("x"):`) or a function (`@monitor.timer("x")`)."""
        name = _with_tags(name, tags) if tags is not None else name
        return Timer(name, self._record_milliseconds, self._perf)

    def timed(self, name: str | F | None = None, tags: Tags | None = None) -> Any:
        """Decorator that times a function; its name is `module.function` unless given.

        Right for functions, methods, generators, coroutines and async generators.
        """
        if callable(name) and not isinstance(name, str):
            return self.timed(None)(name)

        given: Any = name  # what is no name is counted as misuse, with each call
        is_left_out = given is None or (isinstance(given, str) and not given)

        def decorate(function: F) -> F:
            series = _qualified_name(function) if is_left_out else given
            return self.timer(series, tags=tags)(function)

        return decorate

    def _record_milliseconds(self, name: str, milliseconds: float) -> None:
        self._record(TIMER, name, milliseconds)


class TagsNotUnderstood:
    """Stands for a name whose tags are none: recording it counts as misuse."""


def _with_tags(name: str, tags: Tags) -> str:
    try:
        return tagged_name(name, tags) if tags else name
    except Exception:  # noqa: BLE001  # whatever a caller's objects do
        return TagsNotUnderstood()  # type: ignore[return-value]


def _qualified_name(function: Any) -> str:
    function = getattr(function, "__func__", getattr(function, "func", function))
    module = getattr(function, "__module__", "") or ""
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{module}.{name}".replace(".<locals>", "").replace("<lambda>", "lambda").strip(".")
