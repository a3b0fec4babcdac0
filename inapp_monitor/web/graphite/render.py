"""`/render`: targets in, series out in one of the formats. Graphite's parameters, GET and POST."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from werkzeug.wrappers import Response

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.ground.process import allocator
from inapp_monitor.query.evaluate import evaluate
from inapp_monitor.query.max_points import fit
from inapp_monitor.query.request import Budget, Limits, RenderRequest
from inapp_monitor.query.series import Series
from inapp_monitor.web.conditional import CACHE_CONTROL, conditional, private
from inapp_monitor.web.frame import work_time
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
#: Seconds after which a client that found all places in use may ask again.
_RETRY_AFTER_S = 1
#: Bytes up to which an answer is one body, kept and tagged; a larger one is sent in pieces.
WHOLE_BYTES = 2**20
#: Default width of a picture, in pixels.
_WIDTH = 800


def render(backend: Backend, request: Request) -> Response:
    """Answer a render request.

    Raises:
        QueryError: whatever is wrong with it, in one line.
    """
    parameters = Parameters(request)
    places = process_state(backend).render_places
    if not places.acquire():
        response = Response("too many render requests at once\n", 503, mimetype="text/plain")
        response.headers["Retry-After"] = str(_RETRY_AFTER_S)
        return response
    try:
        answer = _answer(backend, parameters)
    finally:
        places.release()
    if isinstance(answer, _LargeAnswer):
        response = Response(answer.pieces, content_type=answer.content_type)
        response.headers["Content-Length"] = str(sum(map(len, answer.pieces)))
        response.headers["Cache-Control"] = _cache_control(parameters)
        response.call_on_close(allocator.give_back_soon)
        return private(response)
    response = Response(answer.body, content_type=answer.content_type)
    response.headers["Cache-Control"] = _cache_control(parameters)
    return conditional(response, request, answer.etag)


class _LargeAnswer(NamedTuple):
    """Pieces of a body that is never put together, and its type."""

    pieces: list[bytes]
    content_type: str


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


def _answer(backend: Backend, parameters: Parameters) -> QueryResult | _LargeAnswer:
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
    budget = Budget(asked.limits, work_time.stopwatch(backend.clock))
    try:
        series = evaluate(targets, asked, source, budget)
        answer = _written(series, asked, parameters, name, budget)
    except QueryError:
        allocator.give_back_soon()  # it may have been much until the budget was spent
        raise
    if isinstance(answer, QueryResult) and follows_from_points(targets):
        kept.put(key, past, max(source.latest, asked.end), answer)
    return answer


def _written(
    series: list[Series], asked: RenderRequest, parameters: Parameters, name: str, budget: Budget
) -> QueryResult | _LargeAnswer:
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
        check_time=budget.check_time,
    )
    pieces = list(written.pieces(series, options))
    content_type = written.content_type
    callback = parameters.callback() if "format" in parameters else ""
    if callback and name == "svg":
        raise QueryError("parameter 'jsonp' is for JSON: a picture cannot be handed to a function")
    if callback and content_type == "application/json":
        pieces = [f"{callback}(".encode(), *pieces, b")"]
        content_type = "text/javascript"
    if sum(map(len, pieces)) > WHOLE_BYTES:
        return _LargeAnswer(pieces, content_type)
    return QueryResult(b"".join(pieces), content_type)


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
    now = int(backend.clock.wall())
    if "now" in parameters:
        now = parameters.moment("now", now, tz)
    until = parameters.moment("until", now, tz) if "until" in parameters else now
    since = parameters.moment("from", now, tz) if "from" in parameters else now - _DAY_S
    start, end = min(since, until), max(since, until)
    if start == end:
        raise QueryError("invalid empty time range: 'from' and 'until' are the same moment")
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
