"""Spans that the application names itself, and its requests carried into other threads."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from inapp_monitor.ground import current_request
from inapp_monitor.ground.clock import perf_counter
from inapp_monitor.recorder.timers import Timer
from inapp_monitor.traces.spans import CODE, Spans, note

F = TypeVar("F", bound=Callable[..., Any])

#: Characters of a name.
MAX_NAME_LENGTH = 200


def span(name: object) -> Timer:
    """Show a block (`with monitor.span("x"):`) or a function (`@monitor.span("x")`) in the traces
    of the requests that run it: methods, generators, coroutines and async generators too.

    *Cost:* 1 us. Never raises."""
    text = name[:MAX_NAME_LENGTH] if isinstance(name, str) else f"({type(name).__name__})"
    return Timer(text, _note, perf_counter)


def _note(name: str, milliseconds: Any) -> None:
    if type(milliseconds) is float:  # else it decorates what cannot be called
        error = sys.exception()
        failed = None if error is None else type(error).__name__
        note(CODE, perf_counter() - milliseconds / 1000.0, name, None, failed)


def span_processor() -> Any:
    """For the application's own OpenTelemetry provider, `add_span_processor(...)`: what its
    instrumentation spans is shown in the traces of requests; nothing counts twice."""
    from inapp_monitor.traces.otel_processor import SpanProcessor  # not everybody's

    return SpanProcessor()


def tracer_provider() -> Any:
    """For applications without an OpenTelemetry provider of their own,
    `opentelemetry.trace.set_tracer_provider(...)`: what instrumentation packages span is shown in
    the traces of requests, without the SDK.

    Raises:
        ImportError: the package `opentelemetry-api` is not installed.
    """
    from inapp_monitor.traces.otel_provider import TracerProvider  # imports the API

    return TracerProvider()


def carry(function: F) -> F:
    """The function as part of this request in whatever thread it is called: its spans are the
    request's, as long as that is not over. Nothing else of the context goes with it."""
    record = current_request.entered()
    if record is None or getattr(record, "environ", None) is None:
        return function
    if record.spans is None:
        record.spans = Spans()  # now, so that two threads do not make one each

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        token = current_request.enter(record)
        try:
            return function(*args, **kwargs)
        finally:
            current_request.leave(token)

    return run  # type: ignore[return-value]
