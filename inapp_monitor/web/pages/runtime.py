"""`/runtime`: what is being answered right now in all workers, what was slow, what it runs on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inapp_monitor.web.backend import Backend
from inapp_monitor.web.findings import resource_charts, resources, route_table
from inapp_monitor.web.frame import templating
from inapp_monitor.web.frame.records import as_plain
from inapp_monitor.web.frame.visit import Visit

_MOST = 50
_SLOWEST = 20


def gather(visit: Visit) -> dict[str, Any]:
    """Workers, live requests, the slowest of the last hour, charts of all that is sampled."""
    backend, _, view = visit
    facts = backend.known()
    live = [as_plain(row) for row in facts.get("live") or ()]
    collectors = [as_plain(row) for row in facts.get("collectors") or ()]
    wanted = [resource_charts.PROCESSES, resource_charts.MACHINE]
    own = resources.of_collectors(backend, collectors)
    wanted += [*([own] if own.pictures else []), resource_charts.MONITOR]
    return {
        "live_requests": live[:_MOST],
        "workers": workers(facts, view.now),
        "slowest": slowest(backend)[:_SLOWEST],
        "sections": resources.sections(backend, view, wanted),
    }


def workers(facts: Mapping[str, Any], now: float) -> list[dict[str, Any]]:
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
            "is_this": row.get("pid") == facts.get("pid"),
        }
        for row in (as_plain(each) for each in facts.get("workers") or ())
    ]


def slowest(backend: Backend, slug: str = "", method: str = "") -> list[dict[str, Any]]:
    """The slowest requests of the last hour that any worker answered, the slowest first."""
    known = route_table.templates(backend)
    rows = [as_plain(row) for row in backend.known().get("slowest") or ()]
    for row in rows:
        row["route"] = known.get(row["slug"], row["slug"])
    return [
        row
        for row in rows
        if (not slug or row["slug"] == slug) and (not method or row["method"] == method)
    ]


ROUTES = templating.page("/runtime", "/runtime.json", gather, "runtime.html")
