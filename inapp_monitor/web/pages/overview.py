"""`/`: with a broken site, the page that says within ten seconds what, since when and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inapp_monitor.ground.ranges import Leaf
from inapp_monitor.web.findings import (
    comparison,
    deploys,
    first_steps,
    issue_list,
    judged,
    missing,
    own_health,
    own_numbers,
    route_table,
    slower,
    time_breakdown,
    traffic,
    verdicts,
)
from inapp_monitor.web.frame import columns, templating
from inapp_monitor.web.frame.view import DEFAULT_RANGE
from inapp_monitor.web.frame.visit import Visit

_ROUTES = 8
_ISSUES = 6
_MISSING = 6
_OWN_NUMBERS = 6
#: Missing addresses that are looked through: as many as are kept, unless a setting says more.
_KNOWN = 200


def gather(visit: Visit) -> dict[str, Any]:
    """All that the overview shows; its `.json` twin is this."""
    backend, request, view = visit
    current = traffic.read(backend, view)
    earlier = comparison.view_before(backend, view)
    before = traffic.read(backend, earlier) if earlier else None
    rows = route_table.rows(backend, visit.facts, view)
    issues = issue_list.newest(backend, 200)
    not_found = missing.most_frequent(backend, request.host, _KNOWN)
    counts = columns.sums(backend, ["requests.not_found"], view.start, view.end, 60)
    marks = deploys.between(backend, view.start, view.end)
    marks += judged.marks(backend, view)
    own = own_health.summary(backend, visit.facts)
    named = own_numbers.leaves(backend)
    target_ms = backend.loaded.settings.apdex_target_s * 1_000
    return {
        "empty": not any(leaf.path == "requests.time" for leaf in backend.store.leaves()),
        "first_steps": _first_steps(visit, named, len(issues)),
        "window": {"from": view.start, "until": view.end},
        "verdicts": verdicts.collect(
            backend,
            visit.facts,
            current,
            issues,
            not_found,
            counts.get("requests.not_found"),
            own,
        ),
        "incidents": judged.incident_rows(backend, view),
        "totals": current.totals(target_ms),
        "charts": {
            **traffic.charts(current, before, marks),
            "breakdown": time_breakdown.chart(
                backend, view, "requests", ["requests"], marks, current.axis_start
            ),
        },
        "routes": rows[:_ROUTES],
        "route_count": len(rows),
        "issues": issues[:_ISSUES],
        "issue_count": len(issues),
        "not_found": missing.busiest(not_found, view.start)[:_MISSING],
        "own_numbers": own_numbers.rows(backend, view, named[:_OWN_NUMBERS]),
        "own_number_count": len(named),
        "own": own,
    }


def _first_steps(visit: Visit, named: Sequence[Leaf], issues: int) -> list[dict[str, Any]]:
    """The newcomer's list, while the installation is young and something of it is left."""
    backend = visit.backend
    paths = {leaf.path for leaf in backend.store.leaves()}
    if "requests.time" in paths and templating.default_range(backend) == DEFAULT_RANGE:
        return []
    access = visit.request.access.by
    steps = first_steps.steps(paths, [leaf.path for leaf in named], issues, access)
    return [] if all(step["done"] for step in steps) else steps


def gather_with_causes(visit: Visit) -> dict[str, Any]:
    """The same, and behind each slow route what made it slow."""
    data = gather(visit)
    slower.add_causes(visit.backend, visit.facts, visit.view, data["verdicts"])
    return data


ROUTES = templating.page("/", "/overview.json", gather_with_causes, "overview.html")
