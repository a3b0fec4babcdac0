"""N+1 and its like, by route: in how many requests, what it costs, since when, and when it went."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from inapp_monitor.ground.facts import Facts
from inapp_monitor.ground.workers.route_names import RouteFacts
from inapp_monitor.traces.statement_tables import RepeatRow
from inapp_monitor.web import human
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.findings import route_table
from inapp_monitor.web.frame import columns

#: Share of a route's time from which on a repetition is a verdict, and requests that it needs.
MIN_COST = 0.1
MIN_REQUESTS = 3
#: Requests of the route without it after which it is gone, and how many times as rare as usual.
_GONE_AFTER, _GONE_TIMES = 20, 5
#: Seconds that the counts of requests and of what was found in them may lie apart.
SLACK_S = 15
#: Seconds of the step in which the first request was counted.
_STEP_S = 10
#: Repetitions looked at for the overview.
_MOST = 20


def of_route(backend: Backend, facts: Facts, route: str, now: int) -> list[dict[str, Any]]:
    """What repeats on a route, the costliest first; what is gone comes last.

    Each: route, slug, id, kind, shape, site, sites, first_seen, last_seen, requests, share (of the
    route's requests, 0..1), times, ms, loop_ms and request_ms (means of a request in which it was
    found), cost (share of the route's time, 0..1) and gone (whether the route does without it now).
    """
    tables = backend.statements
    if tables is None:
        return []
    return _described(backend, facts, tables.repeats(route), now)


def of_statement(backend: Backend, facts: Facts, key: str, now: int) -> list[dict[str, Any]]:
    """The same of a statement, on all routes."""
    tables = backend.statements
    if tables is None:
        return []
    found = [row for row in tables.repeats() if row.id == key][:_MOST]
    return _described(backend, facts, found, now)


def costly(backend: Backend, facts: Facts, since: int, now: int) -> list[dict[str, Any]]:
    """What was seen since some time, costs a route at least `MIN_COST`, and is not gone."""
    tables = backend.statements
    if tables is None:
        return []
    recent = [row for row in tables.repeats() if row.last_seen >= since]
    recent = [row for row in recent if row.requests >= MIN_REQUESTS]
    recent.sort(key=lambda row: -row.loop_ms)
    found = _described(backend, facts, recent[:_MOST], now)
    return [each for each in found if each["cost"] >= MIN_COST and not each["gone"]]


def _described(
    backend: Backend, facts: Facts, found: Iterable[RepeatRow], now: int
) -> list[dict[str, Any]]:
    slugs = {route: slug for slug, route in facts.of(RouteFacts).routes.items()}
    methods = route_table.names(backend)
    shapes = _shapes(backend)
    made = [_describe(backend, row, slugs, methods, shapes, now) for row in found]
    made.sort(key=lambda each: (each["gone"], -each["cost"]))
    return made


def _describe(
    backend: Backend,
    row: RepeatRow,
    slugs: Mapping[str, str],
    methods: Mapping[str, list[str]],
    shapes: Mapping[str, str],
    now: int,
) -> dict[str, Any]:
    slug = slugs.get(row.route, "")
    paths = [f"routes.{slug}.{method}.time" for method in methods.get(slug, ())]
    count, total_ms = _requests(backend, paths, int(row.first_seen) - _STEP_S, now)
    share = min(row.requests / count, 1.0) if count else 1.0
    after, _ = _requests(backend, paths, int(row.last_seen) + SLACK_S, now)
    return {
        "route": row.route,
        "slug": slug,
        "id": row.id,
        "kind": row.kind,
        "shape": shapes.get(row.id, ""),
        "site": row.sites[0] if row.sites else "",
        "sites": row.sites,
        "first_seen": row.first_seen,
        "last_seen": row.last_seen,
        "requests": row.requests,
        "share": share,
        "times": row.times / row.requests,
        "ms": row.total_ms / row.requests,
        "loop_ms": row.loop_ms / row.requests,
        "request_ms": row.request_ms / row.requests,
        "cost": min(row.loop_ms / max(total_ms, row.request_ms, 1e-9), 1.0),
        "gone": after * share >= _GONE_TIMES and after >= _GONE_AFTER,
    }


def _shapes(backend: Backend) -> dict[str, str]:
    tables = backend.statements
    known = tables.statements() if tables is not None else {}
    return {key: row.shape for key, row in known.items()}


def _requests(backend: Backend, paths: Iterable[str], start: int, now: int) -> tuple[int, float]:
    """Requests and their milliseconds since some time."""
    if start >= now:
        return 0, 0.0
    count, total_ms = 0, 0.0
    for path in paths:
        found = columns.durations(backend, path, start, now)
        if found is not None:
            count += found.whole.count
            total_ms += found.whole.total
    return count, total_ms


def sentence(each: Mapping[str, Any]) -> str:
    """`21 statements in 94 % of requests, 8 ms of 31, shop/views.py:40 in orders`."""
    times = human.plain(round(each["times"], 1 if each["times"] < 10 else 0))
    share = human.value(100 * each["share"], "percent")
    spent = f"{human.value(each['loop_ms'], 'ms')} of {human.value(each['request_ms'], 'ms')}"
    where = f", {each['site']}" if each["site"] else ""
    return f"{times} × a request, in {share} of requests, {spent}{where}"
