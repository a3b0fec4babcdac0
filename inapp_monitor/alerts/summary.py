"""Several notices as one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from inapp_monitor.alerts import words
from inapp_monitor.alerts.notice import Notice
from inapp_monitor.alerts.status import Status, worst
from inapp_monitor.ground.utc_text import utc_text

_MOST_LINES = 40


def summary(notices: Sequence[Notice]) -> Notice:
    """One notice of several, in their order.

    Its status is the worst of how their states stand now, and its key that of the last one.
    """
    latest = {(each.rule, each.series): each for each in notices}
    status = worst([Status[each.status] for each in latest.values()])
    rules = {each.rule for each in notices}
    lines = [
        f"{utc_text(each.at)[11:19]} {each.kind} {each.status}: {words.sentence(each)}"
        for each in notices
    ]
    if len(lines) > _MOST_LINES:
        left = len(lines) - _MOST_LINES
        lines = [f"({left} earlier ones are not shown)", *lines[-_MOST_LINES:]]
    open_ones = sum(each.status != "OK" for each in latest.values())
    about = f"{len(latest)} states" if len(latest) > 1 else words.sentence(notices[-1])[:120]
    return replace(
        notices[-1],
        kind="SUMMARY",
        status=status.name,
        rule=", ".join(sorted(rules))[:200],
        series="",
        title=f"{len(notices)} notifications about {about}",
        detail=f"{open_ones} of {len(latest)} are a problem now",
        value=None,
        lines=tuple(line[:400] for line in lines),
        severity="page" if any(each.severity == "page" for each in notices) else "ticket",
        links={name: url for name, url in notices[-1].links.items() if name == "overview"},
        values=(),
        runbook="",
    )
