"""The whole app's requests in a window: totals, and the four charts of the overview."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inapp_monitor.query.series import Floats
from inapp_monitor.web import human
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame import columns, drawing
from inapp_monitor.web.frame.view import COMPARISONS, View

#: Status classes with their colours; successes are the ground that the others stand out from.
CLASSES = (
    ("2xx", "c1", "area"),
    ("3xx", "c5", "line"),
    ("4xx", "c4", "line"),
    ("5xx", "crit", "line"),
)


#: Columns for a scope with few requests: a line instead of scattered dots, and percentiles that
#: differ. Few are less than so many a column.
_FEW_COLUMNS = 60
_FEW_REQUESTS = 12
#: Of a window without a sample at its beginning, and nothing before: a young installation.
_YOUNG_SHARE = 0.1
_AXIS_COLUMNS = 90
_EARLIER_S = 30 * 86_400
_COARSEST_S = 7_200
_NARROWEST_S = 120
#: In place of rates while there are requests and no column is old enough for a rate.
_COLLECTING = "The latest seconds are still being collected"
#: The latency's axis is cut at half so many times the quantile when something is beyond all of it.
_CUT_OF, _CUT_QUANTILE, _CUT_FACTOR = 12, 0.9, 6.0


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose requests: all (`requests`) or those of a route and method (`routes.<slug>.GET`)."""

    prefix: str

    def path(self, name: str) -> str:
        """The path of one of its series."""
        return f"{self.prefix}.{name}"


EVERYTHING = Scope("requests")


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was read for a scope and a window."""

    view: View
    durations: columns.Durations | None
    classes: dict[str, columns.Sums]
    errors: columns.Sums | None
    is_live: bool = True
    #: Where the charts' axes begin: with the first sample of a young installation.
    axis_start: int = 0

    @property
    def count(self) -> int:
        """Requests finished."""
        return self.durations.whole.count if self.durations else 0

    @property
    def error_count(self) -> float:
        """Requests that raised or answered 5xx."""
        return self.errors.total if self.errors else 0.0

    def was_watched_before(self, timestamp: float) -> bool:
        """Whether there were requests long enough before to say what is usual."""
        found = self.durations
        if found is None:
            return False
        filled = found.filled()
        first = found.start + found.step * filled[0] if filled else timestamp
        return first < timestamp - self.view.span / 6

    def watched_s(self) -> float:
        """Seconds of the window since the first request that is known: of a young installation
        only these count for a rate."""
        found = self.durations
        known = found.filled() if found else []
        if found is None or not known:
            return float(self.view.span)
        first = found.start + known[0] * found.step if known[0] else self.view.start
        return max(self.view.end - max(first, self.view.start), 1.0)

    def filled(self, found: columns.Sums, values: Floats) -> Floats:
        """Values with zeros where other requests, or later none, show that it was watched."""
        every = [*self.classes.values(), *([self.errors] if self.errors else [])]
        times = [
            each.start + each.step * np.flatnonzero(np.isfinite(each.values)) for each in every
        ]
        known = np.concatenate(times) if times else np.empty(0)
        if not known.size:
            return values
        at = found.start + found.step * np.arange(len(values))
        until = self.view.now if self.is_live else float(known.max())
        settled = found.covered >= found.step * 0.3
        watched = (at >= known.min()) & (at <= until) & settled
        return np.where(np.isnan(values) & watched, 0.0, values)

    def totals(self, target_ms: float) -> dict[str, Any]:
        """The numbers above the charts."""
        whole = self.durations.whole if self.durations and self.count else None
        return {
            "requests": self.count,
            "rate": self.count / self.watched_s(),
            "errors": self.error_count,
            "error_rate": 100 * min(self.error_count / self.count, 1.0) if self.count else None,
            "p50": whole.quantile(0.5) if whole else None,
            "p95": whole.quantile(0.95) if whole else None,
            "p99": whole.quantile(0.99) if whole else None,
            "apdex": self.durations.apdex(target_ms) if self.durations else None,
            "target_ms": target_ms,
        }


def read(
    backend: Backend, view: View, scope: Scope = EVERYTHING, wanted: int = columns.COLUMNS
) -> Traffic:
    """Fetch a scope's series for a window."""
    durations = columns.durations(backend, scope.path("time"), view.start, view.end, wanted)
    few = durations is not None and (
        durations.is_sparse() or durations.whole.count < _FEW_REQUESTS * len(durations.slots)
    )
    if few and wanted > _FEW_COLUMNS:
        return read(backend, view, scope, _FEW_COLUMNS)
    by_class = {name: scope.path(f"status.{name}") for name, _, _ in CLASSES}
    errors = scope.path("errors")
    found = columns.sums(backend, [*by_class.values(), errors], view.start, view.end, wanted)
    classes = {name: found[path] for name, path in by_class.items() if path in found}
    start = axis_start(backend, view)
    return Traffic(view, durations, classes, found.get(errors), backend.live, start)


def axis_start(backend: Backend, view: View) -> int:
    """The window's start; or, where nothing is known from before it, the first sample in it."""
    path = EVERYTHING.path("time")
    found = columns.durations(backend, path, view.start, view.end, _AXIS_COLUMNS)
    known = next(iter(found.filled()), 0) if found else 0
    if found is None or known * found.step < view.span * _YOUNG_SHARE:
        return view.start
    if _were_requests(backend, path, view.start):
        return view.start
    return axis_from(view, found.start + (known - 1) * found.step)


def axis_from(view: View, first: float) -> int:
    """The window's start; or, where the first sample lies well behind it, where that lies."""
    if first - view.start < view.span * _YOUNG_SHARE:
        return view.start
    return max(view.start, min(int(first), view.end - _NARROWEST_S))


def _were_requests(backend: Backend, path: str, until: int) -> bool:
    """Whether something is known from before; slots that reach beyond it are left out."""
    periods = ((until - _EARLIER_S, until - _COARSEST_S), (until - _COARSEST_S, until - 60))
    found = (columns.durations(backend, path, start, end, 4) for start, end in periods)
    return any(each is not None and each.whole.count for each in found)


def charts(
    traffic: Traffic, before: Traffic | None, markers: list[dict[str, Any]]
) -> dict[str, Any]:
    """Throughput, latency, errors and heatmap as data."""
    shift = traffic.view.end - before.view.end if before else 0
    ghost = ghost_name(traffic.view)
    return {
        "throughput": _throughput(traffic, before, shift, ghost, markers),
        "latency": _latency(traffic, before, shift, ghost, markers),
        "errors": _errors(traffic, markers),
        "heatmap": _heatmap(traffic, markers),
    }


def ghost_name(view: View) -> str:
    """What the compared period is called in legends."""
    return COMPARISONS[view.compare][1] if view.compare in COMPARISONS else "before the deploy"


def _throughput(
    traffic: Traffic, before: Traffic | None, shift: int, ghost: str, markers: list[dict[str, Any]]
) -> dict[str, Any]:
    series = [
        drawing.line(
            name, found.start, found.step, traffic.filled(found, found.rate()), shape, colour
        )
        for name, colour, shape in CLASSES
        if (found := traffic.classes.get(name)) is not None and found.total
    ]
    if before and before.durations:
        past = before.durations
        series.append(
            drawing.line(ghost, past.start + shift, past.step, past.rate(), "ghost", "dim")
        )
    view = traffic.view
    total = traffic.count
    # A column has a rate when enough of it has passed: the first one has none for some seconds.
    is_drawn = any(np.isfinite(np.array(entry["values"], dtype=float)).any() for entry in series)
    is_young = bool(total) and traffic.is_live and view.is_live and not is_drawn
    change = _change(total, before.count if before else None, ghost, "requests", False)
    if before and not before.count:
        change = (f"no data {ghost}", False)
    return drawing.chart(
        "Throughput", "rate", traffic.axis_start, view.end, series, markers,
        summary=human.value(total / traffic.watched_s(), "rate") if total else "",
        description=f"Requests a second by status class, {human.count(total)} in all",
        change=change,
        **({"no_data": _COLLECTING} if is_young else {}),
    )  # fmt: skip


def _latency(
    traffic: Traffic, before: Traffic | None, shift: int, ghost: str, markers: list[dict[str, Any]]
) -> dict[str, Any]:
    found, view = traffic.durations, traffic.view
    series: list[dict[str, Any]] = []
    summary = change = ""
    bad = False
    if found is not None and found.whole.count:
        for name, q, colour in (("p50", 0.5, "c1"), ("p95", 0.95, "c2"), ("p99", 0.99, "c3")):
            series.append(
                drawing.line(name, found.start, found.step, found.quantile(q), "line", colour)
            )
        summary = " · ".join(
            f"{name} {human.value(found.whole.quantile(q), 'ms')}"
            for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        )
    if before and before.durations and before.durations.whole.count:
        past = before.durations
        series.append(
            drawing.line(
                f"p95 {ghost}", past.start + shift, past.step, past.quantile(0.95), "ghost", "dim"
            )
        )
        if found is not None and found.whole.count:
            now, then = found.whole.quantile(0.95), past.whole.quantile(0.95)
            change, bad = _change(now, then, ghost, "p95", True)
    cut_at = _cut_at(series)
    if cut_at is not None:
        summary += f" · axis cut at {human.value(cut_at, 'ms')}"
    return drawing.chart(
        "Latency", "ms", traffic.axis_start, view.end, series, markers,
        summary=summary,
        description=f"Response time percentiles: {summary or 'no requests'}",
        change=(change, bad),
        cut_at=cut_at,
    )  # fmt: skip


def _cut_at(series: Sequence[Mapping[str, Any]]) -> float | None:
    """Where the axis ends, so that a few very slow requests do not flatten all others; None where
    nothing has to be cut."""
    values = np.concatenate([np.asarray(each["values"], float) for each in series] or [np.empty(0)])
    known = values[np.isfinite(values)]
    if known.size < _CUT_OF:
        return None
    usual = float(np.quantile(known, _CUT_QUANTILE))
    return _CUT_FACTOR / 2 * usual if float(known.max()) > _CUT_FACTOR * usual > 0 else None


def _errors(traffic: Traffic, markers: list[dict[str, Any]]) -> dict[str, Any]:
    found, view = traffic.errors, traffic.view
    series = []
    if found is not None:
        series.append(drawing.line("errors", found.start, found.step, found.values, "bar", "crit"))
    elif traffic.count and traffic.durations is not None:
        # Nothing ever failed: an empty axis says so better than "no data".
        zero = traffic.durations.counts() * 0
        series.append(
            drawing.line(
                "errors", traffic.durations.start, traffic.durations.step, zero, "bar", "crit"
            )
        )
    total = traffic.error_count
    summary = f"{human.count(total)} in {human.seconds(view.span)}" if traffic.count else ""
    return drawing.chart(
        "Errors", "count", traffic.axis_start, view.end, series, markers,
        summary=summary,
        description=f"Requests that failed: {summary or 'no requests'}",
        change=("", False),
    )  # fmt: skip


def _heatmap(traffic: Traffic, markers: list[dict[str, Any]]) -> dict[str, Any]:
    found, view = traffic.durations, traffic.view
    count = len(found.slots) if found else 0
    factor = max(count // 72, 1)
    parts = (
        [found.slots.joined(i, min(i + factor, count)) for i in range(0, count, factor)]
        if found
        else []
    )
    return drawing.chart(
        "How long requests take", "ms", traffic.axis_start, view.end, [], markers,
        summary="every request, by duration",
        description=_spread(traffic),
        change=("", False),
        slots=[part if part.count else None for part in parts],
        slots_start=found.start if found else view.start,
        slots_step=found.step * factor if found else 1,
    )  # fmt: skip


def _spread(traffic: Traffic) -> str:
    """What the heatmap shows, in words."""
    text = "Heatmap of response times: the darker, the more requests"
    if not traffic.durations or not traffic.count:
        return text
    whole = traffic.durations.whole
    low, half, high = (human.value(whole.quantile(q), "ms") for q in (0.05, 0.5, 0.95))
    return f"{text}. Half within {half}, nine of ten between {low} and {high}"


def _change(
    now: float, then: float | None, ghost: str, what: str, more_is_bad: bool
) -> tuple[str, bool]:
    text = human.change(now, then)
    if not text:
        return "", False
    return f"{what} {text} on {ghost}", more_is_bad and then is not None and now > 1.3 * then
