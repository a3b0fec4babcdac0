"""Under which name a series leaves for Prometheus and its relatives. Pure.

Names follow Prometheus' conventions (prometheus.io/docs/practices/naming): base units, `_total` for
counters, routes and tags as labels. What `promtool check metrics` objects to in a name of the app's
own is mended where the meaning stays the same. Two series never share a name and labels: the later
one has a further label, `path`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, NamedTuple

from inapp_monitor.ground.points import Method
from inapp_monitor.ground.ranges import Leaf

Kind = Literal["counter", "gauge", "histogram"]
#: Label and value, sorted by label.
Labels = tuple[tuple[str, str], ...]

#: Last word of a name: the word for its base unit, and how many of it one is.
_UNITS: Final[dict[str, tuple[str, float]]] = {
    "ns": ("seconds", 1e-9),
    "us": ("seconds", 1e-6),
    "ms": ("seconds", 1e-3),
    "milliseconds": ("seconds", 1e-3),
    "s": ("seconds", 1.0),
    "sec": ("seconds", 1.0),
    "minutes": ("seconds", 60.0),
    "hours": ("seconds", 3600.0),
    "days": ("seconds", 86400.0),
    "percent": ("ratio", 0.01),
    "b": ("bytes", 1.0),
    "kb": ("bytes", 1024.0),
    "mb": ("bytes", 1024.0**2),
    "gb": ("bytes", 1024.0**3),
}
#: What only parts of a histogram, counters and the like may end with.
_RESERVED_ENDS: Final = ("_total", "_sum", "_count", "_bucket", "_info", "_created")
#: What samples of a family end with, by OpenMetrics.
_ENDS: Final[dict[Kind, tuple[str, ...]]] = {
    "counter": ("_total", "_created"),
    "gauge": (),
    "histogram": ("_bucket", "_sum", "_count", "_created"),
}
#: What histograms and summaries have labels for.
_RESERVED_LABELS: Final = ("le", "quantile")
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9]+")
_NOT_A_LABEL = re.compile(r"[^A-Za-z0-9_]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

#: The kit's own series that have a customary name: path to family, and a label.
_KNOWN: Final[dict[str, tuple[str, Labels]]] = {
    "requests.time": ("http_request_duration_ms", ()),
    "requests.cpu_time": ("http_request_cpu_ms", ()),
    "requests.queue_time": ("http_request_queue_ms", ()),
    "requests.response_bytes": ("http_response_size_bytes", ()),
    "requests.errors": ("http_request_errors", ()),
    "requests.not_found": ("http_requests_not_found", ()),
    "requests.in_flight": ("http_requests_in_flight", ()),
    "process.memory.rss_bytes": ("process_resident_memory_bytes", ()),
    "process.descriptors.open": ("process_open_fds", ()),
    "process.cpu.user_ms": ("process_cpu_ms", (("mode", "user"),)),
    "process.cpu.system_ms": ("process_cpu_ms", (("mode", "system"),)),
    "host.load.1m": ("host_load1", ()),
    "host.load.5m": ("host_load5", ()),
    "host.load.15m": ("host_load15", ()),
}
_HELP: Final = {
    "http_request_duration": "Time that requests took, the whole app.",
    "http_route_request_duration": "Time that requests took, by route and method.",
    "http_responses": "Responses by class of status, the whole app.",
    "http_route_responses": "Responses by route, method and class of status.",
    "http_request_errors": "Requests that failed, the whole app.",
    "http_route_request_errors": "Requests that failed, by route and method.",
    "issue_events": "Occurrences of an issue.",
    "process_cpu": "Processor time of all workers.",
    "process_resident_memory": "Resident memory of all workers.",
    "process_open_fds": "Open descriptors of all workers.",
}


class Metric(NamedTuple):
    """What one series is called outside.

    Attributes:
        family: Name without `_total`; its unit is its last word where there is one.
        kind: What its values are.
        unit: `seconds`, `bytes`, `ratio` or "".
        factor: What a value is multiplied with to be in that unit.
        labels: Sorted by name.
        help: What the family is.
    """

    family: str
    kind: Kind
    unit: str
    factor: float
    labels: Labels
    help: str

    @property
    def sample(self) -> str:
        """The name of its samples: counters end with `_total`."""
        return f"{self.family}_total" if self.kind == "counter" else self.family


def metrics_of(leaves: Iterable[Leaf], routes: Mapping[str, str]) -> dict[str, Metric]:
    """The metric of each series, by path; in the order of families, so that these stay together.

    Args:
        leaves: Series and distributions; Whisper files of others are left out.
        routes: Route by slug.
    """
    named = {leaf.path: metric_of(leaf, routes) for leaf in leaves if leaf.kind != "whisper"}
    kinds: dict[str, tuple[Kind, str]] = {}
    families: dict[str, str] = {}  # by each name that is one's, with whatever it may end with
    seen: set[tuple[str, Labels]] = set()
    result: dict[str, Metric] = {}
    for path, metric in named.items():
        family = metric.family
        meaning = metric.kind, metric.unit
        while kinds.get(family, meaning) != meaning or any(
            families.get(name, family) != family for name in _names(family, metric.kind)
        ):
            family = _with_end(family, metric.unit)
        kinds[family] = meaning
        families |= dict.fromkeys(_names(family, metric.kind), family)
        labels = metric.labels
        if (family, labels) in seen:
            labels = _with_path(labels, path)
        seen.add((family, labels))
        result[path] = metric._replace(family=family, labels=labels)
    return dict(sorted(result.items(), key=lambda item: (item[1].family, item[1].labels)))


def metric_of(leaf: Leaf, routes: Mapping[str, str]) -> Metric:
    """The metric of one series, wherever others lie."""
    known = _own(leaf.path, routes)
    name, labels = known if known is not None else _foreign(leaf.path)
    kind = _kind(leaf)
    base, unit, factor = _base_unit(name)
    if kind == "histogram" and not unit:  # a timer's
        unit, factor = "seconds", 1e-3
    if kind != "counter" and not unit and base.endswith(_RESERVED_ENDS):
        base += "_value"
    family = f"{base}_{unit}" if unit else base
    family = family.removesuffix("_total") if kind == "counter" else family
    about = _HELP.get(base) or _describe(leaf, known is None)
    return Metric(family, kind, unit, factor, tuple(sorted(labels)), about)


def _names(family: str, kind: Kind) -> list[str]:
    """The names that belong to a family: no other one may have any of them."""
    return [family, *(family + end for end in _ENDS[kind])]


def _with_path(labels: Labels, path: str) -> Labels:
    name, known = "path", {label for label, _ in labels}
    while name in known:
        name += "_"
    return tuple(sorted((*labels, (name, path))))


def _with_end(family: str, unit: str) -> str:
    base = family.removesuffix(f"_{unit}") if unit else family
    return f"{base}_value_{unit}" if unit else f"{base}_value"


def _kind(leaf: Leaf) -> Kind:
    if leaf.kind == "distribution":
        return "histogram"
    return "counter" if leaf.method is Method.SUM else "gauge"


def _describe(leaf: Leaf, is_foreign: bool) -> str:
    path = leaf.path.partition(";")[0]
    if not is_foreign:
        path = ".".join(path.split(".")[:2])
    words = {"counter": "Sum", "gauge": "Latest value", "histogram": "Distribution"}
    return f"{words[_kind(leaf)]} of the series {path}."


def _own(path: str, routes: Mapping[str, str]) -> tuple[str, Labels] | None:
    """The name and labels of one of the kit's own series; None when it is none."""
    known = _KNOWN.get(path)
    if known is not None:
        return known
    first, _, rest = path.partition(".")
    special: Callable[[str], tuple[str, Labels] | None] | None = {
        "errors": lambda rest: ("issue_events", (("issue", rest),)),
        "requests": _of_requests,
        "host": _of_host,
    }.get(first)
    found = None if special is None else special(rest)
    if first == "routes":
        found = _of_route(rest, routes)
    elif first == "monitor":
        found = _of_monitor(rest)
    return found


def _of_requests(rest: str) -> tuple[str, Labels] | None:
    first, _, name = rest.partition(".")
    return ("http_responses", (("status", name),)) if first == "status" else None


def _of_host(rest: str) -> tuple[str, Labels] | None:
    nodes = rest.split(".")
    if nodes[0] == "cpu" and nodes[-1].endswith("_ms"):
        return "host_cpu_ms", (("mode", nodes[-1].removesuffix("_ms")),)
    return None


def _of_monitor(rest: str) -> tuple[str, Labels] | None:
    first, _, name = rest.partition(".")
    if first == "drops":
        return "inapp_monitor_dropped", (("reason", name),)
    if first == "export":
        destination, _, what = name.rpartition(".")
        return f"inapp_monitor_export_{_clean(what)}", (("destination", destination),)
    return f"inapp_monitor_{_clean(rest)}", ()


def _of_route(rest: str, routes: Mapping[str, str]) -> tuple[str, Labels] | None:
    slug, _, rest = rest.partition(".")
    method, _, what = rest.partition(".")
    labels: Labels = (("method", method), ("route", routes.get(slug, slug)))
    if what == "time":
        return "http_route_request_duration_ms", labels
    if what == "errors":
        return "http_route_request_errors", labels
    if what.startswith("status."):
        return "http_route_responses", (*labels, ("status", what.removeprefix("status.")))
    return (f"http_route_{_clean(what)}", labels) if what else None


def _foreign(path: str) -> tuple[str, Labels]:
    name, *tags = path.split(";")
    labels: dict[str, str] = {}
    for tag in tags:
        label, _, text = tag.partition("=")
        label = _NOT_A_LABEL.sub("_", label).lstrip("_") or "tag"
        if label[0].isdigit() or label in _RESERVED_LABELS:
            label = f"tag_{label}"
        while label in labels:
            label += "_"
        if text:  # an empty one is none to Prometheus
            labels[label] = text
    cleaned = _clean(name)
    if not cleaned:
        return "series", _with_path(tuple(labels.items()), name)
    return cleaned, tuple(labels.items())


def _clean(name: str) -> str:
    """A metric name in snake_case; "" when nothing of it is ASCII."""
    text = _NOT_A_NAME.sub("_", _HUMP.sub("_", name)).strip("_").lower()
    return f"series_{text}" if text[:1].isdigit() else text


def _base_unit(name: str) -> tuple[str, str, float]:
    """The name without its unit, the base unit ("" for none) and the factor to it."""
    base, _, last = name.rpartition("_")
    if base and last in ("seconds", "bytes", "ratio"):
        return base, last, 1.0
    if base and last in _UNITS:
        return (base, *_UNITS[last])
    return name, "", 1.0
