"""The monitor's own provider for OpenTelemetry's API, for applications that have none."""

from __future__ import annotations

import pytest

from inapp_monitor.traces.spans import CODE, DATABASE
from tests.traces.conftest import Traced

pytest.importorskip("opentelemetry.trace")


def test_spans_of_the_api_are_shown(traced: Traced) -> None:
    """Those that are current and those that are not, decorated functions, errors; statements as
    shapes; children continue the trace."""
    from opentelemetry.trace import SpanKind, get_current_span

    tracer = traced.monitor.tracer_provider().get_tracer("shop", "1.0")

    @tracer.start_as_current_span("decorated")
    def decorated() -> None:
        pass

    def work() -> None:
        with tracer.start_as_current_span("outer") as outer:
            assert get_current_span() is outer
            inner = tracer.start_span("q", kind=SpanKind.CLIENT, attributes={"db.system": "db2"})
            inner.set_attribute("db.statement", "select 'S3CR3T'")
            assert inner.get_span_context().trace_id == outer.get_span_context().trace_id
            inner.end()
            inner.end()
            assert not inner.is_recording()
        decorated()
        with pytest.raises(KeyError), tracer.start_as_current_span("failing"):
            raise KeyError("S3CR3T")

    found = traced.tracing.shaped(traced.run(work))
    assert [(span.kind, span.text, span.error) for span in found] == [
        (DATABASE, "select ?", None),
        (CODE, "outer", None),
        (CODE, "decorated", None),
        (CODE, "failing", "ERROR"),
    ]


def test_an_instrumentation_package_uses_it(traced: Traced) -> None:
    """Contrib's middleware for WSGI: the span of a server is the request itself, and not shown."""
    wsgi = pytest.importorskip("opentelemetry.instrumentation.wsgi")
    provider = traced.monitor.tracer_provider()
    tracer = provider.get_tracer("shop")

    def app(_environ: object, start_response: object) -> list[bytes]:
        with tracer.start_as_current_span("rank"):
            start_response("200 OK", [])  # type: ignore[operator]
        return [b"x"]

    wrapped = wsgi.OpenTelemetryMiddleware(app, tracer_provider=provider)

    def work() -> None:
        from tests.environ import environ_of

        list(wrapped(environ_of("/"), lambda *_: lambda _: None))

    assert traced.texts(work) == ["rank"]
