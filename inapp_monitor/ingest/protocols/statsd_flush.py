"""What StatsD sends to Graphite at a flush: names and numbers, to the last digit. Pure.

Follows the arithmetic of npm statsd 0.9.0 (`lib/process_metrics.js`, `backends/graphite.js`), order
of additions included. Left out are its faults: where a negative threshold covers all values, its
sum is that of all and not NaN.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from inapp_monitor.ground.points import Method

_BLANKS = re.compile("[\\s\ufeff]+")
_DROPPED = re.compile(r"[^a-zA-Z_\-0-9.;=]")
_PERCENT = re.compile(r"_(top)?\d+$", re.ASCII)
#: How the parts of a timer and a counter are rolled up, as StatsD's documentation advises.
_METHODS = {
    "count": Method.SUM,
    "sum": Method.SUM,
    "sum_squares": Method.SUM,
    "lower": Method.MIN,
    "upper": Method.MAX,
}


@dataclass(frozen=True, slots=True)
class StatsDConfig:
    """The settings of StatsD that decide what is flushed, by its own names in snake case."""

    flush_interval_ms: float = 10_000
    percent_threshold: tuple[float, ...] = (90,)
    flush_counts: bool = True
    delete_counters: bool = False
    delete_timers: bool = False
    delete_sets: bool = False
    delete_gauges: bool = False
    gauges_max_ttl: int = 1
    prefix_stats: str = "statsd"
    key_name_sanitize: bool = True
    histogram: tuple[tuple[str, tuple[float, ...]], ...] = ()
    calculated_timer_metrics: tuple[str, ...] = ()
    legacy_namespace: bool = True
    global_prefix: str = "stats"
    prefix_counter: str = "counters"
    prefix_timer: str = "timers"
    prefix_gauge: str = "gauges"
    prefix_set: str = "sets"
    global_suffix: str | None = None

    @property
    def interval_s(self) -> float:
        """Seconds between two flushes, which rates are divided by."""
        return self.flush_interval_ms / 1000


def sanitized(key: str) -> str:
    """A key as StatsD cleans it: blanks, slashes, then all that Graphite might not like."""
    return _DROPPED.sub("", _BLANKS.sub("_", key).replace("/", "-"))


def js_number(value: float) -> str:
    """A number as JavaScript writes it, for names: `90`, `99.9`."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


class Names:
    """The names of a configuration."""

    def __init__(self, config: StatsDConfig) -> None:
        self._config = config
        self._suffix = "" if config.global_suffix is None else f".{config.global_suffix}"
        first = [config.global_prefix] if config.global_prefix else []

        def below(prefix: str) -> list[str]:
            return first + ([prefix] if prefix else [])

        if config.legacy_namespace:
            self.counter, self.timer = ["stats"], ["stats", "timers"]
            self.gauge, self.set, self.own = ["stats", "gauges"], ["stats", "sets"], ["stats"]
        else:
            self.counter, self.timer = below(config.prefix_counter), below(config.prefix_timer)
            self.gauge, self.set = below(config.prefix_gauge), below(config.prefix_set)
            self.own = first

    def of(self, namespace: Sequence[str], key: str, *last: str) -> str:
        """The suffix comes after the last node, and before the tags."""
        name, *tags = key.split(";")
        if not self._config.key_name_sanitize:
            name = sanitized(name)
        return ".".join((*namespace, name, *last)) + self._suffix + "".join(f";{t}" for t in tags)

    def number_of_stats(self) -> str:
        """StatsD's own count of what it sends; the older layout forgets its prefix."""
        if self._config.legacy_namespace:
            return f"{self._config.prefix_stats}.numStats{self._suffix}"
        return self.of(self.own, self._config.prefix_stats, "numStats")


def timer_numbers(
    key: str, values: Sequence[float], count: float, config: StatsDConfig
) -> dict[str, float]:
    """What is sent of a timer, in StatsD's order; `count` is scaled by the sampling rates."""
    if not values:
        numbers: dict[str, float] = {"count": 0.0, "count_ps": 0.0}
    else:
        ordered = sorted(values)
        sums = list(accumulate(ordered))
        squares = list(accumulate(value * value for value in ordered))
        numbers = {}
        for threshold in config.percent_threshold:
            _add_threshold(numbers, threshold, ordered, sums, squares)
        _add_all_values(numbers, ordered, sums[-1], squares[-1])
        numbers |= {"count": count, "count_ps": count / config.interval_s}
        numbers |= _bins(key, ordered, config)
    wanted = config.calculated_timer_metrics
    if wanted:  # bins are no numbers to StatsD, but an object of that name
        numbers = {
            name: number
            for name, number in numbers.items()
            if _PERCENT.sub("_percent", name.partition(".")[0]) in wanted
        }
    return numbers


def _add_threshold(
    numbers: dict[str, float],
    threshold: float,
    ordered: Sequence[float],
    sums: Sequence[float],
    squares: Sequence[float],
) -> None:
    total = within = len(ordered)
    total_sum, total_squares, boundary = ordered[0], ordered[0] * ordered[0], ordered[-1]
    mean = total_sum
    if total > 1:
        within = math.floor(abs(threshold) / 100 * total + 0.5)
        if within == 0:
            return
        if threshold > 0:
            at = min(within, total) - 1
            boundary, total_sum, total_squares = ordered[at], sums[at], squares[at]
        else:
            rest = total - within
            boundary = ordered[max(rest, 0)]
            total_sum = sums[-1] - (sums[rest - 1] if rest > 0 else 0.0)
            total_squares = squares[-1] - (squares[rest - 1] if rest > 0 else 0.0)
        mean = total_sum / within
    name = js_number(threshold).replace(".", "_", 1).replace("-", "top", 1)
    numbers[f"count_{name}"] = float(within)
    numbers[f"mean_{name}"] = mean
    numbers[f"{'upper' if threshold > 0 else 'lower'}_{name}"] = boundary
    numbers[f"sum_{name}"] = total_sum
    numbers[f"sum_squares_{name}"] = total_squares


def _add_all_values(
    numbers: dict[str, float], ordered: Sequence[float], total: float, squares: float
) -> None:
    count = len(ordered)
    mean = total / count
    differences = 0.0
    for value in ordered:
        differences += (value - mean) * (value - mean)
    middle = count // 2
    median = ordered[middle] if count % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    numbers |= {
        "std": math.sqrt(differences / count),
        "upper": ordered[-1],
        "lower": ordered[0],
        "sum": total,
        "sum_squares": squares,
        "mean": mean,
        "median": median,
    }


def _bins(key: str, ordered: Sequence[float], config: StatsDConfig) -> dict[str, float]:
    """Values below each bound and not below the one before; those above the last are not sent."""
    bounds = next((bins for metric, bins in config.histogram if metric in key), ())
    numbers: dict[str, float] = {}
    at = 0
    for bound in bounds:
        begin = at
        while at < len(ordered) and (math.isinf(bound) or ordered[at] < bound):
            at += 1
        text = "inf" if math.isinf(bound) else js_number(bound).replace(".", "_", 1)
        numbers[f"histogram.bin_{text}"] = float(at - begin)
    return numbers


def method_of(last: str) -> Method:
    """How a part of a timer or counter is rolled up."""
    if last == "count_ps":
        return Method.AVERAGE
    return _METHODS.get(_PERCENT.sub("", last).rpartition(".")[2], Method.AVERAGE)


def with_whole_tags(name: str) -> str:
    """A name whose bare tags have a value: Graphite takes none without."""
    if ";" not in name:
        return name
    metric, *tags = name.split(";")
    whole = [tag if tag.partition("=")[2] else f"{tag.rstrip('=')}=true" for tag in tags]
    return ";".join((metric, *(tag for tag in whole if tag != "=true")))


#: Names of StatsD's settings to those of `StatsDConfig`.
OPTIONS = {
    "flushInterval": "flush_interval_ms",
    "percentThreshold": "percent_threshold",
    "flush_counts": "flush_counts",
    "deleteCounters": "delete_counters",
    "deleteTimers": "delete_timers",
    "deleteSets": "delete_sets",
    "deleteGauges": "delete_gauges",
    "gaugesMaxTTL": "gauges_max_ttl",
    "prefixStats": "prefix_stats",
    "keyNameSanitize": "key_name_sanitize",
    "histogram": "histogram",
    "calculatedTimerMetrics": "calculated_timer_metrics",
    "legacyNamespace": "legacy_namespace",
    "globalPrefix": "global_prefix",
    "prefixCounter": "prefix_counter",
    "prefixTimer": "prefix_timer",
    "prefixGauge": "prefix_gauge",
    "prefixSet": "prefix_set",
    "globalSuffix": "global_suffix",
}
_DELETES = ("delete_counters", "delete_timers", "delete_sets", "delete_gauges")
_DELETE_ALL = "deleteIdleStats"
OPTION_NAMES = (*OPTIONS, _DELETE_ALL)


def config_of(options: Mapping[str, str]) -> StatsDConfig:
    """The configuration that an address's options give.

    Raises:
        ValueError: an option's value that cannot be understood.
    """
    found: dict[str, Any] = {}
    if _DELETE_ALL in options:
        found.update(dict.fromkeys(_DELETES, _bool(_DELETE_ALL, options[_DELETE_ALL])))
    for name, text in options.items():
        field = OPTIONS.get(name)
        if field is not None:
            found[field] = _value(name, text, type(getattr(StatsDConfig(), field)))
    config = StatsDConfig(**found)
    if not config.flush_interval_ms >= 100:
        raise ValueError("flushInterval: expected at least 100 milliseconds")
    return config


def _value(name: str, text: str, kind: type) -> object:
    try:
        if name == "histogram":
            return tuple(map(_histogram, text.split(";")))
        if name == "percentThreshold":
            return tuple(float(each) for each in text.split(",") if each)
        if kind is tuple:
            return tuple(each for each in text.split(",") if each)
        if kind is bool:
            return _bool(name, text)
        if name == "gaugesMaxTTL":
            return max(1, int(text))
        return float(text) if kind is float or kind is int else text
    except ValueError as error:
        raise ValueError(f"{name}={text}: {error}") from None


def _histogram(text: str) -> tuple[str, tuple[float, ...]]:
    metric, colon, bins = text.rpartition(":")
    if not colon:
        raise ValueError("expected part-of-a-name:bound,bound;...")
    return metric, tuple(float(bound) for bound in bins.split(",") if bound)


def _bool(name: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"{name}={text}: expected true or false")
    return text == "true"
