"""The clients of the package `statsd`, release 4, over `inapp_monitor.metrics`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Any, TypeVar

from inapp_monitor import metrics
from inapp_monitor.ground.clock import perf_counter
from inapp_monitor.recorder.timers import Timer

F = TypeVar("F", bound=Callable[..., Any])


class _Verbs:
    """What clients and pipelines have in common."""

    _prefix: str | None = None

    def _call(self, verb: Callable[..., None], stat: Any, *given: Any) -> None:
        verb(stat if not self._prefix else f"{self._prefix}.{stat}", *given)

    def incr(self, stat: str, count: float = 1, rate: float = 1) -> None:  # noqa: ARG002
        """Add to a counter."""
        self._call(metrics.incr, stat, count)

    def decr(self, stat: str, count: float = 1, rate: float = 1) -> None:  # noqa: ARG002
        """Subtract from a counter."""
        self._call(metrics.decr, stat, count)

    def gauge(self, stat: str, value: float, rate: float = 1, delta: bool = False) -> None:
        """Set a gauge, or move it when `delta`."""
        self._call(metrics.gauge, stat, value, rate, delta)

    def timing(self, stat: str, delta: float | timedelta, rate: float = 1) -> None:  # noqa: ARG002
        """Record milliseconds, or a timedelta."""
        self._call(metrics.timing, stat, delta)

    def set(self, stat: str, value: object, rate: float = 1) -> None:  # noqa: ARG002
        """Count distinct values."""
        self._call(metrics.set, stat, value)

    def timer(self, stat: str, rate: float = 1) -> StatsTimer:
        """Time a block or a function."""
        return StatsTimer(self, stat, rate)

    def pipeline(self) -> Pipeline:
        """Calls that are recorded together."""
        return Pipeline(self)


class StatsClient(_Verbs):
    """As `statsd.StatsClient`; nothing is looked up or opened."""

    def __init__(
        self,
        host: str = "localhost",  # noqa: ARG002
        port: int = 8125,  # noqa: ARG002
        prefix: str | None = None,
        maxudpsize: int = 512,  # noqa: ARG002
        ipv6: bool = False,  # noqa: ARG002
    ) -> None:
        self._prefix = prefix

    def close(self) -> None:
        """There is nothing to close."""


class TCPStatsClient(StatsClient):
    """As `statsd.TCPStatsClient`."""

    def __init__(
        self,
        host: str = "localhost",
        port: int = 8125,
        prefix: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
        ipv6: bool = False,
    ) -> None:
        super().__init__(host, port, prefix, ipv6=ipv6)

    def connect(self) -> None:
        """There is nothing to connect to."""

    def reconnect(self) -> None:
        """There is nothing to connect to."""


class UnixSocketStatsClient(TCPStatsClient):
    """As `statsd.UnixSocketStatsClient`."""

    def __init__(
        self,
        socket_path: str,  # noqa: ARG002
        prefix: str | None = None,
        timeout: float | None = None,
    ) -> None:
        super().__init__(prefix=prefix, timeout=timeout)


class Pipeline(_Verbs):
    """As statsd's: what is called waits for `send`, or the end of its `with` block."""

    def __init__(self, client: _Verbs) -> None:
        self._client = client
        self._prefix = client._prefix
        self._waiting: list[tuple[Callable[..., None], Any, tuple[Any, ...]]] = []

    def _call(self, verb: Callable[..., None], stat: Any, *given: Any) -> None:
        self._waiting.append((verb, stat, given))

    def send(self) -> None:
        """Record what waits; into the outer one, where pipelines are nested."""
        waiting, self._waiting = self._waiting, []
        for verb, stat, given in waiting:
            self._client._call(verb, stat, *given)

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *_: object) -> None:
        self.send()


class StatsTimer:
    """As statsd's timer. Unlike it, right for generators and for one timer in several threads.

    Attributes:
        ms: Of the last measurement by hand.
    """

    def __init__(self, client: _Verbs, stat: str, rate: float = 1) -> None:
        self.client, self.stat, self.rate = client, stat, rate
        self.ms: float | None = None
        self._is_sent = False
        self._measured: list[float] = []
        self._timer = Timer(stat, self._record, perf_counter)
        self._decorated = Timer(stat, self._hand_on, perf_counter)

    def _record(self, _: str, milliseconds: float) -> None:
        self._measured.append(milliseconds)

    def _hand_on(self, stat: str, milliseconds: float) -> None:
        self.client.timing(stat, milliseconds)

    def __call__(self, function: F) -> F:
        """Time each call of a function."""
        return self._decorated(function)

    def __enter__(self) -> StatsTimer:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> StatsTimer:
        """Begin to measure."""
        self.ms, self._is_sent = None, False
        self._timer.start()
        return self

    def stop(self, send: bool = True) -> StatsTimer:
        """End a measurement.

        Raises:
            RuntimeError: none was begun, as statsd does.
        """
        self._timer.stop()
        if not self._measured:
            raise RuntimeError("Timer has not started.")
        self.ms = self._measured.pop()
        if send:
            self.send()
        return self

    def send(self) -> None:
        """Record the measurement.

        Raises:
            RuntimeError: there is none, or it was recorded already, as statsd does.
        """
        if self.ms is None:
            raise RuntimeError("No data recorded.")
        if self._is_sent:
            raise RuntimeError("Already sent data.")
        self._is_sent = True
        with contextlib.suppress(Exception):
            self.client.timing(self.stat, self.ms)
