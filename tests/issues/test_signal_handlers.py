"""Handlers of signals that record errors in the middle of recording, counting and writing others.

Python calls them in the main thread, between two steps of whatever it does: also while it holds the
locks of the monitor.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from inapp_monitor.issues import pending, tracker, writer

from .conftest import Monitor

_FILES = {module.__file__ for module in (pending, tracker, writer)}


@pytest.fixture
def on_signal() -> Iterator[Any]:
    """Set the handler of a signal; the one before comes back."""
    before = signal.getsignal(signal.SIGUSR1)

    def set_handler(handler: Any) -> None:
        signal.signal(signal.SIGUSR1, handler)

    yield set_handler
    signal.signal(signal.SIGUSR1, before)


class SignalAtEveryLine:
    """A block in which each line of what counts and writes errors is interrupted once."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, int]] = set()
        self._before: Any = None

    def __enter__(self) -> None:
        self._before = sys.gettrace()
        sys.settrace(self._call)

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _call(self, frame: FrameType, _event: str, _argument: object) -> Any:
        return self._line if frame.f_code.co_filename in _FILES else None

    def _line(self, frame: FrameType, event: str, _argument: object) -> Any:
        place = frame.f_code.co_filename, frame.f_lineno
        if event == "line" and place not in self._seen:
            self._seen.add(place)
            signal.raise_signal(signal.SIGUSR1)
        return self._line


def test_what_handlers_record_at_any_moment_is_counted(monitor: Monitor, on_signal: Any) -> None:
    """Nothing waits for its own thread, fails or is missed, wherever the signal comes."""
    recorded = 0

    def handler(*_: object) -> None:
        nonlocal recorded
        recorded += 1
        monitor.tracker.capture_message(f"signal {chr(97 + recorded % 26)}", place="handler")

    on_signal(handler)
    with SignalAtEveryLine():
        for _ in range(3):
            monitor.tracker.capture(ValueError("in a request"))
            monitor.tracker.add_facts(ValueError("unknown"), {"tags": {"a": "b"}})
            monitor.tracker.status()
            monitor.tracker.take_counts()
            monitor.tick()
    monitor.tick()
    assert recorded > 50
    assert monitor.guard.faults == {}
    assert sum(issue.count for issue in monitor.tracker.list_issues()) == recorded + 3


def test_a_handler_that_reads_and_flushes(monitor: Monitor, on_signal: Any) -> None:
    """What it asks for in the middle of a flush is as of before; the flush goes on as it would."""

    def handler(*_: object) -> None:
        monitor.tracker.capture_message("signal", place="handler")
        monitor.tracker.flush()
        monitor.tracker.status()
        counted.update(monitor.tracker.take_counts())
        monitor.tracker.list_issues()

    counted: dict[str, int] = {}
    on_signal(handler)
    with SignalAtEveryLine():
        monitor.tracker.capture(ValueError("in a request"))
        monitor.tracker.flush()
    monitor.tick()
    assert monitor.guard.faults == {}
    assert {issue.title for issue in monitor.tracker.list_issues()} >= {"ValueError: in a request"}


def test_a_handler_while_an_error_is_recorded(monitor: Monitor, on_signal: Any) -> None:
    """Recording an error runs code of the application, such as its `__str__`: what that logs is not
    recorded, what a handler of a signal logs meanwhile is."""

    class ShownError(Exception):
        def __str__(self) -> str:
            monitor.tracker.capture_message("about itself")
            signal.raise_signal(signal.SIGUSR1)
            return "shown"

    class Handler:
        calls = 0

        def __call__(self, *_: object) -> None:
            self.calls += 1
            monitor.tracker.capture_message("signal")

    handler = Handler()
    on_signal(handler)
    monitor.tracker.capture(ShownError())
    recorded = handler.calls
    monitor.tick()
    counts = {issue.title.split(":")[0]: issue.count for issue in monitor.tracker.list_issues()}
    assert recorded
    assert counts == {"ShownError": 1, "signal": recorded}
