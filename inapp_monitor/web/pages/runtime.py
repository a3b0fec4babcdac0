"""`/runtime`: what is being answered right now in all workers, what was slow, what it runs on."""

from __future__ import annotations

from typing import Any

import numpy as np

from inapp_monitor.web.backend import Backend
from inapp_monitor.web.human import Unit
from inapp_monitor.web.pages import deploys, drawing, readings, route_table, templating
from inapp_monitor.web.pages.records import as_plain
from inapp_monitor.web.pages.view import View
from inapp_monitor.web.pages.visit import Visit

_MOST = 50
_SLOWEST = 20
#: Series that are charted when they are there: title, unit, path.
_CHARTS: tuple[tuple[str, Unit, str], ...] = (
    ("Requests under way", "count", "requests.in_flight"),
    ("Time that a tick takes", "ms", "monitor.tick_ms"),
    ("Waiting for the disk", "bytes", "monitor.buffered_bytes"),
)
#: Further series below these are charted as they are found.
_BRANCHES = ("process.", "host.")
_MOST_CHARTS = 24


def gather(visit: Visit) -> dict[str, Any]:
    """Live requests, the slowest ones of the last hour, and charts of process and host."""
    backend, _, view = visit
    facts = backend.known()
    live = [as_plain(row) for row in facts.get("live") or ()]
    return {
        "live_requests": live[:_MOST],
        "workers": sorted({int(row["pid"]) for row in live} | _own_pid(facts)),
        "slowest": slowest(backend)[:_SLOWEST],
        "charts": _charts(backend, view),
    }


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


def _own_pid(facts: Any) -> set[int]:
    pid = facts.get("pid")
    return {int(pid)} if pid else set()


def _charts(backend: Backend, view: View) -> list[dict[str, Any]]:
    wanted = list(_CHARTS)
    for leaf in backend.store.leaves():
        if leaf.path.startswith(_BRANCHES) and leaf.kind == "scalar":
            unit: Unit = "bytes" if leaf.path.endswith("bytes") else ""
            wanted.append((leaf.path, unit, leaf.path))
    paths = [path for _, _, path in wanted[:_MOST_CHARTS]]
    found = {each.path: each for each in backend.store.fetch(paths, view.start, view.end, view.now)}
    marks = deploys.between(backend, view.start, view.end)
    made = []
    for title, unit, path in wanted:
        each = found.get(path)
        if each is None:
            continue
        values = np.frombuffer(each.values) if len(each.values) else np.empty(0)
        if not np.isfinite(values).any():
            continue
        factor = max(-(-len(values) // readings.COLUMNS), 1)
        entry = {
            "name": title,
            "start": each.start,
            "step": each.step * factor,
            "values": _highest(values, factor),
            "shape": "area",
            "colour": "c1",
        }
        made.append(
            drawing.chart(
                title, unit, view.start, view.end, [entry], marks,
                summary="", change=("", False), description=f"{title} over time",
            )
        )  # fmt: skip
    return made


def _highest(values: Any, factor: int) -> list[float]:
    """The largest known value of each `factor` values: peaks are what one looks for here."""
    padded = np.concatenate([values, np.full(-len(values) % factor, np.nan)]).reshape(-1, factor)
    with np.errstate(invalid="ignore"):
        highest: list[float] = np.fmax.reduce(padded, axis=1).tolist()
    return highest


ROUTES = templating.page("/runtime", "/runtime.json", gather, "runtime.html")
