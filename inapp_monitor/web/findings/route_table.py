"""One row for each route and method of a window: what the overview, `/routes` and search show."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from inapp_monitor.ground.facts import Facts
from inapp_monitor.ground.workers.route_names import RouteFacts
from inapp_monitor.query.series import Floats
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame import columns
from inapp_monitor.web.frame.view import View

_SPARK_COLUMNS = 40
#: Fewer requests than this say nothing about a route's apdex or error rate.
ENOUGH = 10
_METHODS = 12
#: Rows of so short a window are read anew after so long: they show what is wrong now.
_LATEST_SPAN_S = 7_200
_LATEST_S = 3.0
#: Columns of which the faster part is known.
_ENOUGH_COLUMNS = 2
#: With more routes than this, only so many are read at full resolution.
_EXACT = 60
#: The last of so many parts of the window is what "recent" means in verdicts.
_PARTS = 6


def rows(backend: Backend, facts: Facts, view: View) -> list[dict[str, Any]]:
    """All routes with requests in the window, the one that took most time first.

    Each row: slug, method, route, count, per_min, total_ms, share, p50, p95, p99, errors,
    error_rate, apdex, state, the same for the window's last part as recent_*, spark (p95 by
    column from spark_start on), and rise: how many times the latest p95, or median, is that of the
    faster part of the window.
    """
    key = ("routes", view.from_text, view.until_text, view.compare, backend.store.generation)
    # A month moves by a pixel in an hour: what is costly to merge need not follow each second.
    longest_s = _LATEST_S if view.span <= _LATEST_SPAN_S else max(view.span / 500, 10.0)
    return backend.cache.get(key, lambda: _rows(backend, facts, view), longest_s)


def names(backend: Backend) -> dict[str, list[str]]:
    """The methods of each route's slug, from the stored series' names."""
    found: dict[str, list[str]] = {}
    for leaf in backend.store.leaves():
        parts = leaf.path.split(".")
        if len(parts) == 4 and parts[0] == "routes" and parts[3] == "time":
            methods = found.setdefault(parts[1], [])
            if len(methods) < _METHODS:
                methods.append(parts[2])
    return found


def _rows(backend: Backend, facts: Facts, view: View) -> list[dict[str, Any]]:
    pairs = [(slug, method) for slug, methods in names(backend).items() for method in methods]
    paths = [f"routes.{slug}.{method}.errors" for slug, method in pairs]
    errors = columns.sums(backend, paths, view.start, view.end, _SPARK_COLUMNS)
    known = facts.of(RouteFacts).routes
    made = []
    max_step_s = 0
    if len(pairs) > _EXACT:
        max_step_s = columns.widest_step_s(view.start, view.now, _PARTS)
    for slug, method in pairs:
        found = _read(backend, view, slug, method, max_step_s)
        if found is None or not found.whole.count:
            continue
        row = _row(backend, view, found, errors.get(f"routes.{slug}.{method}.errors"))
        made.append({"slug": slug, "method": method, "route": known.get(slug) or slug, **row})
    if max_step_s:
        _refine(backend, view, made, errors)
    everything = math.fsum(row["total_ms"] for row in made) or 1.0
    for row in made:
        row["share"] = 100 * row["total_ms"] / everything
    made.sort(key=lambda row: (-row["total_ms"], row["slug"], row["method"]))
    return made


def _read(
    backend: Backend, view: View, slug: str, method: str, max_step_s: int = 0
) -> columns.Durations | None:
    path = f"routes.{slug}.{method}.time"
    if max_step_s:
        return columns.durations(backend, path, view.start, view.end, _SPARK_COLUMNS, max_step_s)
    return columns.summary(backend, path, view.start, view.end, _SPARK_COLUMNS)


def _refine(
    backend: Backend, view: View, made: list[dict[str, Any]], errors: dict[str, columns.Sums]
) -> None:
    """Read the routes that matter again, exactly: those that take most time, fail or are slow."""
    made.sort(key=lambda row: (row["state"] == "ok", -row["total_ms"]))
    for row in made[:_EXACT]:
        found = _read(backend, view, row["slug"], row["method"])
        if found is not None and found.whole.count:
            path = f"routes.{row['slug']}.{row['method']}.errors"
            row.update(_row(backend, view, found, errors.get(path)))


def _row(
    backend: Backend, view: View, found: columns.Durations, failed: columns.Sums | None
) -> dict[str, Any]:
    target_ms = backend.loaded.settings.apdex_target_s * 1_000
    whole = found.whole
    apdex = found.apdex(target_ms)
    errors = failed.total if failed else 0.0
    error_rate = 100 * min(errors / whole.count, 1.0)
    late = math.ceil(len(found.slots) / _PARTS)
    recent = found.slots.joined(len(found.slots) - late, len(found.slots))
    p95 = found.quantile(0.95)
    late_errors = 0.0
    if failed:
        late_errors = float(np.nansum(failed.values[-math.ceil(len(failed.values) / _PARTS) :]))
    return {
        "count": whole.count,
        "per_min": whole.count * 60 / view.span,
        "total_ms": whole.total,
        "mean": whole.mean,
        "p50": whole.quantile(0.5),
        "p95": whole.quantile(0.95),
        "p99": whole.quantile(0.99),
        "errors": errors,
        "error_rate": error_rate,
        "apdex": apdex,
        "state": state(apdex, error_rate, whole.count),
        "recent_count": recent.count,
        "recent_p95": recent.quantile(0.95) if recent.count else None,
        "recent_apdex": columns.apdex(recent, target_ms),
        "recent_errors": late_errors,
        "spark": p95.tolist(),
        # Of requests that hung now and then, the p95 says nothing about the others.
        "rise": max(_rise(p95), _rise(found.quantile(0.5))),
        "spark_start": found.start,
        "spark_step": found.step,
    }


def _rise(durations: Floats) -> float:
    known = durations[np.isfinite(durations)]
    if len(known) < _ENOUGH_COLUMNS:
        return 0.0
    # The percentile of 20, by hand: NumPy's own loads numpy.ma, more than a megabyte.
    usual = np.interp(0.2 * (len(known) - 1), np.arange(len(known)), np.sort(known))
    return round(float(known[-3:].max() / max(usual, 0.001)), 3)


def state(apdex: float | None, error_rate: float, count: int) -> str:
    """`ok`, `warn` or `crit` of a route; too few requests are never bad."""
    if apdex is None or count < ENOUGH:
        return "ok"
    if apdex < 0.7 or error_rate >= 5:
        return "crit"
    return "warn" if apdex < 0.85 or error_rate >= 1 else "ok"
