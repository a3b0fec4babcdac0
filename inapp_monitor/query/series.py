"""One series of numbers on a regular grid of times, and how it gets coarser. Pure.

`values[i]` belongs to `start + i * step`; NaN stands for null. Functions never change a series:
they derive a new one. As in Graphite, `end` need not be `start + len(values) * step`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.tagged import parse_tags

Floats = NDArray[np.float64]

#: Ways to consolidate, with Graphite's second name for one.
CONSOLIDATIONS = ("sum", "average", "avg", "avg_zero", "max", "min", "first", "last")
#: Characters of a name that a function may make: those of a thousand paths joined.
MAX_NAME_CHARS = 200_000
_CALL_NAME = re.compile(r"[a-z]+[(].+[)]$", re.IGNORECASE)


class Series:
    """A named stream of values.

    Attributes:
        name: What is shown.
        start, end, step: The grid, in seconds.
        values: float64, NaN = null.
        path_expression: The path or call that made it; aggregates are named after it.
        consolidation: How points are joined when there are more than can be shown.
        x_files_factor: Share of a bucket that must be known for its joined value to be known.
        tags: Names and values, all strings; at least `name`.
        options: How to draw it (`color`, `dashed`, `stacked`, ...).
        whole: Values are counts, written without a fraction where Graphite does so.
    """

    __slots__ = (
        "consolidation",
        "end",
        "name",
        "options",
        "path_expression",
        "start",
        "step",
        "tags",
        "values",
        "whole",
        "x_files_factor",
    )

    def __init__(
        self,
        name: str,
        start: int,
        end: int,
        step: int,
        values: Floats | Sequence[float],
        *,
        path_expression: str | None = None,
        consolidation: str = "average",
        x_files_factor: float = 0.0,
        tags: dict[str, str] | None = None,
        options: dict[str, object] | None = None,
        whole: bool = False,
    ) -> None:
        self.name = name
        self.start = start
        self.end = end
        self.step = step
        self.values: Floats = np.asarray(values, dtype=np.float64)
        self.path_expression = name if path_expression is None else path_expression
        self.consolidation = consolidation
        self.x_files_factor = x_files_factor
        self.tags = _tags_of(name) if tags is None else tags
        self.options = {} if options is None else options
        self.whole = whole

    def __len__(self) -> int:
        return len(self.values)

    def derive(
        self,
        name: str | None = None,
        values: Floats | None = None,
        *,
        tags: dict[str, object] | None = None,
        start: int | None = None,
        end: int | None = None,
        step: int | None = None,
        path_expression: str | None = None,
        options: dict[str, object] | None = None,
        whole: bool | None = None,
    ) -> Series:
        """A series like this one with some parts replaced; `tags` and `options` are added.

        A new name is also the new path expression unless that is given.
        """
        if path_expression is None:
            path_expression = self.path_expression if name is None else name
        if name is not None and len(name) > MAX_NAME_CHARS:
            raise QueryError(f"a name of more than {MAX_NAME_CHARS} characters is too long")
        made = Series.__new__(Series)
        made.name = self.name if name is None else name
        made.start = self.start if start is None else start
        made.end = self.end if end is None else end
        made.step = self.step if step is None else step
        made.values = self.values if values is None else values
        made.path_expression = path_expression
        made.consolidation = self.consolidation
        made.x_files_factor = self.x_files_factor
        made.tags = {**self.tags, **{k: str(v) for k, v in tags.items()}} if tags else self.tags
        made.options = {**self.options, **options} if options else self.options
        made.whole = (self.whole and values is None) if whole is None else whole
        return made

    def renamed(self, name: str) -> Series:
        """The same series shown under another name; its path expression stays."""
        return self.derive(name, path_expression=self.path_expression)

    def timestamps(self) -> NDArray[np.int64]:
        """The time of each value that lies on the grid up to `end`."""
        count = min(len(self.values), max(0, -(-(self.end - self.start) // self.step)))
        return self.start + np.arange(count, dtype=np.int64) * self.step

    def consolidated(self, factor: int) -> Series:
        """Buckets of `factor` points each, counted from the first one; the last may be partial."""
        if factor <= 1:
            return self
        values = consolidate(self.values, factor, self.consolidation, self.x_files_factor)
        return self.derive(values=values, step=self.step * factor, whole=False)

    def __repr__(self) -> str:
        return f"Series({self.name!r}, {self.start}, {self.end}, {self.step}, {len(self)} values)"


def _tags_of(name: str) -> dict[str, str]:
    if _CALL_NAME.match(name):
        return {"name": name}
    return parse_tags(name) or {"name": name}


def consolidate(values: Floats, factor: int, how: str, x_files_factor: float) -> Floats:
    """Join each `factor` values by `how`; NaN where fewer than `x_files_factor` of them are known.

    Raises:
        QueryError: `how` is no consolidation function.
    """
    how = {"avg": "average"}.get(how, how)
    if how not in CONSOLIDATIONS:
        raise QueryError(f"invalid consolidation function {how!r}: one of {CONSOLIDATIONS}")
    count = len(values)
    buckets = -(-count // factor)
    known = ~np.isnan(values)
    padded_known = np.zeros(buckets * factor, dtype=bool)
    padded_known[:count] = known
    rows_known = padded_known.reshape(buckets, factor)
    counts = rows_known.sum(axis=1)
    fill = {"max": -np.inf, "min": np.inf}.get(how, 0.0)
    padded = np.full(buckets * factor, fill)
    padded[:count] = np.where(known, values, fill)
    rows = padded.reshape(buckets, factor)
    with np.errstate(all="ignore"):
        joined = _join(rows, rows_known, counts, how, count, factor)
    joined[(counts == 0) | (counts / factor < x_files_factor)] = np.nan
    return joined


def _join(
    rows: Floats, known: NDArray[np.bool_], counts: NDArray[np.int64], how: str, n: int, factor: int
) -> Floats:
    joined: Floats
    if not len(rows):
        joined = np.empty(0)
    elif how in ("max", "min"):
        joined = rows.max(axis=1) if how == "max" else rows.min(axis=1)
    elif how in ("first", "last"):
        index = (known if how == "first" else known[:, ::-1]).argmax(axis=1)
        index = index if how == "first" else factor - 1 - index
        joined = rows[np.arange(len(rows)), index]
    else:
        joined = np.add.accumulate(rows, axis=1)[:, -1]
        if how == "average":
            joined = joined / np.maximum(counts, 1)
        elif how == "avg_zero":
            sizes = np.full(len(rows), factor)
            sizes[-1] = n - (len(rows) - 1) * factor
            joined = joined / sizes
    return joined


def lcm(series_list: Sequence[Series]) -> int:
    """The least common multiple of the steps."""
    steps = {s.step for s in series_list}
    if any(step <= 0 or step != int(step) for step in steps):
        raise QueryError("a series with a step of less than a second cannot be combined")
    step = reduce(math.lcm, (int(step) for step in steps))
    if step > 1_000 * 366 * 86_400:
        raise QueryError("the steps of the series have no common multiple within reason")
    return step


class Normalized:
    """Series brought to one step: the input of everything that combines them.

    Attributes:
        series: The consolidated series.
        start, end, step: The common grid.
        width: Number of steps.
    """

    __slots__ = ("_shifts", "end", "series", "start", "step", "width")

    def __init__(self, series_list: Sequence[Series], *, align: bool = False) -> None:
        step = lcm(series_list)
        if align:
            series_list = [_aligned(s, step) for s in series_list]
        self.series = [s.consolidated(step // int(s.step)) for s in series_list]
        self.step = step
        self.start = min(s.start for s in series_list)
        end = max(s.end for s in series_list)
        self.end = end - (end - self.start) % step
        self._shifts = [(s.start - self.start) // step if align else 0 for s in self.series]
        self.width = max(len(s) + n for s, n in zip(self.series, self._shifts, strict=True))

    def arrays(self) -> list[Floats]:
        """The values of each series on the common grid, NaN where it has none."""
        made = []
        for s, shift in zip(self.series, self._shifts, strict=True):
            values = s.values
            if len(values) != self.width:
                values = np.full(self.width, np.nan)
                values[shift : shift + len(s)] = s.values
            made.append(values)
        return made

    @property
    def rows(self) -> Floats:
        """The same as a matrix of its own, one row a series."""
        return np.array(self.arrays())


def _aligned(series: Series, step: int) -> Series:
    """Start at a multiple of `step`, filled up with nulls in front."""
    start = series.start - series.start % step
    missing = (series.start - start) // int(series.step)
    if not missing:
        return series
    values = np.concatenate([np.full(missing, np.nan), series.values])
    return series.derive(values=values, start=start)
