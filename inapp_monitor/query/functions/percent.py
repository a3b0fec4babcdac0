"""`asPercent`, with its five ways to say of what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.aggregation import aggregate_arrays
from inapp_monitor.query.registry import Param, function, series_list
from inapp_monitor.query.series import Floats, Series
from inapp_monitor.query.series_names import grouped, joined_paths

if TYPE_CHECKING:
    from inapp_monitor.query.context import Context


@function(
    "asPercent",
    "Combine",
    series_list(),
    Param("total", "any"),
    Param("nodes", "nodeOrTag", multiple=True),
    also=("pct",),
    aggregator=True,
)
def as_percent(
    context: Context,
    series: list[Series],
    total: list[Series] | float | None = None,
    *nodes: int | str,
) -> list[Series]:
    """Each series as a percentage of a total.

    The total is the sum of all series, one series, a number, or series matched one to one by name;
    with nodes, the sum of (or the total series in) the group that has the same nodes.
    """
    if not series:
        return []
    if nodes:
        return _by_nodes(context, series, total, nodes)
    if total is None:
        normalized = context.normalize(series)
        values, _ = aggregate_arrays("sum", normalized.arrays())
        text = f"sumSeries({joined_paths(series)})"
        return _of_values(context, series, normalized.series, values, text)
    if isinstance(total, list):
        return _of_series(context, series, total)
    normalized = context.normalize(series)
    values = np.full(len(series[0]), float(total))
    return _of_values(context, series, normalized.series, values, str(total))


def _percent(above: Floats, below: Floats) -> Floats:
    if len(above) != len(below):
        rows = np.full((2, max(len(above), len(below))), np.nan)
        rows[0, : len(above)] = above
        rows[1, : len(below)] = below
        above, below = rows
    with np.errstate(all="ignore"):
        return np.where(below == 0, np.nan, above / below * 100.0)


def _of_values(
    context: Context,
    series: Sequence[Series],
    consolidated: Sequence[Series],
    values: Floats,
    text: str,
) -> list[Series]:
    return [
        Series(
            f"asPercent({original.name},{text})",
            original.start,
            original.end,
            original.step,
            _percent(s.values, values),
            x_files_factor=context.x_files_factor,
        )
        for original, s in zip(series, consolidated, strict=True)
    ]


def _of_series(context: Context, series: list[Series], total: list[Series]) -> list[Series]:
    if len(total) not in (1, len(series)):
        raise QueryError(
            f"parameter 'total' must be one series or as many as seriesList has ({len(series)}), "
            f"got {len(total)}"
        )
    if len(total) == len(series):
        by_name = sorted(series, key=lambda s: s.name), sorted(total, key=lambda s: s.name)
        return [_pair(context, a, b) for a, b in zip(*by_name, strict=True)]
    normalized = context.normalize([*series, *total])
    *parts, whole = normalized.series
    return _of_values(context, series, parts, whole.values, total[0].name)


def _pair(context: Context, part: Series, whole: Series) -> Series:
    normalized = context.normalize([part, whole])
    return Series(
        f"asPercent({part.name},{whole.name})",
        normalized.start,
        normalized.end,
        normalized.step,
        _percent(*normalized.arrays()),
        x_files_factor=context.x_files_factor,
    )


def _by_nodes(
    context: Context,
    series: list[Series],
    total: list[Series] | float | None,
    nodes: Sequence[int | str],
) -> list[Series]:
    parts = grouped(series, nodes)
    if total is not None and not isinstance(total, list):
        raise QueryError("parameter 'total' must be none or a series list when nodes are given")
    totals = parts if total is None else grouped(total, nodes)
    wholes = {
        key: group[0] if len(group) == 1 else _sum(context, group) for key, group in totals.items()
    }
    made = []
    # What has no counterpart is drawn on the grid of what was computed last, as Graphite does.
    summed = [wholes[key] for key, group in totals.items() if len(group) > 1]
    grid = summed[-1] if summed else None
    for key in dict.fromkeys([*parts, *wholes]):
        if key not in parts:
            whole = wholes[key]
            made.append(_nulls(context, f"asPercent(MISSING,{whole.name})", whole, grid or whole))
        for part in parts.get(key, ()):
            if key in wholes:
                grid = _pair(context, part, wholes[key])
                made.append(grid)
            else:
                name = f"asPercent({part.name},MISSING)"
                made.append(_nulls(context, name, part, grid or part))
    return made


def _sum(context: Context, group: list[Series]) -> Series:
    normalized = context.normalize(group)
    return Series(
        f"sumSeries({joined_paths(group)})",
        normalized.start,
        normalized.end,
        normalized.step,
        aggregate_arrays("sum", normalized.arrays())[0],
        x_files_factor=context.x_files_factor,
    )


def _nulls(context: Context, name: str, like: Series, grid: Series) -> Series:
    values = np.full(len(like), np.nan)
    return Series(
        name, grid.start, grid.end, grid.step, values, x_files_factor=context.x_files_factor
    )
