"""Which stored series shows what a state is about: for pictures and charts. Pure.

A rule that is evaluated names its series itself; what the detector finds is named after the route
(`pay.POST`) or `app`, and is shown by the numbers that it looks at.
"""

from __future__ import annotations

from typing import NamedTuple

from inapp_monitor.alerts.rule import Rule

#: Of a rule of the detector: what shows it, what that is a share of, and the unit.
_SHOWN = {
    "slow-requests": ("time.p95", "", "ms"),
    "failing-requests": ("errors", "time.count", "%"),
    "hanging-requests": ("time.count", "", ""),
    "no-traffic": ("time.count", "", ""),
}
_OF_THE_APP = {
    "broken-links": ("requests.not_found", "requests.time.count", "%"),
    "not-found": ("requests.not_found", "requests.time.count", "%"),
}


class Pictured(NamedTuple):
    """A series to draw.

    Attributes:
        series: Its name.
        whole: What it is a share of, in per cent; "" for nothing.
        unit: Of its values.
    """

    series: str
    whole: str
    unit: str


def pictured(rule: Rule, series: str) -> Pictured:
    """What to draw for a state of a rule; an empty name when nothing shows it."""
    if rule.kind == "query":
        return Pictured(series or rule.target, rule.whole, rule.unit)
    if rule.name in _OF_THE_APP:
        return Pictured(*_OF_THE_APP[rule.name])
    if rule.name not in _SHOWN:
        return Pictured("", "", "")
    leaf, whole, unit = _SHOWN[rule.name]
    head = "requests" if series in ("", "app") or "." not in series else f"routes.{series}"
    return Pictured(f"{head}.{leaf}", f"{head}.{whole}" if whole else "", unit)
