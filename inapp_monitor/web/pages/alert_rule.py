"""`/alerts/<rule>`: one rule with the story of its states, and what people do with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from werkzeug.exceptions import BadRequest, Conflict, NotFound
from werkzeug.wrappers import Response

from inapp_monitor.alerts import kept_states, overview, requests
from inapp_monitor.alerts.kept_states import KeptStates
from inapp_monitor.alerts.page_rules import SOURCE, PageRules
from inapp_monitor.alerts.pictured import Pictured, pictured
from inapp_monitor.alerts.rule import Rule
from inapp_monitor.alerts.status import Status
from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.findings import alert_states
from inapp_monitor.web.frame import templating
from inapp_monitor.web.frame.request import MonitorRequest
from inapp_monitor.web.frame.routing import Route
from inapp_monitor.web.frame.visit import Visit
from inapp_monitor.web.pages import explore
from inapp_monitor.web.pages.issue_page import back_to

_TRANSITIONS, _SENT, _SERIES = 50, 20, 100


def gather(visit: Visit, name: str) -> dict[str, Any]:
    """The rule, its states, transitions, notices and chart."""
    backend = visit.backend
    found, now = alert_states.judged(backend), backend.now()
    rule = found.rules.get(name)
    if rule is None:
        raise NotFound("there is no such rule, or it has not been judged yet")
    (row,) = (row for row in overview.rule_rows(found, now) if row["name"] == name)
    chart, problem = chart_of(visit, rule)
    kept = KeptStates(backend.database)
    transitions = kept.transitions(name, limit=_TRANSITIONS)
    return {
        "rule": {**row, "series": row["series"][:_SERIES]},
        "series_count": len(row["series"]),
        "judged": found.at,
        "stale": found.is_stale(now),
        "chart": chart,
        "problem": problem,
        "transitions": [
            {**each._asdict(), "status": Status(each.status).name} for each in transitions
        ],
        "sent": alert_states.sent(backend, _SENT, name),
        "asked": [
            {"action": each.action.replace("_", " "), "series": each.series, "at": each.moment}
            for each in kept.requests(0)
            if each.rule == name
        ],
        "can_act": backend.may_act,
        **_made_here(backend, rule),
    }


def show(backend: Backend, request: MonitorRequest, name: str) -> Response:
    """The page, or with `.json` behind the name its data; names may have dots."""
    backend.refresh()
    as_json = request.wants_json
    if name.endswith(".json"):
        name, as_json = name[: -len(".json")], True
    view = templating.view_of(backend, request)
    data = gather(Visit(backend, request, view), name)
    if as_json:
        return templating.json_answer(data)
    return templating.html_answer(backend, request, "alert_rule.html", data, view)


def act(backend: Backend, request: MonitorRequest, name: str, action: str) -> Response:
    """Leave a request for the leader, which carries it out within a second or two."""
    if action not in _ACTIONS or name not in alert_states.judged(backend).rules:
        raise NotFound("there is no such rule or action")
    if not backend.may_act:
        raise NotFound("alerts cannot be changed here")
    author = request.access.user or "dashboard"
    now = backend.clock.wall()
    try:
        kind, document = _ACTIONS[action](request.form, author, now)
    except ValueError as error:
        raise BadRequest(str(error)) from None
    series = request.form.get("series", "*")[:500]
    if not KeptStates(backend.database).ask(name, series, kind, document, now):
        raise Conflict("it could not be written: see the status page")
    return back_to(request, f"/alerts/{name}")


def _made_here(backend: Backend, rule: Rule) -> dict[str, Any]:
    """Who made it on the page, and whether one made there waits behind one of a file or the app."""
    made = PageRules(backend.database).all().get(rule.name)
    return {
        "author": made.author if made else "",
        "made": made.moment if made else None,
        "waits": made is not None and rule.source != SOURCE,
        "may_change": rule.source in (SOURCE, "built-in"),
    }


Asked = tuple[str, dict[str, Any]]

_ACTIONS: dict[str, Callable[[Mapping[str, str], str, float], Asked]] = {
    "acknowledge": lambda form, by, now: (
        kept_states.ACKNOWLEDGE,
        requests.acknowledgement(form, by, now),
    ),
    "unacknowledge": lambda _form, _by, _now: (kept_states.UNACKNOWLEDGE, {}),
    "downtime": lambda form, by, now: (kept_states.DOWNTIME, requests.downtime(form, by, now)),
    "cancel-downtime": lambda form, _by, _now: (
        kept_states.CANCEL_DOWNTIME,
        {"id": form.get("id") or None},
    ),
}


def chart_of(visit: Visit, rule: Rule, series: str = "app") -> tuple[dict[str, Any] | None, str]:
    """The rule's series with the limits of its ranges as dashed lines."""
    shown = Pictured(rule.target, rule.whole, rule.unit)
    if rule.kind == "detector":
        shown = pictured(rule, series)
        if not shown.series:
            return None, ""
    target = f"asPercent({shown.series},{shown.whole})" if shown.whole else shown.series
    try:
        chart = explore.picture(visit, [target], "line")
    except QueryError as error:
        return None, str(error)
    if chart is None:
        return None, ""
    chart["title"] = shown.series + (f" in % of {shown.whole}" if shown.whole else "")
    if shown.unit == "ms" and not shown.whole:
        chart["unit"] = "ms"
    if not rule.before_s:
        chart["series"] += _limits(rule, chart)
    return chart, ""


def _limits(rule: Rule, chart: Mapping[str, Any]) -> list[dict[str, Any]]:
    start, end = chart["start"], chart["end"]
    lines = []
    for level, colour in (("warning", "warn"), ("critical", "crit")):
        found = getattr(rule, level)
        ends = () if found is None else (found.start, found.end)
        for limit in ends:
            if limit in (float("inf"), float("-inf")) or (limit == 0 and not found.inside):
                continue
            lines.append(
                {
                    "name": f"{level} {found}",
                    "start": start,
                    "step": max(end - start, 1),
                    "values": [float(limit)] * 2,
                    "shape": "ghost",
                    "colour": colour,
                }
            )
    return lines


ROUTES = [
    Route("/alerts/<string(maxlength=90):name>", show),
    Route(
        "/alerts/<string(maxlength=90):name>/<name:action>",
        act,
        methods=("POST",),
        changes_state=True,
    ),
]
