"""A tracer provider for applications that have none: what instrumentation packages span is shown
in the traces of requests, without OpenTelemetry's SDK.

It speaks OpenTelemetry's API (1.x) alone: a span has a name, attributes, a status and a context
that its children continue; events, links and everything that is exported are left to an SDK. Loaded
on request only, because it imports the API. What a span becomes is decided in `otel_processor`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.traces.otel_processor import SpanProcessor

_RECORDED = TraceFlags(TraceFlags.SAMPLED)
#: Attributes of one span; further ones are ignored.
MAX_ATTRIBUTES = 128


def _now_ns() -> int:
    return int(SYSTEM.wall() * 1e9)


class Span(trace.Span):
    """A span under way, as instrumentation packages use it.

    *Threads:* any. *Cost:* 6 us from begin to end.
    """

    def __init__(self, tracer: Tracer, name: str, kind: SpanKind, parent: SpanContext) -> None:
        is_child = parent.is_valid
        trace_id = parent.trace_id if is_child else random.getrandbits(128) or 1
        span_id = random.getrandbits(64) or 1
        self._context = SpanContext(trace_id, span_id, is_remote=False, trace_flags=_RECORDED)
        self._end = tracer.processor.on_end
        self.name, self.kind, self.instrumentation_scope = name, kind, tracer.scope
        self.attributes: dict[str, Any] = {}
        self.status = Status()
        self.start_time = _now_ns()
        self.end_time: int | None = None

    def get_span_context(self) -> SpanContext:
        """Its ids."""
        return self._context

    def is_recording(self) -> bool:
        """Whether it has not ended."""
        return self.end_time is None

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Add attributes; ended spans have all they will have."""
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def set_attribute(self, key: str, value: Any) -> None:
        """Add one; past the limit it is ignored."""
        if self.end_time is None and (
            len(self.attributes) < MAX_ATTRIBUTES or key in self.attributes
        ):
            self.attributes[key] = value

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        """Events are an SDK's."""

    def update_name(self, name: str) -> None:
        """Another name."""
        if self.end_time is None:
            self.name = name

    def set_status(self, status: Any, description: str | None = None) -> None:
        """A `Status` or a `StatusCode`."""
        if self.end_time is None:
            self.status = status if isinstance(status, Status) else Status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Any = None,
        timestamp: int | None = None,
        escaped: bool = False,  # the API's
    ) -> None:
        """Exceptions that end a request are recorded elsewhere."""

    def end(self, end_time: int | None = None) -> None:
        """It ends now, or ended at nanoseconds since the epoch; the first time counts."""
        if self.end_time is None:
            self.end_time = end_time if end_time is not None else _now_ns()
            self._end(self)


class Tracer(trace.Tracer):
    """Begins the spans of one instrumentation package."""

    def __init__(self, name: str) -> None:
        self.scope = SimpleNamespace(name=name)
        self.processor = SpanProcessor()

    def start_span(  # the API's
        self,
        name: str,
        context: Any = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Any = None,
        links: Any = None,  # noqa: ARG002
        start_time: int | None = None,
        record_exception: bool = True,  # noqa: ARG002
        set_status_on_exception: bool = True,  # noqa: ARG002
    ) -> Span:
        """A span that is not current."""
        parent = trace.get_current_span(context).get_span_context()
        span = Span(self, name, kind, parent)
        if start_time is not None:
            span.start_time = start_time
        if attributes:
            span.set_attributes(attributes)
        return span

    @contextmanager
    def start_as_current_span(  # type: ignore[override]  # of a private type
        self,
        name: str,
        context: Any = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Any = None,
        links: Any = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Iterator[Span]:
        """A span that is current in the block; decorates plain functions, too."""
        span = self.start_span(name, context, kind, attributes, links, start_time, record_exception)
        token = otel_context.attach(trace.set_span_in_context(span))
        try:
            yield span
        except Exception:
            if set_status_on_exception:
                span.set_status(Status(StatusCode.ERROR))
            raise
        finally:
            otel_context.detach(token)
            if end_on_exit:
                span.end()


class TracerProvider(trace.TracerProvider):
    """For `opentelemetry.trace.set_tracer_provider`, which takes the first one only."""

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,  # noqa: ARG002
        schema_url: str | None = None,  # noqa: ARG002
        attributes: Any = None,  # noqa: ARG002
    ) -> Tracer:
        """One a package."""
        return Tracer(instrumenting_module_name)
