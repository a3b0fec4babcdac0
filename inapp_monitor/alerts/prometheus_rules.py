"""Alerting rules for Prometheus, over the metrics that `/_metrics/prometheus` has. Pure.

A rule is translated when its target is a plain path, with wildcards or a distribution's leaf, and
its share of another one where it has one. Others are named in a comment with the reason: detectors,
functions of the query language and comparisons with an earlier time have no equal there.

Texts of rules are Go's templates in Prometheus, and strings of PromQL stand in those of YAML: each
is quoted for its place, so that no text can make Prometheus refuse the file.
"""

from __future__ import annotations

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
#: How values are written for people, by the unit of their metric: functions of Go's templates.
_SHOWN = {
    "seconds": "humanizeDuration",
    "bytes": 'humanize1024 | printf "%sB"',
    "ratio": "humanizePercentage",
}
_NUMBER = 'printf "%.4g"'
#: Labels that a rule's own may not replace: Prometheus', and those that each alert has here.
_RESERVED = ("__name__", "alertname", "rule", "severity")


class Metric(Protocol):
    """What a series is called in Prometheus."""

    @property
    def family(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def factor(self) -> float: ...
    @property
    def labels(self) -> Sequence[tuple[str, str]]: ...


#: The metrics of the series that a plain path selects; none: there are no such series yet.
Metrics = Callable[[str], Sequence[Metric]]


class _UntranslatedError(Exception):
    """Why a rule has no equal."""


class _Expression(NamedTuple):
    """Of PromQL.

    Attributes:
        text: It.
        labels: Those that its series have, by name.
        factor: What a limit of the rule is multiplied with to be in its unit.
        unit: `seconds`, `bytes`, `ratio` or "".
        may_be_negative: Whether its value may.
    """

    text: str
    labels: str
    factor: float = 1.0
    unit: str = ""
    may_be_negative: bool = False


def document(rules: Iterable[Rule], metrics: Metrics) -> str:
    """A file of rules, YAML, for `rule_files`."""
    lines = ["# Written by inapp-monitor export --prometheus-rules.", "groups:"]
    lines += ["  - name: inapp-monitor", "    rules:"]
    left_out, written = [], 0
    for rule in rules:
        try:
            alerts = _alerts(rule, metrics)
        except _UntranslatedError as error:
            left_out.append(f"# {_quoted(rule.name)} is left out: {error}")
            continue
        if rule.recovery is not None:
            left_out.append(f"# {_quoted(rule.name)} ends with its range: `recovery` has no equal")
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
    value = _value(rule.target, rule.window_s, metrics)
    shown = f"{_template(rule.target)} is {{{{ $value | {_SHOWN.get(value.unit, _NUMBER)} }}}}"
    enough = ""
    if rule.whole:
        whole = _value(rule.whole, rule.window_s, metrics)
        if whole.labels != value.labels:
            raise _UntranslatedError(f"{rule.target} and {rule.whole} have different labels")
        value = _Expression(f"100 * ({value.text}) / ({whole.text})", value.labels)
        shown = f"{_template(rule.target)} is {{{{ $value | {_NUMBER} }}}} % of "
        shown += _template(rule.whole)
        enough = f" and ({whole.text}) >= {rule.min_count}" if rule.min_count else ""
    elif rule.min_count:
        count = _value("requests.time.count", rule.window_s, metrics)
        enough = f" and on() ({count.text}) >= {rule.min_count}"
    alerts = []
    for level, found in (("critical", rule.critical), ("warning", rule.warning)):
        if found is not None:
            condition = _condition(value, found)
            text = f"({condition}){enough}" if enough else condition
            alerts.append(_alert(rule, level, text, shown))
    if rule.no_data == "critical" and rule.no_data_s:
        missing = f"no data of {_template(rule.target)} for {rule.no_data_s:.0f} s"
        alerts.append(_alert(rule, "critical", _absence(rule, metrics), missing))
    return alerts


def _absence(rule: Rule, metrics: Metrics) -> str:
    """That nothing came for so long; of a counter it is that it did not grow."""
    span = f"[{max(rule.no_data_s, _LEAST_WINDOW_S):.0f}s]"
    metric, matchers, by = _joined(metrics(rule.target) or metrics(_parted(rule.target)[0]))
    if metric.kind == "gauge":
        return f"absent_over_time({metric.family}{matchers}{span})"
    name = f"{metric.family}{'_total' if metric.kind == 'counter' else '_count'}{matchers}"
    return f"sum{by}(increase({name}{span})) == 0 or absent({name})"


def _value(target: str, window_s: float, metrics: Metrics) -> _Expression:
    """A target's value over the window."""
    if not _PLAIN.fullmatch(target):
        raise _UntranslatedError("its target is more than a path")
    found = metrics(target)
    if found:
        metric, matchers, by = _joined(found)
        if metric.kind == "histogram":
            raise _UntranslatedError(f"{target} is a distribution: name a leaf, such as p95")
        if metric.kind == "counter":
            text = _increase(by, f"{metric.family}_total{matchers}", window_s)
            return _Expression(text, by, metric.factor, metric.unit)
        labels = " ".join(name for name, _ in metric.labels)
        return _Expression(
            *(f"{metric.family}{matchers}", labels, metric.factor, metric.unit),
            may_be_negative=True,
        )
    head, leaf = _parted(target)
    found = metrics(head) if head else []
    if not found or found[0].kind != "histogram":
        raise _UntranslatedError(f"there is no series {target} yet")
    return _leaf(leaf, found, window_s)


def _parted(target: str) -> tuple[str, str]:
    head, _, leaf = target.rpartition(".")
    return head, leaf


def _span_s(window_s: float) -> int:
    return max(int(window_s), _LEAST_WINDOW_S)


def _increase(by: str, selector: str, window_s: float) -> str:
    """By how much a counter grew in the rule's window, estimated where that is shorter than what
    two scrapes need."""
    span_s = _span_s(window_s)
    if window_s >= span_s:
        return f"sum{by}(increase({selector}[{span_s}s]))"
    return f"{window_s:.12g} * sum{by}(rate({selector}[{span_s}s]))"


def _leaf(leaf: str, found: Sequence[Metric], window_s: float) -> _Expression:
    metric, matchers, by = _joined(found)
    name, span = metric.family, f"{matchers}[{_span_s(window_s)}s]"
    match = _PERCENTILE.fullmatch(leaf)
    if match:
        digits = match[1]
        share = 1.0 if digits == "100" else int(digits) / 10 ** max(len(digits), 2)
        labels = by.removeprefix(" by (").rstrip(")").strip()
        inner = f"sum by ({', '.join(filter(None, ['le', labels]))})(rate({name}_bucket{span}))"
        text = f"histogram_quantile({share:g}, {inner})"
        return _Expression(text, by, metric.factor, metric.unit)
    texts = {
        "count": _increase(by, f"{name}_count{matchers}", window_s),
        "rate": f"sum{by}(rate({name}_count{span}))",
        "sum": _increase(by, f"{name}_sum{matchers}", window_s),
        "mean": f"sum{by}(rate({name}_sum{span})) / sum{by}(rate({name}_count{span}))",
    }
    if leaf not in texts:
        raise _UntranslatedError(f"Prometheus has no {leaf} of a distribution")
    if leaf in ("count", "rate"):
        return _Expression(texts[leaf], by)
    return _Expression(texts[leaf], by, metric.factor, metric.unit)


def _joined(found: Sequence[Metric]) -> tuple[Metric, str, str]:
    """The family of some series, the labels that all have alike, and `by` for the others."""
    families = {metric.family for metric in found}
    if len(families) > 1:
        raise _UntranslatedError(f"it looks at several metrics: {', '.join(sorted(families)[:4])}")
    alike = set(found[0].labels).intersection(*(metric.labels for metric in found[1:]))
    names = sorted({name for metric in found for name, _ in metric.labels})
    differing = [name for name in names if name not in dict(alike)]
    matchers = ",".join(f"{name}={_quoted(value)}" for name, value in sorted(alike))
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


def _alert(rule: Rule, level: str, expression: str, description: str) -> list[str]:
    for_s = round((rule.attempts - 1) * rule.interval_s)
    own = {name: _template(text) for name, text in rule.labels.items() if name not in _RESERVED}
    labels = {**own, "severity": level, "rule": rule.name}
    annotations = {"summary": _template(rule.title or rule.name), "description": description}
    if rule.runbook:
        annotations["runbook_url"] = _template(rule.runbook)
    return [
        f"      - alert: {_quoted(rule.name)}",
        f"        expr: {_quoted(expression)}",
        f"        for: {for_s}s",
        "        labels:",
        *(f"          {name}: {_quoted(text)}" for name, text in sorted(labels.items())),
        "        annotations:",
        *(f"          {name}: {_quoted(text)}" for name, text in annotations.items()),
    ]


def _template(text: str) -> str:
    """A text that Go's templates write as it is."""
    return text.replace("{{", '{{ "{{" }}')


def _quoted(text: str) -> str:
    """A string as PromQL and YAML both read it."""
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    code = ord(character)
    if 0xD800 <= code <= 0xDFFF:  # half a character
        return "\N{REPLACEMENT CHARACTER}"
    return f"\\U{code:08x}"
