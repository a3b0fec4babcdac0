"""`/edit-alert`: make a rule, copy or change one; with what it would have found in the past week.

The form's fields are the page's whole state, so that a preview is an address. Saving needs a second
form with the CSRF token, which must not get into addresses. A rule of a file or of the app is
changed there; here it can be copied.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from werkzeug.exceptions import BadRequest, Conflict, NotFound
from werkzeug.wrappers import Response

from inapp_monitor.alerts import built_in
from inapp_monitor.alerts.page_rules import SOURCE, PageRules
from inapp_monitor.alerts.rule import Rule
from inapp_monitor.alerts.rule_tables import table_of, toml_of
from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.findings import alert_states, rule_preview
from inapp_monitor.web.frame import templating
from inapp_monitor.web.frame.request import MonitorRequest
from inapp_monitor.web.frame.routing import Route
from inapp_monitor.web.frame.visit import Visit
from inapp_monitor.web.pages import alert_rule
from inapp_monitor.web.pages.issue_page import back_to

#: Fields that are keys of a rule; all others go into `more`, as TOML.
FIELDS = (
    *("title", "target", "of", "warning", "critical", "recovery", "unit", "window", "attempts"),
    *("min_count", "no_data", "severity", "runbook", "notify"),
)
_LONGEST_MORE = 4_000


def gather(visit: Visit) -> dict[str, Any]:
    """The form with what was given or what a rule says, and the preview of that."""
    backend, request, _ = visit
    if not backend.may_act:
        raise NotFound("rules cannot be made here")
    known = alert_states.judged(backend).rules
    begun = request.args.get("copy", "") or request.args.get("change", "")
    given = {name: request.args.get(name, "") for name in ("name", "more", *FIELDS)}
    if begun:
        if begun not in known:
            raise NotFound("there is no such rule")
        given = _fields(known[begun])
        given["name"] = _free_name(begun, known) if request.args.get("copy") else begun
    data: dict[str, Any] = {
        "given": given,
        "problem": "",
        "preview": None,
        "chart": None,
        "toml": "",
        "replaces": "",
        "detector": given["name"] in built_in.DETECTOR_NAMES,
    }
    if not begun and not any(given.values()):
        return data
    try:
        table = table_from(given)
        rule = built_in.rule_of(given["name"], table, SOURCE)
    except ValueError as error:
        return {**data, "problem": str(error)}
    data["toml"] = toml_of(rule.name, table)
    data["replaces"] = _replaced(rule.name, known)
    if rule.kind == "query":
        data["chart"], data["problem"] = alert_rule.chart_of(_over_a_week(visit), rule)
        try:
            data["preview"] = rule_preview.preview(backend, rule)
        except QueryError as error:
            data["problem"] = str(error)
    return data


def _over_a_week(visit: Visit) -> Visit:
    """The visit with the week that the preview looks at, unless another window was asked for."""
    view = visit.view
    if not view.is_default:
        return visit
    week = replace(view, start=view.end - rule_preview.WEEK_S, from_text="-7d")
    return Visit(visit.backend, visit.request, week)


def save(backend: Backend, request: MonitorRequest) -> Response:
    """Keep a rule; the leader brings it into force within seconds."""
    if not backend.may_act:
        raise NotFound("rules cannot be made here")
    given = {name: request.form.get(name, "") for name in ("name", "more", *FIELDS)}
    kept, author = PageRules(backend.database), request.access.user or "dashboard"
    try:
        table, now = table_from(given), backend.clock.wall()
        rule = built_in.rule_of(given["name"], table, SOURCE)
        if rule.kind == "query":
            rule_preview.check(backend, rule)
        if _replaced(rule.name, alert_states.judged(backend).rules) not in ("", SOURCE, "built-in"):
            raise BadRequest("a rule of this name is written elsewhere: choose another name")
        written = kept.put(rule.name, table, author, now)
    except (ValueError, QueryError) as error:
        raise BadRequest(str(error)) from None
    if not written:
        raise Conflict("it could not be written: see the status page")
    return back_to(request, "/alerts")


def delete(backend: Backend, request: MonitorRequest) -> Response:
    """Forget a rule of the page; a built-in one that it replaced comes back."""
    name, kept = request.form.get("name", ""), PageRules(backend.database)
    if not backend.may_act or name not in kept.all():
        raise NotFound("there is no such rule of the page")
    if not kept.delete(name):
        raise Conflict("it could not be written: see the status page")
    return back_to(request, "/alerts")


def table_from(given: Mapping[str, str]) -> dict[str, object]:
    """The table of a form.

    Raises:
        ValueError: `more` is no TOML, or names a key that has a field.
    """
    table: dict[str, object] = {key: given[key].strip() for key in FIELDS if given[key].strip()}
    if "notify" in table:
        table["notify"] = table["notify"] != "no"
    if len(given["more"]) > _LONGEST_MORE:
        raise ValueError(f"more keys: at most {_LONGEST_MORE} characters")
    try:
        more = tomllib.loads(given["more"].replace("\r\n", "\n"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ValueError(f"more keys: {error}") from None
    twice = sorted(set(more) & set(FIELDS))
    if twice:
        raise ValueError(f"more keys: {twice[0]!r} has a field of its own")
    return {**table, **more}


def _fields(rule: Rule) -> dict[str, str]:
    table = table_of(rule)
    fields = {key: str(table.pop(key, "")) for key in FIELDS if key != "notify"}
    fields["notify"] = "" if table.pop("notify", True) else "no"
    more = toml_of("x", table).partition("\n")[2]
    return {"more": more, **fields}


def _replaced(name: str, known: Mapping[str, Rule]) -> str:
    return known[name].source if name in known else ""


def _free_name(name: str, known: Mapping[str, Rule]) -> str:
    for number in range(2, 1_000):
        free = f"{name[:70]}-{number}"
        if free not in known:
            return free
    return ""


ROUTES = [
    *templating.page("/edit-alert", "/edit-alert.json", gather, "edit_alert.html"),
    Route("/edit-alert", save, methods=("POST",), changes_state=True),
    Route("/edit-alert/delete", delete, methods=("POST",), changes_state=True),
]
