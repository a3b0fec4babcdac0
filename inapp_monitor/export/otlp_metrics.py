"""Numbers as OpenTelemetry's protocol has them: a portion in, the request's JSON out. Pure.

Format: opentelemetry.io/docs/specs/otlp and opentelemetry-proto 1.x. Sums and histograms are deltas
of their interval, and histograms exponential ones; or, for engines that know no deltas, totals
since a beginning, and histograms with fixed bounds. Names and units are those of the
series but where the semantic conventions have one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from inapp_monitor.export.bucket_bounds import bounds_of
from inapp_monitor.export.portions import Counted, Number, Portion
from inapp_monitor.export.protobuf import Field, Schema
from inapp_monitor.export.totals import Totals
from inapp_monitor.ground.histogram import Histogram, bucket_bounds
from inapp_monitor.ground.points import Method

_Json = dict[str, Any]
_DELTA, _CUMULATIVE = 1, 2
_NANO: Final = 1_000_000_000
#: Buckets an octave as a power of two, and the most buckets of one histogram.
_FINEST_SCALE: Final = 6
_MAX_BUCKETS: Final = 160
_SCOPE: Final = "inapp_monitor"


class Meaning(NamedTuple):
    """What a series is called by OpenTelemetry: name, unit (UCUM), factor to it, attributes."""

    name: str
    unit: str
    factor: float
    attributes: tuple[tuple[str, str], ...]


_CONVENTIONS: Final = {
    "requests.response_bytes": Meaning("http.server.response.body.size", "By", 1.0, ()),
    "requests.in_flight": Meaning("http.server.active_requests", "{request}", 1.0, ()),
    "process.memory.rss_bytes": Meaning("process.memory.usage", "By", 1.0, ()),
    "process.threads": Meaning("process.thread.count", "{thread}", 1.0, ()),
    "process.cpu.user_ms": Meaning("process.cpu.time", "s", 1e-3, (("cpu.mode", "user"),)),
    "process.cpu.system_ms": Meaning("process.cpu.time", "s", 1e-3, (("cpu.mode", "system"),)),
    "host.memory.used_bytes": Meaning("system.memory.usage", "By", 1.0, ()),
}
_UNITS: Final = {
    "ms": "ms", "s": "s", "seconds": "s", "bytes": "By", "percent": "%", "time": "ms",
}  # fmt: skip


def meaning_of(path: str, routes: Mapping[str, str], *, is_distribution: bool) -> Meaning:
    """What a series is called, by its path."""
    known = _CONVENTIONS.get(path)
    if known is not None:
        return known
    name, *tags = path.split(";")
    attributes = tuple((tag.partition("=")[0], tag.partition("=")[2]) for tag in tags)
    nodes = name.split(".")
    if nodes[0] == "routes" and len(nodes) > 3:
        route = routes.get(nodes[1], nodes[1])
        attributes = (("http.request.method", nodes[2]), ("http.route", route))
        name = ".".join(("routes", *nodes[3:]))
        if name == "routes.time":
            return Meaning("http.server.request.duration", "s", 1e-3, attributes)
    elif nodes[0] == "errors" and len(nodes) == 2:
        return Meaning("errors", "{error}", 1.0, (("issue", nodes[1]),))
    last = nodes[-1].rpartition("_")[2]
    unit = _UNITS.get(last, "ms" if is_distribution else "1")
    return Meaning(name, unit, 1.0, attributes)


def request_of(
    portion: Portion,
    resource: Mapping[str, str],
    routes: Mapping[str, str],
    version: str,
    totals: Totals | None = None,
) -> _Json:
    """The document of `ExportMetricsServiceRequest`.

    Args:
        portion: The numbers.
        resource: Attributes of the app.
        routes: Route by slug.
        version: Of this package.
        totals: What was sent before, for cumulative sums and histograms; they grow by the portion.
    """
    metrics: dict[tuple[str, str], _Json] = {}
    for number in portion.numbers:
        meaning = meaning_of(number.path, routes, is_distribution=False)
        _add_number(metrics, number, meaning, totals)
    for counted in portion.counted:
        meaning = meaning_of(counted.path, routes, is_distribution=True)
        if totals is None:
            _add_counted(metrics, counted, meaning)
        else:
            _add_total(metrics, counted, meaning, totals)
    scope = {"scope": {"name": _SCOPE, "version": version}, "metrics": list(metrics.values())}
    return {
        "resourceMetrics": [
            {"resource": {"attributes": attributes(resource.items())}, "scopeMetrics": [scope]}
        ]
    }


def attributes(pairs: Iterable[tuple[str, str]]) -> list[_Json]:
    """Pairs of texts as the protocol has them."""
    return [{"key": name, "value": {"stringValue": text}} for name, text in pairs]


def _metric(
    metrics: dict[tuple[str, str], _Json], meaning: Meaning, kind: str, temporality: int = _DELTA
) -> _Json:
    known = metrics.get((meaning.name, kind))
    if known is None:
        data: _Json = {"dataPoints": []}
        if kind != "gauge":
            data["aggregationTemporality"] = temporality
        if kind == "sum":
            data["isMonotonic"] = True
        known = metrics[meaning.name, kind] = {"name": meaning.name, "unit": meaning.unit}
        known[kind] = data
    found: _Json = known[kind]
    return found


def _times(timestamp: int, step_s: int) -> _Json:
    return {
        "startTimeUnixNano": str(timestamp * _NANO),
        "timeUnixNano": str((timestamp + step_s) * _NANO),
    }


def _add_number(
    metrics: dict[tuple[str, str], _Json], number: Number, meaning: Meaning, totals: Totals | None
) -> None:
    kind = "sum" if number.method is Method.SUM else "gauge"
    is_total = kind == "sum" and totals is not None
    metric = _metric(metrics, meaning, kind, _CUMULATIVE if is_total else _DELTA)
    if kind == "sum" and number.value < 0:
        metric["isMonotonic"] = False
    value, times = number.value, _times(number.timestamp, number.step_s)
    if totals is not None and is_total:
        value = totals.sums[number.path] = totals.sums.get(number.path, 0.0) + value
        times["startTimeUnixNano"] = str(totals.since * _NANO)
    metric["dataPoints"].append(
        {
            "attributes": attributes(meaning.attributes),
            **times,
            "asDouble": value * meaning.factor if meaning.factor != 1.0 else value,
        }
    )


def _add_total(
    metrics: dict[tuple[str, str], _Json], counted: Counted, meaning: Meaning, totals: Totals
) -> None:
    totals.add_histogram(counted.path, counted.histogram)
    known = totals.histograms[counted.path]
    _metric(metrics, meaning, "histogram", _CUMULATIVE)["dataPoints"].append(
        {
            "attributes": attributes(meaning.attributes),
            **_times(counted.timestamp, counted.step_s),
            "startTimeUnixNano": str(totals.since * _NANO),
            "count": str(sum(known.counts)),
            "sum": known.total * meaning.factor,
            "bucketCounts": [str(n) for n in known.counts],
            "explicitBounds": [
                float(f"{bound * meaning.factor:.6g}") for bound in bounds_of(counted.path)
            ],
        }
    )


def _add_counted(metrics: dict[tuple[str, str], _Json], counted: Counted, meaning: Meaning) -> None:
    histogram, factor = counted.histogram, meaning.factor
    scale, zeros, offset, counts = exponential(histogram, factor)
    _metric(metrics, meaning, "exponentialHistogram")["dataPoints"].append(
        {
            "attributes": attributes(meaning.attributes),
            **_times(counted.timestamp, counted.step_s),
            "count": str(histogram.count),
            "sum": histogram.total * factor,
            "scale": scale,
            "zeroCount": str(zeros),
            "positive": {"offset": offset, "bucketCounts": [str(n) for n in counts]},
            "min": histogram.minimum * factor,
            "max": histogram.maximum * factor,
        }
    )


def exponential(histogram: Histogram, factor: float = 1.0) -> tuple[int, int, int, list[int]]:
    """Our buckets as exponential ones.

    Returns:
        Scale, zeros, the index of the first bucket, and the counts from there on. Bucket i holds
        values above base**i up to base**(i + 1), where base is 2**(2**-scale).
    """
    middles: dict[float, int] = {}
    zeros = 0
    for number, n in histogram.buckets.items():
        lower, upper = bucket_bounds(number, histogram.shift)
        if not number:
            zeros += n
        else:
            middles[math.log2((lower if math.isinf(upper) else (lower + upper) / 2) * factor)] = n
    if not middles:
        return 0, zeros, 0, []
    scale = _FINEST_SCALE
    first, last = _index(min(middles), scale), _index(max(middles), scale)
    while last - first >= _MAX_BUCKETS:
        scale -= 1
        first, last = _index(min(middles), scale), _index(max(middles), scale)
    counts = [0] * (last - first + 1)
    for logarithm, n in middles.items():
        counts[_index(logarithm, scale) - first] += n
    return scale, zeros, first, counts


def _index(logarithm: float, scale: int) -> int:
    return math.ceil(math.ldexp(logarithm, scale)) - 1


# -- the same document in Protocol Buffers, opentelemetry/proto/metrics/v1/metrics.proto

#: `KeyValue`.
ATTRIBUTE: Final[Schema] = {
    "key": Field(1, "string"),
    "value": Field(2, {"stringValue": Field(1, "string")}),
}
_TIMES: Final[Schema] = {
    "startTimeUnixNano": Field(2, "fixed64"),
    "timeUnixNano": Field(3, "fixed64"),
}
_NUMBER: Final[Schema] = {
    **_TIMES,
    "asDouble": Field(4, "double"),
    "attributes": Field(7, ATTRIBUTE, repeated=True),
}
_EXPONENTIAL: Final[Schema] = {
    **_TIMES,
    "attributes": Field(1, ATTRIBUTE, repeated=True),
    "count": Field(4, "fixed64"),
    "sum": Field(5, "double"),
    "scale": Field(6, "sint32"),
    "zeroCount": Field(7, "fixed64"),
    "positive": Field(8, {"offset": Field(1, "sint32"), "bucketCounts": Field(2, "packed")}),
    "min": Field(12, "double"),
    "max": Field(13, "double"),
}
_HISTOGRAM: Final[Schema] = {
    **_TIMES,
    "attributes": Field(9, ATTRIBUTE, repeated=True),
    "count": Field(4, "fixed64"),
    "sum": Field(5, "double"),
    "bucketCounts": Field(6, "fixed64", repeated=True),
    "explicitBounds": Field(7, "double", repeated=True),
}
_METRIC: Final[Schema] = {
    "name": Field(1, "string"),
    "unit": Field(3, "string"),
    "gauge": Field(5, {"dataPoints": Field(1, _NUMBER, repeated=True)}),
    "sum": Field(
        7,
        {
            "dataPoints": Field(1, _NUMBER, repeated=True),
            "aggregationTemporality": Field(2, "enum"),
            "isMonotonic": Field(3, "bool"),
        },
    ),
    "histogram": Field(
        9,
        {
            "dataPoints": Field(1, _HISTOGRAM, repeated=True),
            "aggregationTemporality": Field(2, "enum"),
        },
    ),
    "exponentialHistogram": Field(
        10,
        {
            "dataPoints": Field(1, _EXPONENTIAL, repeated=True),
            "aggregationTemporality": Field(2, "enum"),
        },
    ),
}


def request_schema(what: str, items: str, item: Schema) -> Schema:
    """An `Export...ServiceRequest`: items by scope by resource, alike for all three signals."""
    scope: Schema = {"name": Field(1, "string"), "version": Field(2, "string")}
    scoped: Schema = {"scope": Field(1, scope), items: Field(2, item, repeated=True)}
    resource: Schema = {
        "resource": Field(1, {"attributes": Field(1, ATTRIBUTE, repeated=True)}),
        f"scope{what}": Field(2, scoped, repeated=True),
    }
    return {f"resource{what}": Field(1, resource, repeated=True)}


#: `ExportMetricsServiceRequest`.
REQUEST: Final[Schema] = request_schema("Metrics", "metrics", _METRIC)
