"""A condition as people write it: a target, a Nagios range and how long it must hold. Pure.

    p95 > 300ms for 3                     three evaluations in a row
    errors > 5% of requests for 2min
    shop.queue.depth >= 100               any target of the query language
    < 10                                  the rule's own target
    p95 > 1.5 * same hour last week       a ratio, held against ~:1.5
    no data for 10min

`>` and `<` mean what they say; the ends of a Nagios range are fine, so that `>=` and `<=` become
the range that alerts inside (`@100:`).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from inapp_monitor.alerts.range import Range

_LONGEST = 2_000
_DURATION_S = {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3_600, "d": 86_400}
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?"
#: Units a number may have: what it is called in rules, and its factor there.
_UNITS = {
    "": ("", 1.0),
    "us": ("ms", 0.001),
    "µs": ("ms", 0.001),
    "ms": ("ms", 1.0),
    "s": ("ms", 1_000.0),
    "min": ("ms", 60_000.0),
    "%": ("%", 1.0),
    "b": ("bytes", 1.0),
    "kb": ("bytes", 1e3),
    "mb": ("bytes", 1e6),
    "gb": ("bytes", 1e9),
    "kib": ("bytes", 1024.0),
    "mib": ("bytes", 1024.0**2),
    "gib": ("bytes", 1024.0**3),
}
_UNIT = "|".join(sorted((re.escape(unit) for unit in _UNITS if unit), key=len, reverse=True))
_LASTING = re.compile(
    r"\s+for\s+(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>s|sec|min|m|h|d)?\s*$", re.IGNORECASE
)
_NO_DATA = re.compile(
    r"^(?P<subject>.*?)\s*no\s+data\s+for\s+(?P<number>[0-9]+(?:\.[0-9]+)?)\s*"
    r"(?P<unit>s|sec|min|m|h|d)$",
    re.IGNORECASE | re.DOTALL,
)
_COMPARED = re.compile(
    rf"^(?P<subject>.*?)\s*(?P<op>>=|<=|>|<)\s*(?P<number>{_NUMBER})\s*(?P<unit>{_UNIT})?"
    r"(?P<rest>\s*\*\s*(?:the\s+)?same\s+hour\s+(?P<before>last\s+week|yesterday)"
    r"|\s+of\s+(?P<whole>\S.*?))?$",
    re.IGNORECASE | re.DOTALL,
)
_PERCENTILE = re.compile(r"p[0-9]{2,4}$")
#: What may be written for a target of the app as a whole.
_SUBJECTS = {
    "errors": "requests.errors",
    "requests": "requests.time.count",
    "traffic": "requests.time.count",
    "5xx": "requests.status.5xx",
    "4xx": "requests.status.4xx",
    "404s": "requests.not_found",
}
BEFORE_S = {"yesterday": 86_400, "last week": 7 * 86_400}
EXPECTED = (
    "expected such as `p95 > 300ms for 3`, `errors > 5% of requests`,"
    " `> 1.5 * same hour last week`, `no data for 10min`, or a Nagios range"
)


@dataclass(frozen=True, slots=True)
class Condition:
    """What a text asks for.

    Attributes:
        target: In the query language; "" for the rule's own.
        whole: The target that `target` is a share of (per cent); "" for none.
        range: What alerts; None for a condition on missing data alone.
        unit: Of the value: `ms`, `%`, `bytes` or "".
        before_s: The value is divided by that of so many seconds before; 0 for not.
        attempts: Evaluations in a row, where that was said.
        lasting_s: The same as a duration, where that was said.
        no_data_s: Missing data alert after so long; 0 for not.
    """

    target: str = ""
    whole: str = ""
    range: Range | None = None
    unit: str = ""
    before_s: int = 0
    attempts: int = 0
    lasting_s: float = 0.0
    no_data_s: float = 0.0


def parse(text: str) -> Condition:
    """Read a condition or a Nagios range.

    Raises:
        ValueError: it is neither; the message names it and what was expected.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"condition of {len(text)} characters: at most {_LONGEST} expected")
    body = text.strip()
    if not body:
        raise ValueError(f"the condition is empty: {EXPECTED}")
    missing = _NO_DATA.match(body)
    if missing:
        seconds = _seconds(missing["number"], missing["unit"])
        return Condition(target=target_of(missing["subject"]), no_data_s=seconds)
    lasting = _LASTING.search(body)
    compared = _COMPARED.match(body[: lasting.start()] if lasting else body)
    if compared is None:
        if lasting or re.search(r"[<>]", body):
            raise ValueError(f"condition {text!r}: {EXPECTED}")
        try:
            return Condition(range=Range.parse(body))
        except ValueError as error:
            raise ValueError(f"condition {text!r}: {error}; {EXPECTED}") from None
    return _compared(compared, lasting, text)


def _compared(found: re.Match[str], lasting: re.Match[str] | None, text: str) -> Condition:
    unit, factor = _UNITS[(found["unit"] or "").lower()]
    value = round(float(found["number"]) * factor, 9)
    if math.isinf(value):
        raise ValueError(f"condition {text!r}: the number is too large")
    whole, before = found["whole"] or "", found["before"] or ""
    if whole and unit != "%":
        raise ValueError(f"condition {text!r}: a share is in per cent, such as `5% of {whole}`")
    if before and unit:
        raise ValueError(f"condition {text!r}: a multiple has no unit, such as `1.5 * same hour`")
    return Condition(
        target=target_of(found["subject"]),
        whole=target_of(whole),
        range=_range(found["op"], value),
        unit=unit,
        before_s=BEFORE_S[" ".join(before.lower().split())] if before else 0,
        attempts=int(float(lasting["number"])) if lasting and not lasting["unit"] else 0,
        lasting_s=_seconds(lasting["number"], lasting["unit"])
        if lasting and lasting["unit"]
        else 0,
    )


def _range(op: str, value: float) -> Range:
    if op == ">":
        return Range(-math.inf, value)
    if op == "<":
        return Range(value, math.inf)
    if op == ">=":
        return Range(value, math.inf, inside=True)
    return Range(-math.inf, value, inside=True)


def target_of(subject: str) -> str:
    """The target that a subject stands for: a short name of the whole app's, or itself."""
    subject = subject.strip()
    if _PERCENTILE.fullmatch(subject):
        return f"requests.time.{subject}"
    return _SUBJECTS.get(subject.lower(), subject)


def _seconds(number: str, unit: str) -> float:
    return float(number) * _DURATION_S[unit.lower()]
