"""A rule as the table that it can be written as: the inverse of `Rule.parse`. Pure.

What is at its default is left out, so that a copy says what its rule says and no more.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from inapp_monitor.alerts import built_in, condition
from inapp_monitor.alerts.range import Range, exact_text
from inapp_monitor.alerts.rule import Rule

#: Keys of a table and attributes of a rule, where a plain value goes over.
_PLAIN = {
    "of": "whole",
    "unit": "unit",
    "title": "title",
    "attempts": "attempts",
    "recovery_attempts": "recovery_attempts",
    "min_count": "min_count",
    "no_data": "no_data",
    "severity": "severity",
    "runbook": "runbook",
    "notify": "notify",
    "flap_detection": "flap_detection",
}
_DURATIONS = {
    "window": "window_s",
    "interval": "interval_s",
    "no_data_after": "no_data_s",
    "quiet_after_deploy": "quiet_after_deploy_s",
    "renotify": "renotify_s",
}
_BEFORE = {seconds: words for words, seconds in condition.BEFORE_S.items()}


def table_of(rule: Rule) -> dict[str, object]:
    """Keys as TOML has them; of a rule that the judge finds itself, those that may be changed."""
    defaults = Rule(rule.name, rule.target)
    table: dict[str, object] = {}
    if rule.kind == "query":
        table["target"] = rule.target
        for level in ("warning", "critical", "recovery"):
            found = getattr(rule, level)
            if found is not None:
                table[level] = _level(found, rule.before_s if level != "recovery" else 0)
        if rule.warning is None and rule.critical is None:
            level = "warning" if rule.no_data == "unknown" else "critical"
            table[level] = f"no data for {rule.missing_after_s:g}s"
    for key, name in (_PLAIN | _DURATIONS).items():
        value = getattr(rule, name)
        may_be_given = rule.kind == "query" or key in built_in.CHANGEABLE
        if may_be_given and value != getattr(defaults, name):
            table[key] = f"{value:g}s" if key in _DURATIONS else value
    if rule.parents:
        table["parents"] = list(rule.parents)
    if rule.labels:
        table["labels"] = dict(rule.labels)
    return table


def _level(found: Range, before_s: int) -> str:
    """A range, or what is compared with an earlier time in words."""
    if not before_s:
        return str(found)
    is_upper = math.isinf(found.start)
    operator = (">" if is_upper else "<") if not found.inside else ("<=" if is_upper else ">=")
    limit = found.end if is_upper else found.start
    return f"{operator} {exact_text(limit)} * same hour {_BEFORE[before_s]}"


def toml_of(name: str, table: Mapping[str, object]) -> str:
    """A table `[rules.NAME]`, to be kept in a file."""
    quoted = name if "." not in name else json.dumps(name)
    lines = [f"[rules.{quoted}]"]
    lines += [f"{key} = {_value(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key} = {_value(each)}" for key, each in value.items())
        return f"{{ {inner} }}"
    # A JSON text is a TOML text, but for DEL and lone surrogates, which TOML does not have.
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return text.encode("utf-8", "replace").decode()
