"""The first lines of the overview: what is wrong, since when, and where the evidence is.

Each rule looks at one thing and returns one verdict, good ones too, so that silence never has to be
interpreted. Worst first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from inapp_monitor.ground.facts import Facts
from inapp_monitor.web import human
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.findings import (
    capacity,
    deploys,
    described,
    doors,
    missing,
    own_health,
    repeated_statements,
    route_table,
)
from inapp_monitor.web.findings.onset import onset
from inapp_monitor.web.findings.traffic import Traffic
from inapp_monitor.web.frame import columns

_ORDER = {"crit": 0, "warn": 1, "unknown": 2, "ok": 3}
_APDEX_WARN, _APDEX_CRIT = 0.85, 0.7
_ERRORS_WARN, _ERRORS_CRIT = 1.0, 5.0
#: Fewer 404s than this are no surge.
_SURGE_LEAST = 20
_COLUMNS = 60


def verdict(state: str, title: str, detail: str, path: str, link: str) -> dict[str, Any]:
    """One line: `ok`, `warn`, `crit` or `unknown`; what; why; where the evidence is."""
    return {"state": state, "title": title, "detail": detail, "path": path, "link": link}


def collect(
    backend: Backend,
    facts: Facts,
    traffic: Traffic,
    rows: Sequence[dict[str, Any]],
    issues: Sequence[dict[str, Any]],
    not_found: Sequence[dict[str, Any]],
    not_found_counts: Any,
    own: dict[str, Any],
) -> list[dict[str, Any]]:
    """All verdicts of a window, the worst first."""
    made = [
        _latency(backend, traffic, rows),
        _errors(backend, traffic, rows),
        _new_issues(traffic, issues),
        _not_found(backend, traffic, not_found, not_found_counts),
        *_statements(backend, facts, traffic),
        *capacity.collect(backend, facts, traffic.view),
        own_health.disk(own),
        own_health.monitor(backend, facts, own),
    ]
    further = (doors.verdict(facts, backend.now()), described.verdict(backend))
    made += [each for each in further if each is not None]
    return sorted(made, key=lambda entry: _ORDER[entry["state"]])


def _latency(backend: Backend, traffic: Traffic, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    target_ms = backend.loaded.settings.apdex_target_s * 1_000
    totals = traffic.totals(target_ms)
    if not traffic.count:
        return verdict("unknown", "Latency", "no requests in this period", "/routes", "routes")
    target = human.value(target_ms, "ms")
    apdex = totals["apdex"]
    slow = [
        row
        for row in rows
        if row["recent_count"] >= route_table.ENOUGH and row["recent_apdex"] < _APDEX_WARN
    ]
    overall = f"p95 {human.value(totals['p95'], 'ms')}, apdex {apdex:.2f} for target {target}"
    if not slow:
        state = "ok" if apdex >= _APDEX_WARN else "warn"
        return verdict(state, "Latency", overall, "/routes", "routes")
    # Most people disappointed, rather than the slowest of all, which may be a nightly report.
    worst = max(slow, key=lambda row: (1 - row["recent_apdex"]) * row["recent_count"])
    since = slow_since(worst, target_ms)
    lasts, cause = _since(backend, traffic, since)
    detail = f"p95 {human.value(worst['recent_p95'], 'ms')}{lasts}, target {target}{cause}"
    if len(slow) > 1:
        detail += f" · {len(slow) - 1} more slow"
    name = human.shorten(worst["route"], 40)
    state = "crit" if worst["recent_apdex"] < _APDEX_CRIT else "warn"
    return verdict(state, f"Latency: {name} is slow", detail, f"/routes/{worst['slug']}", "route")


def slow_since(row: dict[str, Any], target_ms: float) -> float | None:
    """When the route's p95 rose above the target for good, or None when it was so all along.

    One fast column at the end is passed over: it has just begun and may have few requests.
    """
    values = np.array(row["spark"], dtype=float)
    known = np.flatnonzero(np.isfinite(values))
    is_fast = values[known] <= target_ms
    if len(known) > 1 and not is_fast[-2]:
        is_fast[-1] = False
    fast = np.flatnonzero(is_fast)
    if not fast.size or fast[-1] == len(known) - 1:
        return None
    return float(row["spark_start"] + row["spark_step"] * int(known[fast[-1] + 1]))


def _since(backend: Backend, traffic: Traffic, since: float | None) -> tuple[str, str]:
    """` for 8 min` and ` · since deploy 2.4.1`, as far as they are known."""
    view = traffic.view
    if since is None:
        return "", ""
    slack = max(view.span / 20, 120)
    marks = deploys.between(backend, since - slack, since + slack)
    cause = f" · since deploy {marks[-1]['label']}" if marks else ""
    return f" for {human.seconds(view.end - since)}", cause


def _errors(backend: Backend, traffic: Traffic, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    count, failed = traffic.count, traffic.error_count
    if not count:
        return verdict("unknown", "Errors", "no requests in this period", "/errors", "errors")
    rate = 100 * min(failed / count, 1.0)
    share = human.value(rate, "percent") if failed else "none"
    text = f"{share} of {human.count(count)} requests failed"
    failing = [
        row
        for row in rows
        if row["recent_count"] >= route_table.ENOUGH and _recent_rate(row) >= _ERRORS_WARN
    ]
    if not failing:
        state = "warn" if rate >= _ERRORS_WARN else "ok"
        return verdict(state, "Errors", text, "/errors", "errors")
    worst = max(failing, key=lambda row: row["recent_errors"])
    name = human.shorten(worst["route"], 40)
    share = human.value(_recent_rate(worst), "percent")
    state = "crit" if max(_recent_rate(worst), rate) >= _ERRORS_CRIT else "warn"
    since = _failing_since(backend, traffic, worst)
    detail = f"{share} of its requests{''.join(_since(backend, traffic, since))}"
    if len(failing) > 1:
        detail += f" · {len(failing) - 1} more fail"
    path = f"/routes/{worst['slug']}"
    return verdict(state, f"Errors: {name} fails", detail, path, "route")


def _failing_since(backend: Backend, traffic: Traffic, row: dict[str, Any]) -> float | None:
    """When a route's errors rose to what they are now, or None when they were so all along."""
    path = f"routes.{row['slug']}.{row['method']}.errors"
    view = traffic.view
    counts = columns.sums(backend, [path], view.start, view.end, _COLUMNS).get(path)
    found = None if counts is None else onset(counts.values)
    if counts is None or found is None:
        return None
    begin = float(counts.start + counts.step * found.column)
    return begin if traffic.was_watched_before(begin) else None


def _recent_rate(row: dict[str, Any]) -> float:
    return min(100 * float(row["recent_errors"]) / float(row["recent_count"]), 100.0)


def _new_issues(traffic: Traffic, issues: Sequence[dict[str, Any]]) -> dict[str, Any]:
    view = traffic.view
    new = [issue for issue in issues if view.start <= (issue.get("first_seen") or 0) <= view.end]
    open_ = [issue for issue in issues if issue.get("status") not in ("resolved", "ignored")]
    if not new:
        text = f"{human.count(len(open_))} known, none new" if open_ else "no exception so far"
        return verdict("ok", "Issues", text, "/errors", "errors")
    worst = max(new, key=lambda issue: issue.get("count") or 0)
    count = worst.get("count") or 0
    title = "1 new issue" if len(new) == 1 else f"{len(new)} new issues"
    times = "once" if count == 1 else f"{human.count(count)} times"
    where = f" · {worst['culprit']}" if worst.get("culprit") else ""
    detail = f"{worst.get('type', '')}: {human.shorten(worst['message'], 80)}{where}"
    state = "crit" if count >= 10 else "warn"
    path = f"/errors/{worst['id']}"
    return verdict(state, f"{title}, {times}", detail, path, "open issue")


def _not_found(
    backend: Backend, traffic: Traffic, rows: Sequence[dict[str, Any]], counts: Any
) -> dict[str, Any]:
    if counts is None or not counts.total:
        return verdict("ok", "Not found", "no 404 in this period", "/not-found", "404s")
    detail = f"{human.count(counts.total)} in this period"
    found = onset(counts.values)
    begin = counts.start + counts.step * found.column if found else 0
    if found is None or found.total < _SURGE_LEAST or not traffic.was_watched_before(begin):
        top = missing.busiest(rows, traffic.view.start)
        if top:
            detail += f", most: {human.shorten(top[0]['path'], 60)}"
        return verdict("ok", "Not found", detail, "/not-found", "404s")
    times = f"{human.plain(round(found.times, 1))} × the usual" if found.times else "a surge"
    when = "".join(_since(backend, traffic, begin))
    top = missing.busiest(rows, begin)
    if not top:
        return verdict("warn", f"404s: {times}", f"{detail}, more{when}", "/not-found", "404s")
    detail = human.shorten(top[0]["path"], 60)
    if top[0].get("own_referer"):
        detail += f" from your own pages{when}"
        return verdict("warn", f"404s: {times}", detail, "/not-found", "broken links")
    return verdict("warn", f"404s: {times}", f"{detail}{when}", "/not-found", "404s")


def _statements(backend: Backend, facts: Facts, traffic: Traffic) -> list[dict[str, Any]]:
    """What costs a route a tenth of its time because it repeats; nothing where nothing does."""
    view = traffic.view
    found = repeated_statements.costly(backend, facts, max(view.start, view.end - 900), view.now)
    if not found:
        return []
    worst = max(found, key=lambda each: each["cost"] * each["requests"] * each["request_ms"])
    title = f"{worst['kind']}: {human.shorten(worst['route'], 40)}"
    shape = human.shorten(worst["shape"], 60)
    detail = f"{shape} {repeated_statements.sentence(worst)}"
    if len(found) > 1:
        detail += f" · {len(found) - 1} more"
    return [verdict("warn", title, detail, f"/routes/{worst['slug']}", "route")]
