"""A notification with all that is sent with it, and its JSON, which webhooks receive. Pure.

The outbox keeps the notice as it was when the state changed; what helps people to understand it
(links, the last values, deploys, new issues) is added when it is sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any

from inapp_monitor.alerts.message import Message

#: Version of the JSON; a receiver may rely on the names of one version.
VERSION = 1
_LONGEST_TEXT = 4_000
_LONGEST_LINE = 300
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Notice:
    """One notification as it is sent.

    Attributes:
        key: The same for the same notification, however often it is sent.
        kind: PROBLEM, RECOVERY, ACKNOWLEDGEMENT, ...; or SUMMARY, of several that came together.
        status: OK, WARNING, CRITICAL or UNKNOWN.
        app: Name of the application.
        rule, series: Whose state; the series is "" for the rule as a whole.
        title, detail: The problem, and its evidence, in words.
        at: When the state changed, seconds since the epoch.
        since: When the problem began.
        value: What was measured; None when nothing was.
        unit: Of the value.
        warning, critical: The ranges as Nagios writes them; "" for none.
        severity, labels, runbook: Of the rule.
        author, note: Of who acknowledged, or planned the downtime.
        incident: Number of the incident; 0 for none.
        lines: Of a SUMMARY, what it is made of.
        links: Addresses by what they show: `rule`, `acknowledge`, `overview`.
        values: The last values of the series, the oldest first; None where nothing is known.
        values_step_s: Seconds from one to the next.
        values_unit: What they measure.
        contributing: Routes or series that make it up, the worst first.
        deploys: Releases that came into use shortly before, with their times.
        issues: New issues of the time, with their addresses.
    """

    key: str
    kind: str
    status: str
    app: str
    rule: str
    series: str
    title: str
    detail: str
    at: float
    since: float
    value: float | None = None
    unit: str = ""
    warning: str = ""
    critical: str = ""
    severity: str = "ticket"
    labels: Mapping[str, str] = field(default_factory=dict)
    runbook: str = ""
    author: str = ""
    note: str = ""
    incident: int = 0
    lines: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    values: tuple[float | None, ...] = ()
    values_step_s: float = 60.0
    values_unit: str = ""
    contributing: tuple[str, ...] = ()
    deploys: tuple[str, ...] = ()
    issues: tuple[str, ...] = ()

    @property
    def is_problem(self) -> bool:
        """Whether somebody should do something."""
        return self.kind == "PROBLEM"

    def as_json(self) -> dict[str, Any]:
        """As webhooks and programs receive it; a lone surrogate is no text that all can read."""
        return {"version": VERSION, **_sound(asdict(self))}


def _sound(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_sound(name): _sound(each) for name, each in value.items()}
    return [_sound(each) for each in value] if isinstance(value, (list, tuple)) else value


def notice_of(message: Message, app: str) -> Notice:
    """The notice of a message of the engine; long texts are cut."""
    rule, sent = message.rule, message.notification
    return Notice(
        key=message.key,
        kind=str(sent.kind),
        status=sent.status.name,
        app=app[:_LONGEST_LINE],
        rule=rule.name,
        series=message.series[:_LONGEST_LINE],
        title=message.title[:_LONGEST_LINE],
        detail=message.detail[:_LONGEST_TEXT],
        at=sent.at,
        since=message.since,
        value=message.value if message.value is not None and isfinite(message.value) else None,
        unit=rule.unit,
        warning=str(rule.warning) if rule.warning is not None else "",
        critical=str(rule.critical) if rule.critical is not None else "",
        severity=rule.severity,
        labels=dict(rule.labels),
        runbook=rule.runbook,
        author=sent.author[:_LONGEST_LINE],
        note=sent.note[:_LONGEST_TEXT],
        incident=message.incident,
    )


def trial(app: str, now: float) -> Notice:
    """A notice about nothing, to see whether notices arrive."""
    return Notice(
        key=f"test/{now}",
        kind="PROBLEM",
        status="WARNING",
        app=app[:_LONGEST_LINE],
        rule="test",
        series="",
        title="this is a test",
        detail="nothing is wrong; somebody tries whether notifications arrive",
        at=now,
        since=now,
    )


def notice_from(document: Mapping[str, Any]) -> Notice:
    """The notice of a stored document; keys of another version are left aside."""
    known = {name: document[name] for name in Notice.__slots__ if name in document}
    for name in ("lines", "values", "contributing", "deploys", "issues"):
        known[name] = tuple(known.get(name, ()))
    return Notice(**known)
