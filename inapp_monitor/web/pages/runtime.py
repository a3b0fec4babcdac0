"""`/runtime`: what is being answered right now in all workers, what was slow, what it runs on."""

from __future__ import annotations

from typing import Any

from inapp_monitor.collectors.runner import CollectorFacts
from inapp_monitor.ground.facts import Facts
from inapp_monitor.ground.workers.route_names import RouteFacts
from inapp_monitor.request.live import WorkerFacts
from inapp_monitor.request.slowest_file import SlowestFacts
from inapp_monitor.request.stacks import LiveFacts
from inapp_monitor.web.findings import resource_charts, resources
from inapp_monitor.web.frame import templating
from inapp_monitor.web.frame.records import as_plain
from inapp_monitor.web.frame.visit import Visit
from inapp_monitor.web.pages import live_request

_MOST = 50
_SLOWEST = 20


def gather(visit: Visit) -> dict[str, Any]:
    """Workers, live requests, the slowest of the last hour, charts of all that is sampled."""
    backend, _, view = visit
    facts = visit.facts
    live = [as_plain(row) for row in facts.of(LiveFacts).live]
    collectors = [as_plain(row) for row in facts.of(CollectorFacts).collectors]
    wanted = [resource_charts.PROCESSES, resource_charts.MACHINE]
    own = resources.of_collectors(backend, collectors)
    wanted += [*([own] if own.pictures else []), resource_charts.MONITOR]
    return {
        "live_requests": live[:_MOST],
        "workers": workers(facts.of(WorkerFacts), view.now),
        "slowest": slowest(facts)[:_SLOWEST],
        "sections": resources.sections(backend, view, wanted),
    }


def workers(known: WorkerFacts, now: float) -> list[dict[str, Any]]:
    """A row each; what a worker did not tell is None."""
    return [
        {
            "pid": row.get("pid"),
            "age_s": max(now - row["started"], 0.0) if row.get("started") else None,
            "requests": row.get("requests"),
            "live": row.get("live"),
            "cpu_percent": row.get("cpu_percent"),
            "rss_bytes": row.get("rss_bytes"),
            "threads": row.get("threads"),
            "fds": row.get("fds"),
            "fd_limit": row.get("fd_limit"),
            "gc_ms": row.get("gc_ms"),
            "gc_longest_ms": row.get("gc_longest_ms"),
            "job": row.get("job") or "",
            "is_this": bool(row.get("is_this")),
        }
        for row in (as_plain(each) for each in known.workers)
    ]


def slowest(facts: Facts, slug: str = "", method: str = "") -> list[dict[str, Any]]:
    """The slowest requests of the last hour that any worker answered, the slowest first."""
    routes = facts.of(RouteFacts).routes
    rows = [as_plain(row) for row in facts.of(SlowestFacts).slowest]
    for row in rows:
        row["route"] = routes.get(row["slug"]) or row["slug"]
    return [
        row
        for row in rows
        if (not slug or row["slug"] == slug) and (not method or row["method"] == method)
    ]


ROUTES = [
    *templating.page("/runtime", "/runtime.json", gather, "runtime.html"),
    *live_request.ROUTES,
]
