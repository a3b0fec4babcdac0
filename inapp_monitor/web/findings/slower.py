"""What made routes slower, among the verdicts: behind each slow route its cause, and a verdict of
its own for a route that is within its target and has become much slower for a reason that is known.
"""

from __future__ import annotations

from typing import Any, Final

from inapp_monitor.alerts.built_in import DETECTED
from inapp_monitor.ground.facts import Facts
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.findings import route_table
from inapp_monitor.web.findings.cause import Cause, cause_of
from inapp_monitor.web.frame.view import View
from inapp_monitor.web.human import shorten, value

#: Routes that are looked at, and shown.
_LOOKED, _SHOWN = 10, 5
#: A route that has no verdict gets one from so many times, and milliseconds a request, on.
_TIMES, _MS = 2.0, 20.0
#: A route is looked at from this `rise` on, see `route_table.rows`.
_RISE: Final = 1.5
_KEPT_S: Final = 2.0


def add_causes(backend: Backend, facts: Facts, view: View, verdicts: list[dict[str, Any]]) -> None:
    """Add the causes to the verdicts of a window, as `cause` and in words."""
    if backend.times is None:
        return
    shown = set()
    for entry in verdicts:
        slug = str(entry.get("path", "")).removeprefix("/routes/")
        is_bad = entry["state"] in ("warn", "crit")
        if is_bad and f"/routes/{slug}" == entry.get("path") and " slow" in entry["title"]:
            shown.add(slug)
            _add_cause(backend, entry, slug, view)
    if not view.is_live:
        return
    place = next(
        (n for n, entry in enumerate(verdicts) if entry["state"] not in ("crit", "warn")),
        len(verdicts),
    )
    verdicts[place:place] = _others(backend, facts, view, shown)


def _add_cause(backend: Backend, entry: dict[str, Any], slug: str, view: View) -> None:
    methods = route_table.names(backend).get(slug, [])
    causes = [cause_of(backend, slug, each, view.end, entry.get("since")) for each in methods]
    known = [each for each in causes if each is not None]
    if known:
        worst = max(known, key=lambda each: each.now_ms - each.before_ms)
        entry["cause"] = worst.as_json()
        entry["detail"] = f"{worst.text} · {entry['detail']}"


def _others(backend: Backend, facts: Facts, view: View, shown: set[str]) -> list[dict[str, Any]]:
    kept = backend.incidents(view.start, view.end) if backend.incidents is not None else []
    slow = DETECTED["slow"].name  # those of errors say nothing about times
    parts = [part for each in kept for part in each.parts if part.rule == slow]
    # What goes on may be no more than "2 more" behind the worst: its cause is named here.
    going_on = {part.series for part in parts if part.ended is None}
    over = {part.series.rpartition(".")[0] for part in parts if part.series not in going_on}
    rows = [
        row
        for row in route_table.rows(backend, facts, view)
        if row["slug"] not in shown | over
        and row["count"] >= route_table.ENOUGH
        and row["rise"] >= _RISE
    ]
    found: list[tuple[float, dict[str, Any]]] = []
    for row in rows[:_LOOKED]:
        cause = _cause(backend, row["slug"], row["method"], view)
        if cause is not None and cause.since >= view.start:
            cost = (cause.now_mean_ms - cause.before_mean_ms) * row["per_min"]
            found.append((cost, _verdict(row, cause)))
    found.sort(key=lambda each: -each[0])
    return [entry for _, entry in found[:_SHOWN]]


def _cause(backend: Backend, slug: str, method: str, view: View) -> Cause | None:
    """One that is worth a verdict: much slower, and by something that has a name."""

    def find() -> Cause | None:
        return cause_of(backend, slug, method, view.end)

    cause: Cause | None = backend.cache.get(("cause", slug, method), find, _KEPT_S)
    if cause is None or cause.kind == "rest":
        return None
    grown = cause.now_mean_ms - cause.before_mean_ms
    is_much = grown >= _MS and cause.now_mean_ms >= _TIMES * cause.before_mean_ms
    return cause if is_much else None


def _verdict(row: dict[str, Any], cause: Cause) -> dict[str, Any]:
    before, now = value(cause.before_mean_ms, "ms"), value(cause.now_mean_ms, "ms")
    since = f" · {cause.deploy_words}" if cause.deploy_words else ""
    return {
        "state": "warn",
        "title": f"Slower: {row['method']} {shorten(row['route'], 40)}",
        "detail": f"{cause.text} · all of it {before} → {now}{since}",
        "path": f"/routes/{row['slug']}",
        "link": "route",
        "since": cause.since,
        "until": None,
        "share": 0.0,
        "cause": cause.as_json(),
    }
