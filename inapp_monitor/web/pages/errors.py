"""`/errors`: the issues; `/errors/<id>`: one with its latest stack, and what can be done."""

from __future__ import annotations

from typing import Any

from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from inapp_monitor.web.backend import Backend
from inapp_monitor.web.pages import issue_list, templating
from inapp_monitor.web.pages.links import address
from inapp_monitor.web.pages.records import as_dict
from inapp_monitor.web.pages.visit import Visit
from inapp_monitor.web.request import MonitorRequest
from inapp_monitor.web.routing import Route

_MOST = 200
_HOUR_S = 3_600
#: What can be done with an issue, by its status.
_ACTIONS = {
    "resolve": "Resolve",
    "mute": "Mute",
    "mute-day": "Mute for a day",
    "reopen": "Reopen",
}


def gather(visit: Visit) -> dict[str, Any]:
    """The list, newest first."""
    issues = issue_list.newest(visit.backend, _MOST)
    for issue in issues:
        issue["is_new"] = (issue.get("first_seen") or 0) >= visit.view.start
        issue["spark"] = _by_hour(issue.get("hours"), visit.backend.now())
    return {"issues": issues, "most": _MOST}


def gather_one(visit: Visit, issue_id: str) -> dict[str, Any]:
    """One issue with what the tracker keeps of it."""
    found = visit.backend.tracker.get_issue(issue_id)
    if found is None:
        raise NotFound("there is no such issue; it may have been dropped as the oldest one")
    issue = as_dict(found)
    settled = issue.get("status") in ("resolved", "muted")
    wanted = ["reopen"] if settled else ["resolve", "mute-day", "mute"]
    can_act = getattr(visit.backend.tracker, "board", None) is not None
    return {
        "issue": {**issue, "message": issue_list.message(issue)},
        "actions": [(name, _ACTIONS[name]) for name in wanted] if can_act else [],
    }


def act(backend: Backend, request: MonitorRequest, issue_id: str, action: str) -> Response:
    """Do one of the actions, then show the issue again."""
    if action not in _ACTIONS or backend.tracker.get_issue(issue_id) is None:
        raise NotFound("there is no such issue or action")
    board: Any = getattr(backend.tracker, "board", None)
    if board is None or not backend.live:
        raise NotFound("issues cannot be changed here")
    by = request.access.user
    match action:
        case "resolve":
            board.resolve(issue_id, by=by)
        case "mute":
            board.mute(issue_id, by=by)
        case "mute-day":
            board.mute(issue_id, for_s=24 * _HOUR_S, by=by)
        case _:
            board.reopen(issue_id, by=by)
    response = Response(status=303)
    response.autocorrect_location_header = False
    kept = [(name, value) for name, value in request.args.items(multi=True)]
    response.headers["Location"] = address(request.root, f"/errors/{issue_id}", kept)
    return response


def _by_hour(hours: Any, now: int) -> list[float]:
    """Occurrences of the last 24 hours, oldest first."""
    known = {int(hour): float(count) for hour, count in hours or ()}
    last = now // _HOUR_S * _HOUR_S
    return [known.get(last - back * _HOUR_S, 0.0) for back in range(23, -1, -1)] if known else []


ROUTES = [
    *templating.page("/errors", "/errors.json", gather, "errors.html"),
    *templating.page(
        "/errors/<name:issue_id>", "/errors/<name:issue_id>.json", gather_one, "error.html"
    ),
    Route("/errors/<name:issue_id>/<name:action>", act, methods=("POST",), changes_state=True),
]
