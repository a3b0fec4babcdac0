"""`/errors`: the issues; `/errors/<id>`: one of them with its latest stack."""

from __future__ import annotations

from typing import Any

from werkzeug.exceptions import NotFound

from inapp_monitor.web.pages import issue_list, templating
from inapp_monitor.web.pages.records import as_dict
from inapp_monitor.web.pages.visit import Visit

_MOST = 200


def gather(visit: Visit) -> dict[str, Any]:
    """The list, newest first."""
    backend, _, view = visit
    issues = issue_list.newest(backend, _MOST)
    for issue in issues:
        issue["is_new"] = (issue.get("first_seen") or 0) >= view.start
    return {"issues": issues, "most": _MOST}


def gather_one(visit: Visit, issue_id: str) -> dict[str, Any]:
    """One issue with what the tracker keeps of it."""
    backend = visit.backend
    found = backend.tracker.get_issue(issue_id)
    if found is None:
        raise NotFound("there is no such issue; it may have been dropped as the oldest one")
    issue = as_dict(found)
    return {"issue": {**issue, "message": issue_list.message(issue)}}


ROUTES = [
    *templating.page("/errors", "/errors.json", gather, "errors.html"),
    *templating.page(
        "/errors/<name:issue_id>", "/errors/<name:issue_id>.json", gather_one, "error.html"
    ),
]
