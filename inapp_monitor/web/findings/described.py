"""What series are, and whether they are in the range that their collector has named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inapp_monitor.alerts import described_ranges
from inapp_monitor.alerts.status import Status
from inapp_monitor.database.series_descriptions import SeriesDescriptions
from inapp_monitor.ground.series_description import Description, Limits
from inapp_monitor.web import human
from inapp_monitor.web.backend import Backend

#: Series whose ranges are judged.
_JUDGED = 500
#: A value that is older says nothing about now.
_RECENT_S = 900
_STATES = {Status.OK: "ok", Status.WARNING: "warn", Status.CRITICAL: "crit"}


def of(backend: Backend, paths: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What is known of some series, for a page: by path."""
    found = SeriesDescriptions(backend.database).of(paths)
    return {path: _row(said) for path, said in found.items()}


def state_of(said: Description, value: float | None) -> str:
    """`ok`, `warn` or `crit`; "" where there is no range or no value."""
    status = described_ranges.status_of(said, value)
    return "" if status is None else _STATES[status]


def verdict(backend: Backend) -> dict[str, Any] | None:
    """Whether all series are in their ranges; None where none has one."""
    now = backend.now()
    described = SeriesDescriptions(backend.database).with_limits(now, _JUDGED)
    if not described:
        return None
    outside: list[tuple[str, str, float]] = []
    judged = 0
    for path, said in described.items():
        value = _latest(backend, path, now)
        state = state_of(said, value)
        judged += bool(state)
        if value is not None and state in ("warn", "crit"):
            outside.append((state, path, value))
    if not outside:
        if not judged:
            return None
        detail = f"{judged} series are in the ranges that their collectors name"
        return _verdict("ok", "Ranges", detail, "")
    state, path, value = min(outside)  # "crit" is before "warn"
    said = described[path]
    limits = said.critical if state == "crit" else said.warning
    name = human.shorten(said.label or path, 40)
    detail = f"{human.plain(value)} {said.unit}".strip() + f", should be {words(limits)}"
    if said.title:
        detail += f" · {human.shorten(said.title, 60)}"
    if len(outside) > 1:
        detail += f" · {len(outside) - 1} more"
    return _verdict(state, f"Out of range: {name}", detail, path)


def words(limits: Limits | None) -> str:
    """A range for people: `at most 100`, `50 to 200`."""
    return described_ranges.words(limits, human.plain)


def _row(said: Description) -> dict[str, Any]:
    limits = [
        f"{name} unless {words(limits)}"
        for name, limits in (("warning", said.warning), ("critical", said.critical))
        if limits is not None
    ]
    parts = dict.fromkeys((said.title, said.label, said.unit, *limits))  # each text once
    return {**said._asdict(), "line": " · ".join(part for part in parts if part)}


def _latest(backend: Backend, path: str, now: int) -> float | None:
    for found in backend.store.fetch([path], now - _RECENT_S, now + 60, now):
        known = [value for value in found.values if value == value]
        if known:
            return float(known[-1])
    return None


def _verdict(state: str, title: str, detail: str, path: str) -> dict[str, Any]:
    entry = {"state": state, "title": title, "detail": detail, "path": "/explore"}
    return {**entry, "link": "explore", "query": {"target": path} if path else {}}
