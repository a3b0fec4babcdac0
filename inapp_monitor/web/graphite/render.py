"""`/render`: targets in, series out in one of the formats. Graphite's parameters, GET and POST."""

from __future__ import annotations

from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.evaluate import evaluate
from inapp_monitor.query.max_points import fit
from inapp_monitor.query.request import Limits, RenderRequest
from inapp_monitor.query.series import Series
from inapp_monitor.web.conditional import CACHE_CONTROL, conditional
from inapp_monitor.web.frame.routing import Route
from inapp_monitor.web.graphite.formats.options import Options
from inapp_monitor.web.graphite.formats.registry import FORMATS
from inapp_monitor.web.graphite.parameters import Parameters
from inapp_monitor.web.kept.process_state import process_state
from inapp_monitor.web.kept.settled import (
    QueryResult,
    WatchedSource,
    follows_from_points,
)

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from inapp_monitor.ground.config import Settings
    from inapp_monitor.web.backend import Backend

_DAY_S = 86_400
_GRAPH_TYPES = ("line", "pie")
#: Seconds after which a client that found all slots in use may ask again.
_RETRY_AFTER_S = 1
#: Seconds for which a render waits for a slot: a dashboard asks for many at once.
_WAIT_S = 1.0
#: Default width of a picture, in pixels.
_WIDTH = 800


def render(backend: Backend, request: Request) -> Response:
    """Answer a render request.

    Raises:
        QueryError: whatever is wrong with it, in one line.
    """
    parameters = Parameters(request)
    slots = process_state(backend).render_slots
    if not slots.acquire(timeout=_WAIT_S):
        response = Response("too many render requests at once\n", 503, mimetype="text/plain")
        response.headers["Retry-After"] = str(_RETRY_AFTER_S)
        return response
    try:
        answer = _answer(backend, parameters)
    finally:
        slots.release()
    response = Response(answer.body, content_type=answer.content_type)
    response.headers["Cache-Control"] = _cache_control(parameters)
    return conditional(response, request, answer.etag)


def limits_of(settings: Settings) -> Limits:
    """The limits of queries, from the settings."""
    return Limits(
        targets=settings.max_targets,
        target_length=settings.max_target_length,
        depth=settings.max_target_depth,
        series=settings.max_query_series,
        points=settings.max_query_points,
        time_s=settings.max_query_time_s,
    )


def _answer(backend: Backend, parameters: Parameters) -> QueryResult:
    """The result, kept from before when its period is over and nothing came late."""
    name = _format_name(parameters)
    asked = _request(backend, parameters, name)
    targets = parameters.texts("target")
    backend.refresh()
    kept, past = process_state(backend).settled_results, backend.store.past
    now = asked.now if "now" in parameters else 0
    key = (name, asked.start, asked.end, now, *parameters.everything())
    found = kept.get(key, past) if "noCache" not in parameters else None
    if found is not None:
        return found
    source = WatchedSource(backend.source)
    series = evaluate(targets, asked, source)
    answer = _written(series, asked, parameters, name)
    if follows_from_points(targets):
        kept.put(key, past, max(source.latest, asked.end), answer)
    return answer


def _written(
    series: list[Series], asked: RenderRequest, parameters: Parameters, name: str
) -> QueryResult:
    written = FORMATS[name]
    if written.fits and "maxDataPoints" in parameters and asked.max_points is not None:
        series = fit(series, asked.max_points)
    elif name == "svg" and series:
        series = fit(series, max(asked.max_points or _WIDTH, 2))
    options = Options(
        start=asked.start,
        end=asked.end,
        tz=asked.tz,
        pretty=bool(parameters.text("pretty")),
        skip_nulls="noNullPoints" in parameters,
        picture=parameters.items() if name == "svg" else {},
    )
    body = written.write(series, options)
    content_type = written.content_type
    callback = parameters.callback() if "format" in parameters else ""
    if callback and name == "svg":
        raise QueryError("parameter 'jsonp' is for JSON: a picture cannot be handed to a function")
    if callback and content_type == "application/json":
        body = f"{callback}(".encode() + body + b")"
        content_type = "text/javascript"
    return QueryResult(body, content_type)


def _format_name(parameters: Parameters) -> str:
    """The format asked for, json by default.

    Raises:
        QueryError: there is no such format.
    """
    if "format" in parameters:
        name = parameters.text("format")
    elif "rawData" in parameters:
        name = "raw"
    else:
        name = "pickle" if "pickle" in parameters else "json"
    if name not in FORMATS:
        raise QueryError(f"unknown format {name[:40]!r}: one of {', '.join(FORMATS)}")
    return name


def _request(backend: Backend, parameters: Parameters, name: str) -> RenderRequest:
    graph_type = parameters.text("graphType", "line")
    if graph_type not in _GRAPH_TYPES:
        raise QueryError(f"invalid graphType {graph_type[:40]!r}: one of {', '.join(_GRAPH_TYPES)}")
    tz = parameters.zone(backend.loaded.settings.time_zone)
    clock = backend.clock
    now = int(clock.wall())
    if "now" in parameters:
        now = parameters.moment("now", now, tz)
    until = parameters.moment("until", now, tz) if "until" in parameters else now
    since = parameters.moment("from", now, tz) if "from" in parameters else now - _DAY_S
    start, end = min(since, until), max(since, until)
    if start == end:
        raise QueryError("invalid empty time range: 'from' and 'until' are the same moment")
    begin = clock.perf()
    return RenderRequest(
        start=start,
        end=end,
        now=now,
        tz=tz,
        x_files_factor=parameters.number("xFilesFactor", 0.0),
        template={
            key[9:-1]: value
            for key, value in parameters.items().items()
            if key.startswith("template[") and key.endswith("]")
        },
        max_points=_max_points(parameters, name),
        own_consolidation=_own_consolidation(parameters),
        limits=limits_of(backend.loaded.settings),
        events=process_state(backend).events,
        elapsed=lambda: clock.perf() - begin,
    )


def _max_points(parameters: Parameters, name: str) -> int | None:
    given = parameters.text("maxDataPoints")
    if given.isascii() and given.isdigit():
        points = int(given[:12])
        if points < 1:
            raise QueryError("parameter 'maxDataPoints' must be at least 1, got 0")
        return points
    if name == "svg":
        width = parameters.text("width")
        return (
            min(int(width), 4_000)
            if width.isascii() and width.isdigit() and width != "0"
            else _WIDTH
        )
    return None


def _own_consolidation(parameters: Parameters) -> bool:
    given = parameters.text("consolidation", "graphite")
    if given not in ("graphite", "series"):
        raise QueryError(f"unknown consolidation {given[:40]!r}: one of graphite, series")
    return given == "series"


def _cache_control(parameters: Parameters) -> str:
    timeout = parameters.integer("cacheTimeout", 0) if "cacheTimeout" in parameters else 0
    if timeout > 0 and "noCache" not in parameters:
        return f"private, max-age={min(timeout, _DAY_S)}"
    return CACHE_CONTROL


ROUTES = [Route("/render", render, ("GET", "POST")), Route("/render/", render, ("GET", "POST"))]
