"""From data to answers: HTML through Jinja2 with autoescape, JSON as the same data.

A page is a function that gathers plain data; `page` gives it its address, its `.json` twin and its
template. Templates get the data, the view and links; they never reach the backend.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any
from urllib.parse import quote

import jinja2
import numpy as np
from jinja2.runtime import Context
from markupsafe import Markup
from werkzeug.wrappers import Response

from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.visible_text import visible
from inapp_monitor.web import human, static
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.conditional import conditional, etag_of
from inapp_monitor.web.frame import columns, drawing, zones
from inapp_monitor.web.frame.links import address
from inapp_monitor.web.frame.request import MonitorRequest
from inapp_monitor.web.frame.routing import Route
from inapp_monitor.web.frame.view import (
    COMPARISONS,
    DEFAULT_RANGE,
    RANGES,
    VIEW_ARGUMENTS,
    View,
    from_arguments,
)
from inapp_monitor.web.frame.visit import Visit

#: Gathers a page's data for a `Visit`; parameters of the rule come as keywords.
Gather = Callable[..., dict[str, Any]]

_NAVIGATION = (
    ("/", "Overview"),
    ("/routes", "Routes"),
    ("/errors", "Errors"),
    ("/traces", "Traces"),
    ("/logs", "Logs"),
    ("/alerts", "Alerts"),
    ("/explore", "Explore"),
)
#: Pages behind "More".
_MORE = (
    ("/statements", "Statements"),
    ("/not-found", "Not found"),
    ("/dashboards", "Dashboards"),
    ("/runtime", "Runtime"),
    ("/sources", "Sources"),
    ("/status", "Status"),
)


def page(rule: str, twin: str, gather: Gather, template: str) -> list[Route]:
    """The two routes of a page: HTML at `rule`, its data as JSON at `twin`."""

    def show(backend: Backend, request: MonitorRequest, **parameters: str) -> Response:
        backend.refresh()
        view = view_of(backend, request)
        data = gather(Visit(backend, request, view), **parameters)
        if request.wants_json:
            return _twin(request, data)
        return html_answer(backend, request, template, data, view)

    def show_json(backend: Backend, request: MonitorRequest, **parameters: str) -> Response:
        backend.refresh()
        view = view_of(backend, request)
        return _twin(request, gather(Visit(backend, request, view), **parameters))

    return [Route(rule, show), Route(twin, show_json)]


def view_of(backend: Backend, request: MonitorRequest) -> View:
    """The window that a request asks for."""
    time_zone = backend.loaded.settings.time_zone
    return from_arguments(request.args, backend.now(), default_range(backend), time_zone)


def default_range(backend: Backend) -> str:
    """An hour; in the first minutes of an installation a quarter of one."""
    now = backend.now()
    found = columns.sums(backend, ["requests.status.2xx"], now - 3_600, now, 12)
    for each in found.values():
        known = np.flatnonzero(np.isfinite(each.values))
        if known.size and each.start + each.step * known[0] >= now - 1_200:
            return "-15min"
    return DEFAULT_RANGE


def html_answer(
    backend: Backend,
    request: MonitorRequest,
    template: str,
    data: Mapping[str, Any],
    view: View | None = None,
    status: int = 200,
    here: str = "",
) -> Response:
    """Render a template around the skeleton of all pages.

    Args:
        here: The page's address, when the request's is that of an action.
    """
    settings = backend.loaded.settings
    link = partial(_link, request.root, view)
    own = {} if here else _own_arguments(request)
    context = {
        "data": data,
        "view": view,
        "zone": view.zone if view else zones.configured(settings.time_zone),
        "link": link,
        "asset": partial(_asset, request.root),
        "app_name": settings.app_name or default_name(backend),
        "navigation": _NAVIGATION,
        "more": _MORE,
        "here": here or request.path,
        "stay": partial(link, here or request.path, **own),
        "own": [(name, value) for name, values in own.items() for value in values],
        "ranges": RANGES,
        "comparisons": COMPARISONS,
        "live": backend.live,
        "may_act": backend.may_act,
        "signed_in": request.access.by in ("cookie",),
        "now": backend.now(),
        "csrf": request.csrf,
        "arguments": request.args,
    }
    text = environment().get_template(template).render(context)
    # A lone surrogate in recorded data must not cost the page.
    return Response(text.encode("utf-8", "replace"), status=status, mimetype="text/html")


def _own_arguments(request: MonitorRequest) -> dict[str, list[str]]:
    """The parameters of a page beside those of the view: they stay when the view changes."""
    return {
        name: [value for value in values if value]
        for name, values in request.args.lists()
        if name not in VIEW_ARGUMENTS and name.isidentifier()
    }


def json_answer(data: Mapping[str, Any], status: int = 200) -> Response:
    """Data as JSON; NaN and infinities are null."""
    text = json.dumps(plain(data), separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return Response(text + "\n", status=status, mimetype="application/json")


def _twin(request: MonitorRequest, data: Mapping[str, Any]) -> Response:
    response = json_answer(data)
    return conditional(response, request, etag_of(response.get_data()))


def plain(value: Any) -> Any:
    """JSON's own types: arrays as lists, not-a-number as None, anything else as text."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, Histogram):
        p50, p95 = value.quantile(0.5), value.quantile(0.95)
        return plain({"count": value.count, "sum": value.total, "p50": p50, "p95": p95})
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return str(value)


def default_name(backend: Backend) -> str:
    """The app's name when no setting gives one: that of the directory around the data."""
    return backend.loaded.settings.data_dir.absolute().parent.name or "app"


def environment() -> jinja2.Environment:
    """The templates, compiled once a process: its cache has a lock, which a fork may copy taken."""
    return _environment(os.getpid())


@cache
def _environment(pid: int) -> jinja2.Environment:  # noqa: ARG001
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("inapp_monitor.web", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        finalize=_shown,
    )
    made.filters.update(
        value=human.value,
        plain=human.plain,
        count=human.count,
        seconds=human.seconds,
        ago=human.ago,
        moment=_moment,
        time_of_day=_time_of_day,
        period=_period,
        iso=human.iso,
        change=human.change,
        shorten=human.shorten,
    )
    made.globals.update(draw=_draw, spark=drawing.spark)
    return made


def _shown(value: object) -> object:
    """What a template prints: text in which nothing hides or turns what stands around it."""
    return visible(value) if type(value) is str else value


@jinja2.pass_context
def _moment(context: Context, timestamp: float) -> str:
    """A point in time in the page's zone, whose name at that time is part of it."""
    return human.moment(timestamp, context["zone"].tz)


@jinja2.pass_context
def _time_of_day(context: Context, timestamp: float) -> str:
    """The time of day in the page's zone, to the millisecond."""
    return human.time_of_day(timestamp, context["zone"].tz)


@jinja2.pass_context
def _period(context: Context, start: float, end: float) -> str:
    return human.period(start, end, context["zone"].tz)


@jinja2.pass_context
def _draw(context: Context, data: Mapping[str, Any], height: int = drawing.HEIGHT) -> Markup:
    return drawing.draw(data, height, context["zone"].tz)


def _link(root: str, view: View | None, path: str, /, **changes: Any) -> Markup:
    """A link that keeps the view; `changes` replace or add parameters, a list several times."""
    query: list[tuple[str, str]] = []
    for name, value in {**(dict(view.query()) if view else {}), **changes}.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        query += [(name, str(entry)) for entry in values]
    return Markup.escape(address(root, path, query))


def _asset(root: str, name: str) -> Markup:
    return Markup.escape(f"{quote(root)}/static/{name}?v={static.version(name)}")
