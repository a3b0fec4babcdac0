"""`/errors`: the issues, filtered and sorted, and what can be done with several at once.

One issue is in `issue_page`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.wrappers import Response

from inapp_monitor.issues.foreign_event import FILTERED
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.findings import issue_list
from inapp_monitor.web.frame import templating
from inapp_monitor.web.frame.records import as_dict
from inapp_monitor.web.frame.request import MonitorRequest
from inapp_monitor.web.frame.routing import Route
from inapp_monitor.web.frame.visit import Visit
from inapp_monitor.web.pages import issue_page

if TYPE_CHECKING:
    from inapp_monitor.issues.triage import Triage

_MOST = 200
_HOUR_S = 3_600
#: Values of `status` and how the page calls them.
_STATUSES = {
    "": "all",
    "unresolved": "unresolved",
    "regressed": "regressed",
    "resolved": "resolved",
    "muted": "muted",
}
#: Values of `sort` and how the page calls them.
_SORTS = {
    "last_seen": "last seen",
    "first_seen": "first seen",
    "count": "most often",
    "users": "most users",
}
#: Parameters of the list, all optional.
_FILTERS = ("status", "release", "route", "text", "sort", *FILTERED)
#: What can be done with the chosen issues: (triage, issue, who) for each of them, or a merge.
_EACH: dict[str, Callable[[Triage, str, str], None]] = {
    "resolve": lambda triage, issue, by: triage.resolve(issue, by=by),
    "mute": lambda triage, issue, by: triage.mute(issue, by=by),
    "reopen": lambda triage, issue, by: triage.reopen(issue, by=by),
}
_MERGE = "merge"
_LABELS = {"resolve": "Resolve", "mute": "Mute", "reopen": "Reopen", _MERGE: "Merge"}


def gather(visit: Visit) -> dict[str, Any]:
    """The list: `status`, `release`, `route`, `text`, `platform`, `project` and `browser` choose,
    `sort` orders."""
    backend, request, view = visit
    wanted = {name: request.args.get(name, "")[:200] for name in _FILTERS}
    if wanted["status"] not in _STATUSES or wanted["sort"] not in {"", *_SORTS}:
        raise BadRequest(
            f"status must be one of {', '.join(filter(None, _STATUSES))}, "
            f"sort one of {', '.join(_SORTS)}"
        )
    given = {name: value for name, value in wanted.items() if value}
    issues = _chosen(backend, wanted) if given else issue_list.newest(backend, _MOST)
    for issue in issues:
        for name in FILTERED:
            if not issue.get(name, True):
                del issue[name]
        issue["is_new"] = (issue.get("first_seen") or 0) >= view.start
        issue["route"] = str(issue.get("route") or "").encode("utf-8", "replace").decode()
        issue["spark"] = _by_hour(issue.get("hours"), backend.now())
    origins = backend.triage.values_of_tags(FILTERED)
    return {
        "issues": issues,
        "most": _MOST,
        "wanted": wanted,
        "filtered": bool(set(given) - {"sort"}),
        "statuses": _STATUSES,
        "sorts": _SORTS,
        "releases": backend.triage.releases()[:50],
        "actions": _LABELS if backend.may_act else {},
        **({"origins": origins} if origins else {}),
    }


def _chosen(backend: Backend, wanted: dict[str, str]) -> list[dict[str, Any]]:
    """The issues that match, in the order asked for."""
    found = backend.triage.list_issues(
        _MOST,
        status=wanted["status"],
        release=wanted["release"],
        route=wanted["route"],
        text=wanted["text"],
        tags={name: wanted[name] for name in FILTERED if wanted[name]},
        sort=wanted["sort"] or "last_seen",
    )
    issues = [as_dict(issue) for issue in found]
    for issue in issues:
        issue["message"] = issue_list.message(issue)
    return issues


def act_on_several(backend: Backend, request: MonitorRequest) -> Response:
    """Do one thing with all chosen issues, then show the list again."""
    action = request.form.get("action", "")
    if not backend.may_act or action not in _LABELS:
        raise NotFound("there is no such action here")
    triage, by = backend.triage, request.access.user
    chosen = map(triage.get_issue, request.form.getlist("issue")[:_MOST])  # one at a time: large
    found = [issue.summary for issue in chosen if issue is not None]
    if action == _MERGE:
        ids = [i.id for i in sorted(found, key=lambda issue: (issue.first_seen, issue.id))]
        if len(ids) > 1:
            triage.merge(ids, into=ids[0], by=by)
    else:
        for issue in found:
            _EACH[action](triage, issue.id, by)
    return issue_page.back_to(request, "/errors")


def _by_hour(hours: Any, now: int) -> list[float]:
    """Occurrences of the last 24 hours, oldest first."""
    known = {int(hour): float(count) for hour, count in hours or ()}
    last = now // _HOUR_S * _HOUR_S
    return [known.get(last - back * _HOUR_S, 0.0) for back in range(23, -1, -1)] if known else []


ROUTES = [
    *templating.page("/errors", "/errors.json", gather, "errors.html"),
    Route("/errors", act_on_several, methods=("POST",), changes_state=True),
    *issue_page.ROUTES,
]
