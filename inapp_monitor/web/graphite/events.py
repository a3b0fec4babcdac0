"""`/events/*`: marks on the time axis, posted by deploy scripts and read by dashboards."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Response

from inapp_monitor.database.posted_events import PostedEvent, tags_of
from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.web.frame.routing import Route
from inapp_monitor.web.graphite.parameters import Parameters, json_answer
from inapp_monitor.web.kept.process_state import process_state

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from inapp_monitor.web.backend import Backend

_MAX_WHAT = 255
_MAX_DATA = 16_384
_MAX_TAGS = 32
_LAST_MOMENT = 253_402_300_799


def post(backend: Backend, request: Request) -> Response:
    """Keep an event: a JSON object with `what`, and `tags`, `when`, `data` if wanted.

    Raises:
        QueryError: the body is something else; names the part.
    """
    try:
        given = json.loads(request.get_data())
    except (ValueError, RecursionError):
        raise QueryError("the body must be a JSON object") from None
    if not isinstance(given, dict):
        raise QueryError("the body must be a JSON object")
    process_state(backend).events.add(
        PostedEvent(
            _moment(given.get("when"), int(backend.clock.wall())),
            _text(given, "what", _MAX_WHAT),
            _tags(given.get("tags")),
            _text(given, "data", _MAX_DATA),
        )
    )
    return Response(status=200)


def _text(given: dict[str, Any], name: str, most: int) -> str:
    value = given.get(name)
    if value is None:
        value = ""
    if not isinstance(value, str) or len(value) > most:
        raise QueryError(f"{name!r} must be a text of at most {most} characters")
    return _storable(value)


def _storable(text: str) -> str:
    """The text without lone surrogates, which JSON can carry and no file."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _tags(given: Any) -> tuple[str, ...]:
    if given is None:
        return ()
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, list) or not all(isinstance(tag, str) for tag in given):
        raise QueryError("'tags' must be an array, or a text of words between blanks or commas")
    tags = [part for tag in given for part in tags_of(_storable(tag))]
    if len(tags) > _MAX_TAGS or sum(map(len, tags)) > 1_000:
        raise QueryError(f"'tags' must be at most {_MAX_TAGS} short words")
    return tuple(tags)


def _moment(given: Any, now: int) -> int:
    if given is None:
        return now
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise QueryError("'when' must be a number of seconds since 1970")
    if not -_LAST_MOMENT <= given <= _LAST_MOMENT:
        raise QueryError("'when' is out of range")
    return int(given)


def get_data(backend: Backend, request: Request) -> Response:
    """The events of a window, by time; `tags` that all (`set=union`: any) must be there."""
    parameters = Parameters(request)
    tz, now = parameters.zone(backend.loaded.settings.time_zone), int(backend.clock.wall())
    if "now" in parameters:
        now = parameters.moment("now", now, tz)
    start = parameters.moment("from", now, tz) if "from" in parameters else 0
    end = parameters.moment("until", now, tz) if "until" in parameters else now
    tags = tags_of(parameters.text("tags")) if "tags" in parameters else None
    found = process_state(backend).events.find(
        start, end, tags, any_of=parameters.text("set") == "union"
    )
    return json_answer([_shown(event) for event in found], parameters)


def _shown(event: PostedEvent) -> dict[str, Any]:
    return {
        "when": event.moment,
        "what": event.what,
        "data": event.data,
        "tags": list(event.tags),
        "id": event.id,
    }


def get_event(backend: Backend, request: Request, number: int) -> Response:
    """One event."""
    parameters = Parameters(request)
    event = process_state(backend).events.get(number) if number < 2**63 else None
    if event is None:
        error = {"error": "Event matching query does not exist"}
        return json_answer(error, parameters, 404)
    when = datetime.fromtimestamp(event.moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json_answer({**_shown(event), "when": when}, parameters)


ROUTES = [
    Route("/events", post, ("POST",), changes_state=True),
    Route("/events/", post, ("POST",), changes_state=True),
    Route("/events/get_data", get_data, ("GET", "POST")),
    Route("/events/<int:number>", get_event),
]
