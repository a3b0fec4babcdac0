"""StatsD's lines as StatsD itself reads them, accidents included. Pure.

For `names=statsd`, where a dashboard made for StatsD must go on: a type that is none counts as a
counter, numbers are JavaScript's. Follows npm statsd 0.9.0 (`stats.js`, `lib/helpers.js`) but where
that ends its process or makes an infinite counter: such a line is bad.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from inapp_monitor.ingest.protocols.parsed import COUNTER, GAUGE, GAUGE_DELTA, SET, TIMER, Parsed
from inapp_monitor.ingest.protocols.statsd_flush import sanitized

#: The blanks that JavaScript's Number and trim remove.
_JS_BLANKS = " \t\n\v\f\r\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_TRIM = re.compile(f"^[{_JS_BLANKS}]+|[{_JS_BLANKS}]+$")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_RADIX = re.compile(r"0(?:[xX][0-9a-fA-F]+|[bB][01]+|[oO][0-7]+)", re.ASCII)
_INFINITY = re.compile(r"[+-]?Infinity")
_RATE = re.compile(r"[\d.]+", re.ASCII)
_SIGNED = ("+", "-")


class ExactSample(NamedTuple):
    """A sample as StatsD keeps it.

    Attributes:
        weight: 1 over the sampling rate.
    """

    kind: str
    key: str
    value: float | str
    weight: float


def js_float(text: str) -> float | None:
    """What JavaScript's `Number` makes of a text; None for NaN."""
    text = _TRIM.sub("", text)
    if not text:
        return 0.0
    if _DECIMAL.fullmatch(text):
        return float(text)
    if _RADIX.fullmatch(text):
        return float(int(text, 0))
    if _INFINITY.fullmatch(text):
        return float(text.replace("Infinity", "inf"))
    return None


def samples(text: str, parsed: Parsed, *, sanitize: bool) -> list[ExactSample]:
    """The samples of a datagram or of some lines; bad ones are rejected in `parsed`."""
    found: list[ExactSample] = []
    for line in text.split("\n"):
        if line:
            parsed.lines += 1
            _add_line(line, found, parsed, sanitize=sanitize)
    return found


def _add_line(line: str, found: list[ExactSample], parsed: Parsed, *, sanitize: bool) -> None:
    parts = line.split("|#")
    tags = parts[1].split(",") if len(parts) > 1 and parts[1] else []
    key, *bits = parts[0].split(":")
    if tags:
        key += ";" + ";".join(tag.replace(";", "_", 1).replace(":", "=", 1) for tag in tags)
    if sanitize:
        key = sanitized(key)
    for bit in bits or ["1"]:
        sample = _sample(key, bit.split("|"))
        if isinstance(sample, str):
            parsed.reject(sample, line)
        else:
            found.append(sample)


def _sample(key: str, fields: list[str]) -> ExactSample | str:
    """A sample, or why it is bad."""
    if len(fields) < 2:
        return "type"
    text, kind = fields[:2]
    rate = 1.0
    if len(fields) > 2:
        checked = _rate(fields[2])
        if checked is None:
            return "rate"
        rate = checked
    value = js_float(text) if text else None
    if kind != "s" and value is None:
        return "value"
    if kind == "ms" and value is not None and value < 0:
        return "negative_time"
    stripped = _TRIM.sub("", kind)
    if stripped == "s":
        return ExactSample(SET, key, text or "0", 1.0)
    number = value if value is not None else 0.0
    if stripped == "ms":
        return ExactSample(TIMER, key, number, 1.0 / rate)
    if stripped == "g":
        return ExactSample(GAUGE_DELTA if text[:1] in _SIGNED else GAUGE, key, number, 1.0)
    return ExactSample(COUNTER, key, number, 1.0 / rate)


def _rate(field: str) -> float | None:
    """The rate; None for a bad one."""
    if len(field) < 2 or field[0] != "@":
        return None
    text = field[1:]
    number = js_float(text) if text else None
    if number is None or text[0] == "-":
        return None
    digits = _RATE.match(text)
    rate = js_float(digits[0]) if digits else number  # without digits first, StatsD itself ends
    return rate if rate is not None and 0.0 < rate < float("inf") else None
