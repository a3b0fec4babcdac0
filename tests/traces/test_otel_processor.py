"""Spans of an application's own OpenTelemetry provider."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from inapp_monitor.traces.spans import CODE, DATABASE, HTTP
from tests.traces.conftest import Traced


def ended(name: str, scope: str = "shop", kind: str = "INTERNAL", **attributes: Any) -> Any:
    """What the SDK hands to a processor."""
    return SimpleNamespace(
        name=name,
        kind=SimpleNamespace(name=kind),
        attributes={key.replace("_", "."): value for key, value in attributes.items()},
        start_time=1_000_000_000,
        end_time=1_002_000_000,
        status=SimpleNamespace(status_code=SimpleNamespace(name="UNSET")),
        instrumentation_scope=SimpleNamespace(name=scope),
    )


def test_what_others_span_is_shown(traced: Traced) -> None:
    """Statements as shapes, calls by their host, all else by its name; each takes what it says."""
    processor = traced.monitor.span_processor()

    def work() -> None:
        processor.on_end(ended("x", db_system="postgresql", db_statement="select 'S3CR3T'"))
        processor.on_end(ended("GET", http_method="GET", http_url="http://a.example/S3CR3T?k=1"))
        processor.on_end(ended("rank"))
        processor.on_end(SimpleNamespace())  # of another version

    found = traced.tracing.shaped(traced.run(work))
    assert [(span.kind, span.text) for span in found] == [
        (DATABASE, "select ?"),
        (HTTP, "GET a.example"),
        (CODE, "rank"),
    ]
    assert min(span.end - span.start for span in found) >= 0.002


def test_nothing_counts_twice(traced: Traced) -> None:
    """Neither what a hook of the monitor's own sees nor the request itself."""
    processor = traced.monitor.span_processor()
    own = "opentelemetry.instrumentation.sqlite3"

    def work() -> None:
        processor.on_end(ended("select", scope=own, db_system="sqlite", db_statement="select 1"))
        processor.on_end(ended("GET /", kind="SERVER", http_method="GET"))

    assert not traced.run(work).spans
