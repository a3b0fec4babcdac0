"""Reads what collectors published and makes charts of it, with the ghost of an earlier time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from inapp_monitor.ground.points import Method
from inapp_monitor.query.series import Floats
from inapp_monitor.web import human
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.findings import comparison, deploys, traffic
from inapp_monitor.web.findings.resource_charts import Line, Picture, Section
from inapp_monitor.web.frame import columns, drawing
from inapp_monitor.web.frame.view import View

#: Lines of a chart of an app's own collector, and charts of all of them.
_MOST_LINES = 5
_MOST_OWN_CHARTS = 24
_COLOURS = ("c1", "c2", "c3", "c4", "c5", "c6")


def sections(backend: Backend, view: View, wanted: Sequence[Section]) -> list[dict[str, Any]]:
    """Sections with those of their charts that have something to show."""
    earlier = comparison.view_before(backend, view)
    pictures = [picture for section in wanted for picture in section.pictures]
    now = Read.of(backend, view, _paths(pictures))
    before = Read.of(backend, earlier, _paths(pictures, first_only=True)) if earlier else None
    marks = deploys.between(backend, view.start, view.end)
    axis_start = traffic.axis_start(backend, view)
    made = []
    for section in wanted:
        charts = [_chart(picture, now, before, marks, axis_start) for picture in section.pictures]
        shown = [chart for chart in charts if chart is not None]
        if shown or section.hint:
            made.append({"title": section.title, "hint": section.hint, "charts": shown})
    return made


def of_collectors(backend: Backend, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Charts of the collectors that are not built in: gauges as they are, counters a second."""
    methods = {leaf.path: leaf.method for leaf in backend.store.leaves() if leaf.kind == "scalar"}
    pictures: list[Picture] = []
    for row in rows:
        if row.get("source") == "built in":
            continue
        paths = [path for path in row.get("paths") or () if path in methods]
        for rate in (False, True):
            alike = [path for path in paths if (methods[path] is Method.SUM) == rate]
            for in_bytes in (False, True):
                chosen = [path for path in alike if path.endswith("bytes") == in_bytes]
                unit: human.Unit = "bytes" if in_bytes else "rate" if rate else ""
                pictures += _own_pictures(str(row["name"]), chosen, unit, rate=rate)
    return Section("Your collectors", tuple(pictures[:_MOST_OWN_CHARTS]))


def _own_pictures(
    name: str, paths: Sequence[str], unit: human.Unit, *, rate: bool
) -> list[Picture]:
    """Series of one kind, some to a chart."""
    pictures = []
    for begin in range(0, len(paths), _MOST_LINES):
        some = paths[begin : begin + _MOST_LINES]
        lines = [
            Line(
                path.removeprefix(f"{name}."),
                (path,),
                "rate" if rate else "level",
                shape="area" if number == 0 else "line",
            )
            for number, path in enumerate(some)
        ]
        title = some[0] if len(some) == 1 else name
        pictures.append(Picture(f"{title}, a second" if rate else title, unit, tuple(lines)))
    return pictures


class Read:
    """Series of a window, and lines made of them."""

    def __init__(self, backend: Backend, view: View, found: Mapping[str, Any]) -> None:
        self.view = view
        self._backend = backend
        self._found = found
        self._distributions: dict[str, columns.Durations | None] = {}
        interval_s = backend.loaded.settings.collect_interval_s
        self._columns = max(min(columns.COLUMNS, int(view.span / interval_s)), 1)
        self._now = backend.now()

    @classmethod
    def of(cls, backend: Backend, view: View, paths: Sequence[str]) -> Read:
        """Fetch what is there of some series."""
        fetched = backend.store.fetch(paths, view.start, view.end, view.now)
        return cls(backend, view, {each.path: each for each in fetched})

    def line(self, line: Line) -> tuple[float, float, Floats] | None:
        """Start, step and values; None when there is no value at all."""
        if line.reading == "level":
            return self._some(self._level(line.paths))
        if line.reading == "quantile":
            return self._some(self._quantile(line.paths[0], line.factor))
        made = self._some(self._rate(line.paths))
        if made is None:
            return None
        start, step, values = made
        if line.parts_of:
            whole = self._rate(line.parts_of)
            if whole is None or len(whole[2]) != len(values):
                return None
            with np.errstate(invalid="ignore", divide="ignore"):
                return start, step, 100.0 * values / whole[2]
        return start, step, values * line.factor

    def _some(self, made: tuple[float, float, Floats] | None) -> tuple[float, float, Floats] | None:
        return made if made is not None and bool(np.isfinite(made[2]).any()) else None

    def _level(self, paths: Sequence[str]) -> tuple[float, float, Floats] | None:
        """The highest known value of each column: peaks are what one looks for here."""
        rows = self._columns_of(paths)
        if rows is None:
            return None
        start, step, values, _ = rows
        with np.errstate(invalid="ignore"):
            return start, step, np.fmax.reduce(values, axis=1)

    def _rate(self, paths: Sequence[str]) -> tuple[float, float, Floats] | None:
        """What was added in a second of each column, as far as it was counted."""
        rows = self._columns_of(paths)
        if rows is None:
            return None
        start, step, values, slot_s = rows
        slots = np.arange(values.size)
        is_over = (start + slot_s * (slots + 1) <= self._now).reshape(values.shape)
        known = np.isfinite(values) & is_over
        filled = np.flatnonzero(known.ravel())
        if not filled.size:
            return None
        # Of the first and the last column only the part that was counted: the rest is not over.
        counted = ((slots >= filled[0]) & (slots <= filled[-1])).reshape(values.shape)
        seconds = counted.sum(axis=1) * slot_s
        sums = np.where(known, values, 0.0).sum(axis=1)
        rates = np.where(known.any(axis=1), sums / np.maximum(seconds, slot_s), np.nan)
        return start, step, rates

    def _quantile(self, path: str, q: float) -> tuple[float, float, Floats] | None:
        if path not in self._distributions:
            view = self.view
            self._distributions[path] = columns.durations(
                self._backend, path, view.start, view.end, self._columns
            )
        found = self._distributions[path]
        return None if found is None else (found.start, found.step, found.quantile(q))

    def _columns_of(self, paths: Sequence[str]) -> tuple[float, float, Floats, float] | None:
        """The sum of some series, a row a column: start, step, rows, seconds of a slot."""
        found = [self._found[path] for path in paths if path in self._found]
        found = [each for each in found if len(each.values)]
        found = [
            each for each in found if (each.start, each.step) == (found[0].start, found[0].step)
        ]
        if not found:
            return None
        length = min(len(each.values) for each in found)
        arrays = np.array([np.asarray(each.values)[:length] for each in found])
        known = np.isfinite(arrays)
        total = np.where(known.any(axis=0), np.where(known, arrays, 0.0).sum(axis=0), np.nan)
        first = found[0]
        parts = columns.Columns.of(first.start, first.step, length, self._columns, self._now)
        trail = -(parts.lead + length) % parts.factor
        padded = np.concatenate([np.full(parts.lead, np.nan), total, np.full(trail, np.nan)])
        return parts.start, parts.step, padded.reshape(-1, parts.factor), float(first.step)


def _paths(pictures: Sequence[Picture], first_only: bool = False) -> list[str]:
    lines = [line for picture in pictures for line in picture.lines[: 1 if first_only else None]]
    return list(dict.fromkeys(path for line in lines for path in (*line.paths, *line.parts_of)))


def _chart(
    picture: Picture,
    read: Read,
    before: Read | None,
    marks: list[dict[str, Any]],
    axis_start: int,
) -> dict[str, Any] | None:
    series: list[dict[str, Any]] = []
    for line in picture.lines:
        made = read.line(line)
        if made is not None and (line is picture.lines[0] or bool((made[2] > 0).any())):
            colour = line.colour or _COLOURS[len(series) % len(_COLOURS)]
            series.append(drawing.line(line.name, *made, line.shape, colour))
    if not series:
        return None
    view, change = read.view, ""
    past = before.line(picture.lines[0]) if before is not None else None
    if before is not None and past is not None:
        ghost, (start, step, values) = traffic.ghost_name(view), past
        shifted = (start + view.end - before.view.end, step, values)
        series.append(drawing.line(ghost, *shifted, "ghost", "dim"))
        moved = human.change(_mean(series[0]["values"]), _mean(values))
        change = f"{series[0]['name']} {moved} on {ghost}" if moved else ""
    summary = _summary(picture, series)
    return drawing.chart(
        picture.title, picture.unit, axis_start, view.end, series, marks,
        summary=summary,
        description=f"{picture.title} over time: {summary}",
        change=(change, False),
    )  # fmt: skip


def _summary(picture: Picture, series: Sequence[Mapping[str, Any]]) -> str:
    """The latest value of the first line, and of a limit where there is one."""
    text = human.value(_last(series[0]["values"]), picture.unit)
    limits = [entry for entry in series if entry["colour"] == "dim" and entry["shape"] == "line"]
    if limits:
        text += f" of {human.value(_last(limits[0]['values']), picture.unit)}"
    return text


def _last(values: Sequence[float]) -> float | None:
    known = [value for value in values if value == value]
    return known[-1] if known else None


def _mean(values: Any) -> float | None:
    array = np.asarray(values, dtype=float)
    known = array[np.isfinite(array)]
    return float(known.mean()) if known.size else None
