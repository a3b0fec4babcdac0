"""What a Nagios plugin prints and a passive check result holds, within Nagios's limits. Pure.

    TEXT | 'label'=value[unit];warning;critical

Source: Monitoring Plugins Development Guidelines. Nagios reads 8 kB of an active result in all, and
a pipe takes 4,096 bytes at once: perfdata is cut in whole items, and what is missing is counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from inapp_monitor.alerts.range import Range
from inapp_monitor.ground.visible_text import visible_line

#: Bytes of the first line, of all perfdata, and of everything together.
MAX_TEXT, MAX_PERFDATA, MAX_OUTPUT = 1_000, 3_000, 7_500
#: Bytes that a pipe takes at once (PIPE_BUF).
MAX_PASSIVE = 4_096
_UNITS = {"ms": "ms", "s": "s", "us": "us", "%": "%", "percent": "%", "bytes": "B", "B": "B"}


class Metric(NamedTuple):
    """One item of perfdata; `value` NaN for not known."""

    label: str
    value: float
    unit: str = ""
    warning: str = ""
    critical: str = ""


def perfdata(metrics: Iterable[Metric], most: int = MAX_PERFDATA) -> tuple[str, int]:
    """Items as text of at most `most` bytes, and how many did not fit."""
    kept: list[str] = []
    room, missing = most, 0
    for metric in metrics:
        item = _item(metric)
        size = len(item.encode()) + 1
        if missing or size > room:
            missing += 1
            continue
        room -= size
        kept.append(item)
    return " ".join(kept), missing


def output(text: str, lines: Sequence[str] = (), metrics: Sequence[Metric] = ()) -> str:
    """What a plugin prints: the first line with its perfdata, then further lines."""
    items, missing = perfdata(metrics)
    if missing:
        text = f"{cut(clean(text), MAX_TEXT - 40)} (+{missing} more)"
    first = cut(clean(text), MAX_TEXT) + (f" | {items}" if items else "")
    printed = [first]
    room = MAX_OUTPUT - len(first.encode())
    for number, line in enumerate(lines):
        shown = cut(clean(line), MAX_TEXT)
        room -= len(shown.encode()) + 1
        if room < 40:
            printed.append(f"+{len(lines) - number} more")
            break
        printed.append(shown)
    return "\n".join(printed)


def passive(host: str, service: str, status: int, text: str, metrics: Sequence[Metric] = ()) -> str:
    """A line of Nagios's command file, without its time: at most 4,000 bytes."""
    head = f"PROCESS_SERVICE_CHECK_RESULT;{name(host)};{name(service)};{status};"
    items, _ = perfdata(metrics, 1_500)
    room = MAX_PASSIVE - 60 - len(head.encode()) - len(items.encode()) - 3
    return head + cut(clean(text), max(room, 0)) + (f" | {items}" if items else "")


def name(text: str) -> str:
    """A host's or service's name: what Nagios forbids in names becomes a blank."""
    shown = visible_line(text)
    return cut("".join(" " if each in "`~!$%^&*|'\"<>?,()=;" else each for each in shown), 200)


def clean(text: str) -> str:
    """Text in which nothing begins perfdata, another line or another field."""
    shown = visible_line(text.replace("\n", " ")).replace("|", "\u2223").replace(";", ",")
    return " ".join(shown.split()) or "(no text)"


def cut(text: str, most: int) -> str:
    """At most so many bytes of UTF-8, whole characters."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= most:
        return encoded.decode()
    return encoded[: max(most - 3, 0)].decode("utf-8", "ignore") + "…"[: most > 3]


def threshold(found: Range | None) -> str:
    """A range in perfdata: a plain number where it is a plain maximum."""
    return "" if found is None else str(found)


def _item(metric: Metric) -> str:
    label = visible_line(metric.label).replace("'", "''").replace("=", "_").replace("|", "_")
    label = cut(label, 120)
    if not label.isascii() or not all(each.isalnum() or each in "._-/" for each in label):
        label = f"'{label}'"
    if not math.isfinite(metric.value):
        return f"{label}=U"
    unit = _UNITS.get(metric.unit, "")
    item = f"{label}={_decimal(metric.value)}{unit};{metric.warning};{metric.critical}"
    return item.rstrip(";")


def _decimal(value: float) -> str:
    """Digits, sign and point only: perfdata has no exponents."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.6f}".rstrip("0").rstrip(".") if abs(value) < 1e15 else f"{value:.0f}"
