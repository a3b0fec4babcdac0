"""The first lines of the overview: what is wrong, since when, and where the evidence is.

Requests are judged by the judge, who also sends messages; the other rules look at one thing each.
Each returns one verdict, good ones too, so that silence never has to be interpreted. Worst first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inapp_monitor.alerts.shown_numbers import times
from inapp_monitor.ground.facts import Facts
from inapp_monitor.web import human
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.findings import (
    capacity,
    described,
    doors,
    judged,
    missing,
    own_health,
    repeated_statements,
)
from inapp_monitor.web.findings.judged import Wrong
from inapp_monitor.web.findings.traffic import Traffic
from inapp_monitor.web.frame.columns import Sums

_ORDER = {"crit": 0, "warn": 1, "unknown": 2, "ok": 3}
#: As ever: without an incident in the window, these say that it is no good app.
_APDEX_WARN, _ERRORS_WARN, _ENOUGH = 0.85, 1.0, 20
#: An issue that was not seen for so long does not go on.
_GOES_ON_S = 60.0
_LINKS = {
    "slow": "route",
    "fail": "route",
    "hang": "under way",
    "stop": "routes",
    "broken links": "broken links",
    "not found": "404s",
    "rule": "rule",
}
#: Problems of rules that have a verdict each.
_RULES = 5


def verdict(state: str, title: str, detail: str, path: str, link: str) -> dict[str, Any]:
    """One line: `ok`, `warn`, `crit` or `unknown`; what; why; where the evidence is."""
    return {"state": state, "title": title, "detail": detail, "path": path, "link": link}


def collect(
    backend: Backend,
    facts: Facts,
    traffic: Traffic,
    issues: Sequence[dict[str, Any]],
    not_found: Sequence[dict[str, Any]],
    not_found_counts: Sums | None,
    own: dict[str, Any],
) -> list[dict[str, Any]]:
    """All verdicts of a window, the worst first."""
    found = judged.findings(backend, facts, traffic.view)
    by_kind: dict[str, list[Wrong]] = {}
    for wrong in found:
        by_kind.setdefault(wrong.kind, []).append(wrong)
    calm = not found and not judged.incidents(backend, traffic.view)
    made = [
        _bad(by_kind["slow"]) if "slow" in by_kind else _latency(backend, traffic, calm=calm),
        _bad(by_kind["fail"]) if "fail" in by_kind else _errors(traffic, calm=calm),
        *(_bad(by_kind[kind]) for kind in ("hang", "stop") if kind in by_kind),
        *_of_rules(by_kind.get("rule", [])),
        _new_issues(traffic, issues, explaining="fail" in by_kind),
        *_regressed(issues),
        _not_found(traffic, by_kind, not_found, not_found_counts),
        *_statements(backend, facts, traffic),
        *capacity.collect(backend, facts, traffic.view),
        own_health.disk(own),
        own_health.monitor(backend, facts, own),
    ]
    further = (doors.verdict(facts, backend.now()), described.verdict(backend))
    made += [each for each in further if each is not None]
    return sorted(made, key=lambda entry: _ORDER[entry["state"]])


def _bad(found: Sequence[Wrong]) -> dict[str, Any]:
    """The worst of one kind, and how many more there are."""
    worst = found[0]
    detail = worst.detail
    if len(found) > 1:
        detail += f" · {len(found) - 1} more"
    made = verdict(worst.state, worst.title, detail, worst.path, _LINKS[worst.kind])
    return {**made, "since": worst.since, "until": worst.until, "share": worst.share}


def _of_rules(found: Sequence[Wrong]) -> list[dict[str, Any]]:
    """A verdict for each problem of a rule; the last one counts those that have none."""
    return [_bad([each]) for each in found[: _RULES - 1]] + (
        [_bad(found[_RULES - 1 :])] if len(found) >= _RULES else []
    )


def _latency(backend: Backend, traffic: Traffic, *, calm: bool) -> dict[str, Any]:
    target_ms = backend.loaded.settings.apdex_target_s * 1_000
    if not traffic.count:
        return verdict("unknown", "Latency", "no requests in this period", "/routes", "routes")
    totals = traffic.totals(target_ms)
    apdex, target = totals["apdex"], human.value(target_ms, "ms")
    text = f"p95 {human.value(totals['p95'], 'ms')}, apdex {apdex:.2f} for target {target}"
    if calm and apdex < _APDEX_WARN and traffic.count >= _ENOUGH:
        return verdict("warn", "Latency: no slower than usual", text, "/routes", "routes")
    return verdict("ok", "Latency", text, "/routes", "routes")


def _errors(traffic: Traffic, *, calm: bool) -> dict[str, Any]:
    count, failed = traffic.count, traffic.error_count
    if not count:
        return verdict("unknown", "Errors", "no requests in this period", "/errors", "errors")
    rate = 100 * min(failed / count, 1.0)
    share = human.value(rate, "percent") if failed else "none"
    text = f"{share} of {human.count(count)} requests failed"
    if calm and rate >= _ERRORS_WARN and count >= _ENOUGH:
        return verdict("warn", "Errors: no more than usual", text, "/errors", "errors")
    return verdict("ok", "Errors", text, "/errors", "errors")


def _new_issues(
    traffic: Traffic, issues: Sequence[dict[str, Any]], *, explaining: bool
) -> dict[str, Any]:
    """Issues first seen in the window. Where they explain a route that is said to fail, they are a
    warning: how bad that is, the route's verdict says, and no route's trouble stands behind them.
    """
    view = traffic.view
    open_ = [issue for issue in issues if not _is_silent(issue)]
    new = [issue for issue in open_ if view.start <= (issue.get("first_seen") or 0) <= view.end]
    if not new:
        text = f"{human.count(len(open_))} known, none new" if open_ else "no exception so far"
        return verdict("ok", "Issues", text, "/errors", "errors")
    worst = max(new, key=lambda issue: issue.get("count") or 0)
    count = worst.get("count") or 0
    title = "1 new issue" if len(new) == 1 else f"{len(new)} new issues"
    where = f" · {worst['culprit']}" if worst.get("culprit") else ""
    detail = f"{worst.get('type', '')}: {human.shorten(worst['message'], 80)}{where}"
    goes_on = view.end - float(worst.get("last_seen") or 0) < _GOES_ON_S
    state = "crit" if count >= 10 and goes_on and not explaining else "warn"
    path = f"/errors/{worst['id']}"
    return verdict(state, f"{title}, {times(count)}", detail, path, "open issue")


def _is_silent(issue: dict[str, Any]) -> bool:
    return issue.get("status") in ("resolved", "muted")


def _regressed(issues: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Issues that were resolved and have come back: a verdict of their own."""
    back = [issue for issue in issues if issue.get("status") == "regressed"]
    if not back:
        return []
    latest = max(back, key=lambda issue: issue.get("last_seen") or 0)
    title = "1 issue is back" if len(back) == 1 else f"{len(back)} issues are back"
    detail = f"{latest.get('type', '')}: {human.shorten(latest['message'], 80)}, was resolved"
    return [verdict("warn", title, detail, f"/errors/{latest['id']}", "open issue")]


def _not_found(
    traffic: Traffic,
    by_kind: dict[str, list[Wrong]],
    rows: Sequence[dict[str, Any]],
    counts: Sums | None,
) -> dict[str, Any]:
    found = by_kind.get("broken links") or by_kind.get("not found")
    if found:
        return _surge(found, rows)
    if counts is None or not counts.total:
        return verdict("ok", "Not found", "no 404 in this period", "/not-found", "404s")
    detail = f"{human.count(counts.total)} in this period"
    top = missing.busiest(rows, traffic.view.start)
    if top:
        detail += f", most: {human.shorten(top[0]['path'], 60)}"
    return verdict("ok", "Not found", detail, "/not-found", "404s")


def _surge(found: Sequence[Wrong], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """More 404s than usual: whose links they follow; addresses that only scanners want are ok."""
    made = _bad(found)
    top = missing.busiest(rows, found[0].since - 1)
    if top and found[0].kind == "not found" and top[0].get("guess") == "scanner":
        detail = f"scanners ask for {human.shorten(top[0]['path'], 60)}; {made['detail']}"
        return {**made, "state": "ok", "title": "Not found", "detail": detail}
    if top:
        made["detail"] = f"{human.shorten(top[0]['path'], 60)}: {made['detail']}"
    return made


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
