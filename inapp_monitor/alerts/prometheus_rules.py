"""Alerting rules for Prometheus, over the metrics that `/_metrics/prometheus` has. Pure.

A rule is translated when its target is a plain path, with wildcards or a distribution's leaf, and
its share of another one where it has one. Others are named in a comment with the reason: detectors,
functions of the query language and comparisons with an earlier time have no equal there.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from inapp_monitor.alerts.range import Range
from inapp_monitor.alerts.rule import Rule

#: Counters are looked at over so much at least: two scrapes must fall into it.
_LEAST_WINDOW_S = 120
_PLAIN = re.compile(r"[^\s(),;'\"|]+")
_PERCENTILE = re.compile(r"p([0-9]{1,6})")
_LEAVES = ("count", "rate", "sum", "mean")


class Metric(Protocol):
    """What a series is called in Prometheus."""

    @property
    def family(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def factor(self) -> float: ...
    @property
    def labels(self) -> Sequence[tuple[str, str]]: ...


#: The metrics of the series that a plain path selects; none: there are no such series yet.
Metrics = Callable[[str], Sequence[Metric]]


class _UntranslatedError(Exception):
    """Why a rule has no equal."""


class _Expression(NamedTuple):
    text: str
    factor: float
    may_be_negative: bool


def document(rules: Iterable[Rule], metrics: Metrics) -> str:
    """A file of rules, YAML, for `rule_files`."""
    lines = ["# Written by inapp-monitor export --prometheus-rules.", "groups:"]
    lines += ["  - name: inapp-monitor", "    rules:"]
    left_out, written = [], 0
    for rule in rules:
        try:
            alerts = _alerts(rule, metrics)
        except _UntranslatedError as error:
            left_out.append(f"# {json.dumps(rule.name)} is left out: {error}")
            continue
        written += len(alerts)
        lines += [line for alert in alerts for line in alert]
    if not written:
        lines[-1] += " []"
    return "\n".join([*lines, *left_out]) + "\n"


def _alerts(rule: Rule, metrics: Metrics) -> list[list[str]]:
    if rule.kind != "query":
        raise _UntranslatedError("it is judged by the monitor's own detector")
    if rule.before_s:
        raise _UntranslatedError("it compares with an earlier time")
    window_s = max(int(rule.window_s), _LEAST_WINDOW_S)
    value = _value(rule.target, window_s, metrics)
    if rule.whole:
        whole = _value(rule.whole, window_s, metrics)
        value = _Expression(f"100 * ({value.text}) / ({whole.text})", 1.0, False)
    levels = [("critical", rule.critical), ("warning", rule.warning)]
    return [
        _alert(rule, level, _condition(value, found))
        for level, found in levels
        if found is not None
    ]


def _value(target: str, window_s: int, metrics: Metrics) -> _Expression:
    """A target's value over the window."""
    if not _PLAIN.fullmatch(target):
        raise _UntranslatedError("its target is more than a path")
    found = metrics(target)
    if found:
        metric, matchers, by = _joined(found)
        if metric.kind == "histogram":
            raise _UntranslatedError(f"{target} is a distribution: name a leaf, such as p95")
        if metric.kind == "counter":
            text = f"sum{by}(increase({metric.family}_total{matchers}[{window_s}s]))"
            return _Expression(text, metric.factor, False)
        return _Expression(f"{metric.family}{matchers}", metric.factor, True)
    head, _, leaf = target.rpartition(".")
    found = metrics(head) if head else []
    if not found or found[0].kind != "histogram":
        raise _UntranslatedError(f"there is no series {target} yet")
    return _leaf(leaf, found, window_s)


def _leaf(leaf: str, found: Sequence[Metric], window_s: int) -> _Expression:
    metric, matchers, by = _joined(found)
    name, span = metric.family, f"{matchers}[{window_s}s]"
    match = _PERCENTILE.fullmatch(leaf)
    if match:
        digits = match[1]
        share = 1.0 if digits == "100" else int(digits) / 10 ** max(len(digits), 2)
        labels = by.removeprefix(" by (").rstrip(")").strip()
        inner = f"sum by ({', '.join(filter(None, ['le', labels]))})(rate({name}_bucket{span}))"
        return _Expression(f"histogram_quantile({share:g}, {inner})", metric.factor, False)
    texts = {
        "count": f"sum{by}(increase({name}_count{span}))",
        "rate": f"sum{by}(rate({name}_count{span}))",
        "sum": f"sum{by}(increase({name}_sum{span}))",
        "mean": f"sum{by}(rate({name}_sum{span})) / sum{by}(rate({name}_count{span}))",
    }
    if leaf not in texts:
        raise _UntranslatedError(f"Prometheus has no {leaf} of a distribution")
    return _Expression(texts[leaf], 1.0 if leaf in ("count", "rate") else metric.factor, False)


def _joined(found: Sequence[Metric]) -> tuple[Metric, str, str]:
    """The family of some series, the labels that all have alike, and `by` for the others."""
    families = {metric.family for metric in found}
    if len(families) > 1:
        raise _UntranslatedError(f"it looks at several metrics: {', '.join(sorted(families)[:4])}")
    alike = set(found[0].labels).intersection(*(metric.labels for metric in found[1:]))
    names = sorted({name for metric in found for name, _ in metric.labels})
    differing = [name for name in names if name not in dict(alike)]
    matchers = ",".join(f"{name}={json.dumps(value)}" for name, value in sorted(alike))
    by = f" by ({', '.join(differing)})" if differing else ""
    return found[0], f"{{{matchers}}}" if matchers else "", by


def _condition(value: _Expression, found: Range) -> str:
    start, end = (limit * value.factor for limit in (found.start, found.end))
    text = f"({value.text})"
    if found.inside:
        parts = [f"{text} >= {start:.12g}"] if start > -math.inf else []
        parts += [f"{text} <= {end:.12g}"] if end < math.inf else []
        return " and ".join(parts) or text
    parts = [f"{text} > {end:.12g}"] if end < math.inf else []
    if start > -math.inf and (start != 0 or value.may_be_negative):
        parts.append(f"{text} < {start:.12g}")
    if not parts:
        raise _UntranslatedError(f"nothing is outside {found}")
    return " or ".join(parts)


def _alert(rule: Rule, level: str, expression: str) -> list[str]:
    for_s = round((rule.attempts - 1) * rule.interval_s)
    labels = {**rule.labels, "severity": level, "rule": rule.name}
    annotations = {
        "summary": rule.title or rule.name,
        "description": f"{rule.target} is {{{{ $value }}}}",
    }
    if rule.runbook:
        annotations["runbook_url"] = rule.runbook
    return [
        f"      - alert: {json.dumps(rule.name)}",
        f"        expr: {json.dumps(expression)}",
        f"        for: {for_s}s",
        "        labels:",
        *(f"          {name}: {json.dumps(text)}" for name, text in sorted(labels.items())),
        "        annotations:",
        *(f"          {name}: {json.dumps(text)}" for name, text in annotations.items()),
    ]
