"""`/errors/<id>`: one issue with one of its events, and what people do with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.wrappers import Response

from inapp_monitor.issues import as_text
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.findings import issue_list, same_trace
from inapp_monitor.web.findings.editor_link import editor_link
from inapp_monitor.web.findings.frame_runs import runs_of
from inapp_monitor.web.frame import drawing, templating
from inapp_monitor.web.frame.links import address
from inapp_monitor.web.frame.records import as_dict
from inapp_monitor.web.frame.request import MonitorRequest
from inapp_monitor.web.frame.routing import Route
from inapp_monitor.web.frame.visit import Visit

if TYPE_CHECKING:
    from inapp_monitor.issues.triage import Triage

_HOUR_S, _DAY_S = 3_600, 86_400
#: Issues younger than this are drawn by the hour, others by the day.
_HOURLY_S = 7 * _DAY_S
_LONGEST_S = 90 * _DAY_S
#: Buttons without a field, by the issue's state.
_WHEN_OPEN = (("resolve", "Resolve"), ("mute-day", "Mute for a day"), ("mute", "Mute"))
_WHEN_SETTLED = (("reopen", "Reopen"),)
#: Media types of an event as a file.
_FORMS: dict[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    "txt": ("text/plain", as_text.event_text),
    "md": ("text/markdown", as_text.event_markdown),
}


def gather(visit: Visit, issue_id: str) -> dict[str, Any]:
    """The issue, and of its events the one that `event` numbers from 1; default: the last."""
    backend, request, _ = visit
    issue = _issue(backend, issue_id)
    events = issue.get("events") or []
    number = _event_number(request, len(events))
    editor = backend.loaded.settings.editor
    event = _shown(events[number - 1], editor) if events else None
    settled = issue.get("status") in ("resolved", "muted")
    return {
        "issue": {**issue, "message": issue_list.message(issue)},
        "event": event,
        "number": number,
        "stored": len(events),
        "curl": _curl(event),
        "chart": _occurrences(issue, backend.now()),
        **same_trace.gather(backend, event, issue_id),
        "can_act": backend.may_act,
        "actions": list(_WHEN_SETTLED if settled else _WHEN_OPEN),
    }


def show_event(backend: Backend, request: MonitorRequest, issue_id: str, form: str) -> Response:
    """One event as plain text, Markdown or JSON: to be copied."""
    backend.refresh()
    events = _issue(backend, issue_id).get("events") or []
    if not events:
        raise NotFound("no event is kept of this issue")
    event = events[_event_number(request, len(events)) - 1]
    if form == "json":
        return templating.json_answer(event)
    media_type, write = _FORMS[form]
    body = write(event).encode("utf-8", "replace")
    return Response(body, mimetype=media_type)


def act(backend: Backend, request: MonitorRequest, issue_id: str, action: str) -> Response:
    """Do one of the actions, then show the issue again."""
    if action not in _ACTIONS or backend.triage.get_issue(issue_id) is None:
        raise NotFound("there is no such issue or action")
    if not backend.may_act:
        raise NotFound("issues cannot be changed here")
    _ACTIONS[action](backend.triage, issue_id, request.form, request.access.user)
    gone = action in ("delete", "merge")
    return back_to(request, "/errors" if gone else f"/errors/{issue_id}")


def back_to(
    request: MonitorRequest, path: str, further: Sequence[tuple[str, str]] = ()
) -> Response:
    """Show a page after a POST, with the view it had."""
    response = Response(status=303)
    response.autocorrect_location_header = False
    kept = [(name, value) for name, value in request.args.items(multi=True)]
    response.headers["Location"] = address(request.root, path, [*kept, *further])
    return response


# -- what people do: (triage, issue, form, who)

Form = Mapping[str, str]


def _resolve(triage: Triage, issue: str, form: Form, by: str) -> None:
    triage.resolve(issue, release=form.get("release", "")[:200], by=by)


def _mute_until(triage: Triage, issue: str, form: Form, by: str) -> None:
    """Until `more` occurrences, or until `more` within an hour when `within` is given."""
    try:
        more = int(form.get("more", ""))
    except ValueError:
        raise BadRequest("more must be a whole number") from None
    if form.get("within"):
        triage.mute(issue, rate=(max(more, 1), _HOUR_S), by=by)
    else:
        triage.mute(issue, more=max(more, 1), by=by)


def _comment(triage: Triage, issue: str, form: Form, by: str) -> None:
    comment = form.get("comment", "").strip()
    if comment:
        triage.comment(issue, comment[:2_000], by=by)


def _merge(triage: Triage, issue: str, form: Form, by: str) -> None:
    into = form.get("into", "").strip()
    if triage.get_issue(into) is None:
        raise BadRequest("into must be the id of another issue")
    triage.merge([issue], into=into, by=by)


_ACTIONS: dict[str, Callable[[Triage, str, Form, str], None]] = {
    "resolve": _resolve,
    "reopen": lambda triage, issue, _form, by: triage.reopen(issue, by=by),
    "mute": lambda triage, issue, _form, by: triage.mute(issue, by=by),
    "mute-day": lambda triage, issue, _form, by: triage.mute(issue, for_s=_DAY_S, by=by),
    "mute-until": _mute_until,
    "comment": _comment,
    "merge": _merge,
    "split": lambda triage, _issue, form, by: triage.split(form.get("fingerprint", ""), by=by),
    "delete": lambda triage, issue, _form, _by: triage.delete(issue),
}


# -- inside


def _issue(backend: Backend, issue_id: str) -> dict[str, Any]:
    found = backend.triage.get_issue(issue_id)
    if found is None:
        raise NotFound("there is no such issue; it may have been dropped as the oldest one")
    return as_dict(found)


def _event_number(request: MonitorRequest, stored: int) -> int:
    given = request.args.get("event", "")
    if not given:
        return stored
    if not given.isascii() or not given.isdigit() or not 1 <= int(given[:9]) <= max(stored, 1):
        raise BadRequest(f"event must be a number from 1 to {stored}")
    return int(given)


def _shown(event: Mapping[str, Any], editor: str) -> dict[str, Any]:
    """The event with the failing expression of each frame marked, and links to files."""
    exceptions = []
    for facts in event.get("exceptions") or []:
        frames = [_marked(frame) for frame in facts.get("frames") or []]
        frames = [{**frame, "editor_link": editor_link(editor, frame)} for frame in frames]
        exceptions.append({**facts, "frames": frames, "runs": runs_of(frames)})
    return {**event, "exceptions": exceptions}


def _marked(frame: Mapping[str, Any]) -> dict[str, Any]:
    """The frame with `marked`: its line before, in and after the failing expression."""
    if not isinstance(frame.get("source"), Mapping) or not isinstance(frame.get("line"), int):
        return {**frame, "marked": None}
    line = as_text.failing_line(frame)
    begin, end = as_text.caret_columns(frame, line)
    whole = line[begin:end].strip() == line.strip()
    marked = [line[:begin], line[begin:end], line[end:]] if end > begin and not whole else None
    return {**frame, "marked": marked}


def _curl(event: Mapping[str, Any] | None) -> str:
    request = event.get("request") if event is not None else None
    needed = ("method", "scheme", "host", "path", "query", "headers")
    if not request or any(name not in request for name in needed):
        return ""
    return as_text.curl_command(request)


def _occurrences(issue: Mapping[str, Any], now: int) -> dict[str, Any] | None:
    """A chart of how often, from the first time until now: by the hour, or by the day."""
    hours = {int(hour): float(count) for hour, count in issue.get("hours") or ()}
    if not hours:
        return None
    first = max(min(hours), now - _LONGEST_S)
    step = _HOUR_S if now - first < _HOURLY_S else _DAY_S
    end = (now // step + 1) * step
    start = min((first // step - 1) * step, end - _DAY_S)
    values = [0.0] * ((end - start) // step)
    for hour, count in hours.items():
        if start <= hour < end:
            values[(hour - start) // step] += count
    by = "hour" if step == _HOUR_S else "day"
    entry = {"name": "occurrences", "start": start, "step": step, "values": values}
    return drawing.chart(
        "Occurrences", "count", start, end,
        [{**entry, "shape": "bar", "colour": "crit"}],
        summary=f"by the {by}", change=("", False),
        description=f"{issue.get('count')} occurrences by the {by}",
    )  # fmt: skip


def _as(form: str) -> Callable[..., Response]:
    def show(backend: Backend, request: MonitorRequest, issue_id: str) -> Response:
        return show_event(backend, request, issue_id, form)

    return show


ROUTES = [
    *templating.page(
        "/errors/<name:issue_id>", "/errors/<name:issue_id>.json", gather, "error.html"
    ),
    *[Route(f"/errors/<name:issue_id>/event.{form}", _as(form)) for form in ("txt", "md", "json")],
    Route("/errors/<name:issue_id>/<name:action>", act, methods=("POST",), changes_state=True),
]
