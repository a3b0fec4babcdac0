"""`/acknowledge/<text>`: the link of a message, which acknowledges one problem without a login.

Mail programs and chats visit links by themselves: looking changes nothing, the button does. The
page shows no more than the message did.
"""

from __future__ import annotations

from typing import Any

from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from inapp_monitor.alerts import ack_link, kept_states, requests
from inapp_monitor.alerts.ack_link import Problem
from inapp_monitor.alerts.kept_states import Kept, KeptStates, Request
from inapp_monitor.alerts.status import Status
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame import templating
from inapp_monitor.web.frame.request import MonitorRequest
from inapp_monitor.web.frame.routing import Route


def answer(backend: Backend, request: MonitorRequest, text: str) -> Response:
    """Show the problem with its button, or (POST) acknowledge it."""
    problem = _problem(backend, text)
    if problem is None:
        raise NotFound("this link is not good any more; the problem is on the dashboard")
    states = KeptStates(backend.database)
    kept = states.all().get((problem.rule, problem.series))
    state = _standing(problem, kept)
    if state == "open" and any(_is_asked(problem, each) for each in states.requests(0)):
        state = "acknowledged"
    if request.method == "POST" and state == "open":
        state = "acknowledged" if _acknowledge(backend, problem) else "refused"
    return _page(backend, request, problem, kept, state)


def _problem(backend: Backend, text: str) -> Problem | None:
    if backend.loaded.settings.read_only or not backend.live:
        return None
    try:
        key = ack_link.key_of(backend.loaded.settings.data_dir)
    except OSError as error:
        backend.guard.failed("key of links", error)
        return None
    return ack_link.read(key, text, backend.clock.wall())


def _standing(problem: Problem, kept: Kept | None) -> str:
    """`open`, `acknowledged` or `over`: the link is good for one problem, once."""
    if kept is None or kept.state.status == Status.OK:
        return "over"
    if int(kept.state.problem_since or 0) != problem.since:
        return "over"
    return "acknowledged" if kept.state.acknowledged else "open"


def _is_asked(problem: Problem, request: Request) -> bool:
    """Whether somebody has asked for it just now, and it is not carried out yet."""
    same = (request.rule, request.series) == (problem.rule, problem.series)
    return same and request.action == kept_states.ACKNOWLEDGE


def _acknowledge(backend: Backend, problem: Problem) -> bool:
    now = backend.clock.wall()
    given = {"note": "by the link of a message"}
    document = requests.acknowledgement(given, "link", now)
    asked = (problem.rule, problem.series, kept_states.ACKNOWLEDGE, document, now)
    return KeptStates(backend.database).ask(*asked)


def _page(
    backend: Backend, request: MonitorRequest, problem: Problem, kept: Kept | None, state: str
) -> Response:
    data: dict[str, Any] = {
        "rule": problem.rule,
        "series": problem.series,
        "since": problem.since,
        "detail": kept.detail if kept is not None else "",
        "state": state,
    }
    if request.wants_json:
        return templating.json_answer(data)
    return templating.html_answer(backend, request, "acknowledge.html", data)


ROUTES = [
    Route(
        "/acknowledge/<string(maxlength=2000):text>",
        answer,
        methods=("GET", "POST"),
        admits_itself=True,
    )
]
