"""OTLP: both encodings say the same to OpenTelemetry's own types, and every number is in them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inapp_monitor.database.file import Database
from inapp_monitor.export import otlp_metrics, otlp_traces, protobuf
from inapp_monitor.export.http_calls import Answer
from inapp_monitor.export.identity import Identity
from inapp_monitor.export.logs_channel import LogsChannel
from inapp_monitor.export.otlp_metrics import exponential
from inapp_monitor.export.otlp_sender import OtlpSender, rejected_of
from inapp_monitor.export.portions import Counted, Number, Portion
from inapp_monitor.export.traces_channel import TracesChannel
from inapp_monitor.ground import config
from inapp_monitor.ground.destination import parse
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Method
from inapp_monitor.logs.ring_file import LogFile
from inapp_monitor.logs.ring_format import BLOCK_BYTES
from inapp_monitor.testing import FakeClock
from inapp_monitor.traces.kept_trace import pack
from inapp_monitor.traces.trace_table import KeptRow, TraceTable
from tests.each import each
from tests.export.peers import Posts

_VALUES = st.lists(st.floats(0.0, 1e9), min_size=1, max_size=40)
_TEXT = st.text(max_size=20)


def as_both(document: dict[str, Any], schema: protobuf.Schema, kind: Any) -> Any:
    """The message that OpenTelemetry's types read from the bytes; the JSON must say the same."""
    json_format = pytest.importorskip("google.protobuf.json_format")
    message = kind.FromString(protobuf.encode(document, schema))
    again = json.loads(json.dumps(document))
    for resource in again.get("resourceSpans", ()):  # ids are hexadecimal in OTLP's JSON only
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for name in ("traceId", "spanId", "parentSpanId"):
                    if name in span:
                        import base64

                        span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    assert json_format.ParseDict(again, kind()) == message
    return message


@settings(max_examples=30)
@given(_VALUES, _TEXT)
def test_every_number_is_in_the_request(values: list[float], text: str) -> None:
    """Sums, gauges and distributions, by what OpenTelemetry's own types read."""
    service = pytest.importorskip("opentelemetry.proto.collector.metrics.v1.metrics_service_pb2")
    portion = Portion(0, 300)
    portion.numbers += [Number("n", Method.SUM, 10 * i, 10, v) for i, v in enumerate(values)]
    portion.numbers.append(Number("routes.r.GET.status.2xx", Method.SUM, 0, 10, 4.0))
    portion.numbers.append(Number("g;host=a", Method.LAST, 0, 10, -1.5))
    portion.counted.append(Counted("routes.r.GET.time", 0, 10, Histogram.of(values)))
    document = otlp_metrics.request_of(portion, {"service.name": text}, {"r": text}, "1")
    request = service.ExportMetricsServiceRequest
    message = as_both(document, otlp_metrics.REQUEST, request)
    (resource,) = message.resource_metrics
    assert resource.resource.attributes[0].value.string_value == text
    metrics = {metric.name: metric for metric in resource.scope_metrics[0].metrics}
    points = metrics["n"].sum.data_points
    assert [p.as_double for p in points] == values
    assert [p.time_unix_nano - p.start_time_unix_nano for p in points] == [10**10] * len(values)
    assert metrics["g"].gauge.data_points[0].as_double == -1.5
    (timed,) = metrics["http.server.request.duration"].exponential_histogram.data_points
    assert timed.count == len(values) == timed.zero_count + sum(timed.positive.bucket_counts)
    assert timed.sum == pytest.approx(math.fsum(values) / 1_000)
    assert {a.key: a.value.string_value for a in timed.attributes}["http.route"] == text


def test_totals_grow_from_their_beginning(tmp_path: Path) -> None:
    """Cumulative: sums and histograms since a start, over portions, and none a second time."""
    service = pytest.importorskip("opentelemetry.proto.collector.metrics.v1.metrics_service_pb2")
    posts = Posts()
    try:
        destination = parse(f"otlp://127.0.0.1:{posts.port}?temporality=cumulative")
        for first in (0, 300, 300, 600):  # one portion comes again, in a process of its own
            sender = OtlpSender(destination, Identity("shop", "", "", tmp_path, "1"))
            portion = Portion(first, first + 300)
            portion.numbers += [Number("n", Method.SUM, first + 10 * i, 10, 2.0) for i in range(3)]
            portion.counted.append(Counted("pay", first, 10, Histogram.of([40.0, 3.0])))
            sender.send(portion)
    finally:
        posts.stop()
    request = service.ExportMetricsServiceRequest
    messages = [request.FromString(body) for _, _, body in posts.bodies]
    found = [
        metric
        for message in messages
        for metric in message.resource_metrics[0].scope_metrics[0].metrics
    ]
    sums = [point for metric in found for point in metric.sum.data_points]
    assert [point.as_double for point in sums] == [2.0 * (n + 1) for n in range(9)]
    assert {point.start_time_unix_nano for point in sums} == {0}
    timed = [point for metric in found for point in metric.histogram.data_points]
    assert [point.count for point in timed] == [2, 4, 6]
    assert sum(timed[-1].bucket_counts) == 6
    assert len(timed[-1].bucket_counts) == len(timed[-1].explicit_bounds) + 1
    kinds = ("sum", "histogram")
    for metric in found:
        assert getattr(metric, metric.WhichOneof("data")).aggregation_temporality == 2
        assert metric.WhichOneof("data") in kinds


@settings(max_examples=50)
@given(st.integers(0, 2**40), st.text(max_size=300))
def test_what_a_collector_rejects_is_read_whatever_it_says_of_it(n: int, text: str) -> None:
    """By its own types; a long explanation hides no number, and half an answer is none."""
    service = pytest.importorskip("opentelemetry.proto.collector.metrics.v1.metrics_service_pb2")
    partial = service.ExportMetricsPartialSuccess(rejected_data_points=n, error_message=text)
    body = service.ExportMetricsServiceResponse(partial_success=partial).SerializeToString()
    assert rejected_of(Answer(200, {}, body, "")) == n
    for cut in range(len(body)):
        assert rejected_of(Answer(200, {}, body[:cut], "")) >= 0


@each(
    ("body", "n"),
    [
        (b'{"partialSuccess": {"rejectedDataPoints": "7", "errorMessage": "x"}}', 7),
        (b'{"partialSuccess": {"rejectedSpans": 3}}', 3), (b'{"partialSuccess": null}', 0),
        (b'{"partialSuccess": {"rejectedLogRecords": 1e400}}', 0), (b"{}", 0), (b"[]", 0),
        (b"null", 0), (b'{"partialSuccess": {"rejectedDataPoints": -1}}', 0), (b"", 0),
        (b'{"partialSuccess": {"rejectedDataPoints": [1]}}', 0),
    ],
)  # fmt: skip
def test_any_answer_to_json_is_an_answer(body: bytes, n: int) -> None:
    """The collector has taken the portion: what its answer is made of must not have it repeated."""
    assert rejected_of(Answer(200, {"content-type": "application/json"}, body, "")) == n


@settings(max_examples=50)
@given(st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=60), st.sampled_from([1.0, 1e-3]))
def test_exponential_buckets_hold_their_values(values: list[float], factor: float) -> None:
    """As many as there are, and each within a bucket's width of where it belongs."""
    scale, zeros, offset, counts = exponential(Histogram.of(values), factor)
    assert zeros == 0
    assert len(counts) <= 160
    assert sum(counts) == len(values)
    width = 2.0 ** (2.0**-scale)
    bounds = [(width ** (offset + i), width ** (offset + i + 1)) for i, n in enumerate(counts) if n]
    for value in values:
        scaled = value * factor
        assert any(low / 1.01 <= scaled <= high * 1.01 for low, high in bounds)


TRACE: dict[str, Any] = {
    "id": "abc", "started": 1_800_000_000.5, "ms": 120.0, "method": "GET", "route": "/u/<id>",
    "status": "500 X", "path": "/u/7", "failed": True, "issue": "0123456789ab", "trace": "a" * 32,
    "texts": ["select * from users", "render", "http://api/x"], "systems": ["sqlite"],
    "spans": [
        ["code", 0, 100_000, 1, 0, -1, None, None, -1],
        ["database", 10_000, 5_000, 0, 0, 0, 3, None, 0],
        ["database", 20_000, 5_000, 0, 0, 0, 3, "boom", 0],
        ["http", 15_000, 9_000, 2, 1, -1, None, None, -1],
    ],
}  # fmt: skip


def test_a_trace_keeps_its_shape() -> None:
    """Server, internal and client spans, nested by time within a thread, by official types."""
    service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    document = otlp_traces.request_of([TRACE], {"service.name": "shop"}, "1")
    request = service.ExportTraceServiceRequest
    message = as_both(document, otlp_traces.REQUEST, request)
    spans = message.resource_spans[0].scope_spans[0].spans
    root, code, first, second, http = spans
    assert {span.trace_id.hex() for span in spans} == {"a" * 32}
    assert (root.name, root.kind, root.status.code) == ("GET /u/<id>", 2, 2)
    assert not root.parent_span_id
    assert code.parent_span_id == http.parent_span_id == root.span_id
    assert first.parent_span_id == second.parent_span_id == code.span_id
    assert [span.kind for span in spans] == [2, 1, 3, 3, 3]
    assert second.status.code == 2
    assert first.end_time_unix_nano - first.start_time_unix_nano == 5_000_000
    found = {a.key: a.value.string_value for a in first.attributes}
    assert found == {"db.query.text": "select * from users", "db.system.name": "sqlite"}
    assert len({span.span_id for span in spans}) == 5


def test_traces_are_sent_once_by_their_end(data_dir: Path, clock: FakeClock) -> None:
    """Those that ended after the last ones, once they have reached the database."""
    settings_ = config.load({"data_dir": data_dir}, None, {}).settings
    database = Database(data_dir, settings_, clock, Guard())
    table = TraceTable(database)
    posts = Posts()
    identity = Identity("shop", "", "", data_dir, "1")
    address = f"otlp://127.0.0.1:{posts.port}?encoding=json"
    channel = TracesChannel(database, parse(address), identity, clock)
    position = channel.beginning(clock.now)
    sent = 0
    try:
        for number in range(30):
            trace = {**TRACE, "id": f"t{number}", "started": clock.now - 0.3}
            row = KeptRow(
                f"t{number}", "u", "GET", "500", "/u", trace["started"], 120.0, True, False,
                0.5, 4, "", "a" * 32, "slow", pack(trace),
            )  # fmt: skip
            table.add([row], clock.now, thin_out=False)
            database.write_pending()
            clock.advance(7.0)
            while (work := channel.next(position, clock.now)) is not None:
                if work.payload is not None:
                    channel.send(work.payload)
                    sent += work.size
                position = work.position
        clock.advance(120.0)
        while (work := channel.next(position, clock.now)) is not None:
            sent += work.size
            if work.payload is not None:
                channel.send(work.payload)
            position = work.position
    finally:
        posts.stop()
        database.close()
    assert sent == 30
    assert {path for path, _, _ in posts.bodies} == {"/v1/traces"}
    roots = [
        span["startTimeUnixNano"]
        for _, _, body in posts.bodies
        for span in json.loads(body)["resourceSpans"][0]["scopeSpans"][0]["spans"]
        if "parentSpanId" not in span
    ]
    assert len(roots) == len(set(roots)) == 30


def test_log_records_arrive_once_and_in_order(tmp_path: Path, clock: FakeClock) -> None:
    """Whatever they hold, with their logger, severity, fields, trace and issue."""
    service = pytest.importorskip("opentelemetry.proto.collector.logs.v1.logs_service_pb2")
    file = LogFile(tmp_path, 2 * BLOCK_BYTES)
    file.append([b'{"time": 1, "level": "INFO", "text": "before"}'])
    posts = Posts()
    channel = LogsChannel(
        file,
        parse(f"otlp://127.0.0.1:{posts.port}"),
        Identity("shop", "", "", tmp_path, "1"),
        clock,
    )
    position = channel.beginning(clock.now)
    texts = [f"paid {n} \u20ac \x00 \ud800" for n in range(1_500)]
    given = {"level": "ERROR", "logger": "shop.pay", "trace": "ab" * 16, "issue": "0123456789ab"}
    extra = {**given, "time": 1.8e9, "fields": {"order": "7"}, "route": "/pay", "pid": 3}
    encoded = [json.dumps({**extra, "text": text}).encode() for text in texts]
    try:
        for first in range(0, len(texts), 100):
            file.append(encoded[first : first + 100])
            if first % 300 == 0:
                continue  # two at a time
            while (work := channel.next(position, clock.now)) is not None:
                assert channel.send(work.payload) == work.dropped == 0
                position = work.position
        assert channel.waiting(position, clock.now) == (0.0, 0)
    finally:
        posts.stop()
    seen = []
    for path, _, body in posts.bodies:
        assert path == "/v1/logs"
        message = service.ExportLogsServiceRequest.FromString(body)
        (scope,) = message.resource_logs[0].scope_logs
        assert scope.scope.name == "shop.pay"
        seen += list(scope.log_records)
    assert [each.body.string_value for each in seen] == [
        text.encode("utf-8", "replace").decode() for text in texts
    ]
    facts = {a.key: a.value.string_value for a in seen[0].attributes}
    assert facts["order"] == "7"
    assert facts["http.route"] == "/pay"
    assert facts["inapp_monitor.issue"] == "0123456789ab"
    assert (seen[0].severity_number, seen[0].trace_id.hex()) == (17, "ab" * 16)
    assert seen[0].time_unix_nano == 1_800_000_000 * 10**9


def test_log_records_that_were_overwritten_are_counted(tmp_path: Path, clock: FakeClock) -> None:
    """About as many as there were: a peer that was away for long misses them."""
    file = LogFile(tmp_path, 2 * BLOCK_BYTES)
    identity = Identity("shop", "", "", tmp_path, "1")
    channel = LogsChannel(file, parse("otlp://127.0.0.1:1"), identity, clock)
    row = json.dumps({"time": 1.0, "level": "INFO", "text": "x" * 900}).encode()
    file.append([row])
    position = channel.beginning(clock.now)
    for _ in range(20):
        file.append([row] * 100)
    sent = dropped = 0
    while (work := channel.next(position, clock.now)) is not None:
        sent, dropped, position = sent + work.size, dropped + work.dropped, work.position
    assert sent < 300
    assert sent + dropped == pytest.approx(2_000, rel=0.05)
