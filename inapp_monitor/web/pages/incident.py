"""`/incidents/<number>`: one incident with its whole story, in the order in which it happened.

Its troubles, deploys, rules that joined, issues that were new, notices, who acknowledged, traces.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from werkzeug.exceptions import NotFound

from inapp_monitor.alerts.incidents import Incident
from inapp_monitor.alerts.kept_states import KeptStates
from inapp_monitor.alerts.outbox import Outbox
from inapp_monitor.alerts.status import Status
from inapp_monitor.web.findings import alert_states, judged
from inapp_monitor.web.frame import templating
from inapp_monitor.web.frame.visit import Visit
from inapp_monitor.web.pages import alert_rule, traces

_TRACES, _ISSUES, _NOTICES = 5, 200, 200
#: What happened so long before is a part of the story, and is shown on the chart.
_BEFORE_S = 900
_SHORT_S = 60


def gather(visit: Visit, number: int) -> dict[str, Any]:
    """The incident's row, its chart, `events` in their order, and `traces` of its routes."""
    found = judged.incident(visit.backend, number)
    if found is None:
        raise NotFound("there is no such incident")
    around = _around(visit, found)
    chart = None
    rules = alert_states.judged(visit.backend).rules
    if found.main.rule in rules:
        chart, _ = alert_rule.chart_of(around, rules[found.main.rule], found.main.series)
    events = sorted(_events(around, found), key=lambda event: float(event["at"]))
    return {
        "incident": judged.incident_row(found, visit.view),
        "acknowledged_by": found.acknowledged_by,
        "chart": chart,
        "events": events,
        "traces": _traces(around, found),
        "from": around.view.start,
        "until": around.view.end,
    }


def _around(visit: Visit, incident: Incident) -> Visit:
    """The visit with the time from a quarter of an hour before the incident to shortly after."""
    now = visit.view.now
    start = int(incident.onset) - _BEFORE_S
    end = min(int(incident.ended or now) + _BEFORE_S // 3, now)
    view = replace(
        visit.view,
        start=start,
        end=max(end, start + _SHORT_S),
        from_text=str(start),
        until_text="" if incident.ended is None else str(end),
        compare="",
    )
    return Visit(visit.backend, visit.request, view)


def _events(around: Visit, incident: Incident) -> Iterable[dict[str, Any]]:
    """What happened: `at`, `what`, `state`, `text` and `path`."""
    backend, view = around.backend, around.view
    for deploy in incident.deploys:
        yield _event(deploy["timestamp"], "deploy", "", deploy["label"], "")
    for part in incident.parts:
        yield _event(part.onset, "began", part.state, f"{part.title}: {part.detail}", part.path)
        if part.ended is not None:
            yield _event(part.ended, "over", "ok", part.title, part.path)
    own = {(part.rule, part.series) for part in incident.parts}
    for turn in KeptStates(backend.database).transitions_between(view.start, view.end):
        if turn.hard and (turn.rule, turn.series) not in own:
            state = {"OK": "ok", "CRITICAL": "crit"}.get(Status(turn.status).name, "warn")
            text = f"{turn.rule}: {turn.detail or Status(turn.status).name}"
            yield _event(turn.moment, "rule", state, text, f"/alerts/{turn.rule}")
    for issue in backend.triage.list_issues(_ISSUES):
        if view.start <= issue.first_seen <= view.end:
            yield _event(issue.first_seen, "new issue", "warn", issue.title, f"/errors/{issue.id}")
    for row in Outbox(backend.database).rows(_NOTICES):
        if view.start <= row.notice.at <= view.end and row.sent:
            text = f"{row.notice.kind} to {row.channel}: {row.notice.title}"
            yield _event(row.notice.at, "sent", "", text, f"/alerts/{row.notice.rule}")
    if incident.acknowledged_at:
        text = incident.acknowledged_by
        yield _event(incident.acknowledged_at, "acknowledged", "", text, "")


def _event(at: float, what: str, state: str, text: str, path: str) -> dict[str, Any]:
    return {"at": at, "what": what, "state": state, "text": text, "path": path}


def _traces(around: Visit, incident: Incident) -> list[dict[str, Any]]:
    """Kept requests of its routes meanwhile, the slowest first; of all where it is the app's."""
    if around.backend.traces is None:
        return []
    slugs = {part.series.rpartition(".")[0] for part in incident.parts}
    rows = traces.rows_of(around)
    begun = incident.onset - _SHORT_S
    return [
        {key: row[key] for key in ("id", "method", "path", "route", "started", "ms", "status")}
        for row in rows
        if row["started"] >= begun and ("" in slugs or row["slug"] in slugs)
    ][:_TRACES]


ROUTES = templating.page(
    "/incidents/<int:number>", "/incidents/<int:number>.json", gather, "incident.html"
)
