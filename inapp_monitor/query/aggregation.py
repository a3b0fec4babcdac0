"""Many values to one: the aggregation functions, over rows of a matrix and over one array. Pure.

Rows are the members (series, or positions in a bucket), columns are the results. NaN is null.
Sums run in the order of the rows, so that results do not depend on numpy's blocking.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from inapp_monitor.ground.exceptions import QueryError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_ALIASES = {"avg": "average", "total": "sum", "rangeOf": "range", "current": "last"}


def _sum(rows: Floats, known: Bools) -> Floats:
    result: Floats = np.where(known, rows, 0.0).sum(axis=0)
    return result


def _average(rows: Floats, known: Bools) -> Floats:
    result: Floats = _sum(rows, known) / known.sum(axis=0)
    return result


def _max(rows: Floats, known: Bools) -> Floats:
    result: Floats = np.where(known, rows, -np.inf).max(axis=0)
    return result


def _min(rows: Floats, known: Bools) -> Floats:
    result: Floats = np.where(known, rows, np.inf).min(axis=0)
    return result


def _range(rows: Floats, known: Bools) -> Floats:
    result: Floats = _max(rows, known) - _min(rows, known)
    return result


def _median(rows: Floats, known: Bools) -> Floats:
    counts = known.sum(axis=0)
    ordered = np.sort(np.where(known, rows, np.inf), axis=0)
    columns = np.arange(rows.shape[1])
    upper = ordered[np.minimum(counts // 2, len(ordered) - 1), columns]
    lower = ordered[np.maximum((counts - 1) // 2, 0), columns]
    result: Floats = np.where(counts % 2 == 1, lower, (lower + upper) / 2)
    return result


def _diff(rows: Floats, known: Bools) -> Floats:
    values = np.where(known, -rows, 0.0)
    first = known.argmax(axis=0)
    columns = np.arange(rows.shape[1])
    values[first, columns] *= -1.0
    result: Floats = values.sum(axis=0)
    return result


def _stddev(rows: Floats, known: Bools) -> Floats:
    mean = _average(rows, known)
    result: Floats = np.sqrt(_average((rows - mean) ** 2, known))
    return result


def _count(_rows: Floats, known: Bools) -> Floats:
    result: Floats = known.sum(axis=0).astype(np.float64)
    return result


def _last(rows: Floats, known: Bools) -> Floats:
    index = len(rows) - 1 - known[::-1].argmax(axis=0)
    result: Floats = rows[index, np.arange(rows.shape[1])]
    return result


_IMPLEMENTATIONS: dict[str, Callable[[Floats, Bools], Floats]] = {
    "average": _average,
    "median": _median,
    "sum": _sum,
    "min": _min,
    "max": _max,
    "diff": _diff,
    "stddev": _stddev,
    "count": _count,
    "range": _range,
    "last": _last,
}
#: Every name that a client may use, Graphite's order.
AGGREGATIONS = (
    "average", "avg_zero", "median", "sum", "min", "max", "diff", "stddev", "count", "range",
    "multiply", "last", *_ALIASES,
)  # fmt: skip


def resolve(name: str) -> str:
    """The canonical name.

    Raises:
        QueryError: there is no such aggregation.
    """
    resolved = _ALIASES.get(name, name)
    if resolved not in AGGREGATIONS:
        raise QueryError(f"unknown aggregation function {name!r}: one of {', '.join(AGGREGATIONS)}")
    return resolved


def aggregate_rows(name: str, rows: Floats, present: Bools | None = None) -> Floats:
    """One value a column.

    Args:
        name: An aggregation function.
        rows: Members by results.
        present: Cells that are members at all, unlike nulls; all when missing.

    Returns:
        NaN for a column without known values (`count` too, `avg_zero` if it has no members).
    """
    name = resolve(name)
    if not rows.size:
        return np.full(rows.shape[1], np.nan)
    known = rows == rows
    with np.errstate(all="ignore"):
        if name == "multiply":
            product = (np.where(known, rows, 1.0)).prod(axis=0)
            nulls = ~known if present is None else present & ~known
            result = np.where(nulls.any(axis=0), np.nan, product)
        elif name == "avg_zero":
            members = len(rows) if present is None else present.sum(axis=0)
            result = _sum(rows, known) / members
        else:
            result = _IMPLEMENTATIONS[name](rows, known)
    result[~known.any(axis=0)] = np.nan
    return result


def aggregate_arrays(name: str, arrays: Sequence[Floats]) -> tuple[Floats, NDArray[np.int64]]:
    """One value a position over equally long arrays, and how many of them are known there.

    The frequent functions go through the arrays one by one, which fit into the processor's cache
    where a matrix of them does not.
    """
    name = resolve(name)
    width = len(arrays[0])
    known = np.zeros(width, dtype=np.int64)
    with np.errstate(all="ignore"):
        if name in ("sum", "average"):
            result, known = _streamed_sum(arrays)
            if name == "average":
                result /= known
        elif name in ("max", "min"):
            pick = np.fmax if name == "max" else np.fmin
            result = np.full(width, np.nan)
            for values in arrays:
                known += values == values
                pick(result, values, out=result)
        else:
            rows = np.array(arrays)
            known = (~np.isnan(rows)).sum(axis=0)
            result = aggregate_rows(name, rows)
    result[known == 0] = np.nan
    return result, known


def _streamed_sum(arrays: Sequence[Floats]) -> tuple[Floats, NDArray[np.int64]]:
    """Sums in the order of the arrays, and how many values are known at each position."""
    width = len(arrays[0])
    total, filled = np.zeros(width), np.empty(width)
    known = np.full(width, len(arrays), dtype=np.int64)
    few = np.zeros(width, dtype=np.uint8)  # nulls of up to 255 arrays: bytes are added fastest
    for i, values in enumerate(arrays, 1):
        null = values != values
        few += null.view(np.uint8)
        if not i % 255:
            known -= few
            few[:] = 0
        np.copyto(filled, values)
        np.putmask(filled, null, 0.0)
        total += filled
    return total, known - few


def aggregate(name: str, values: Floats) -> float:
    """One value for one array; NaN when nothing is known (`count` is 0)."""
    name = resolve(name)
    if name in ("max", "min"):
        pick = np.fmax if name == "max" else np.fmin
        return float(pick.reduce(values, initial=np.nan))
    known = values[~np.isnan(values)]
    if name == "count":
        return float(len(known))
    if name == "avg_zero":
        return sequential_sum(known) / len(values) if len(values) else math.nan
    if not len(known):
        return math.nan
    with np.errstate(all="ignore"):
        return _SINGLE[name](known, len(known) == len(values))


def sequential_sum(values: Floats) -> float:
    """The sum from first to last (numpy adds in blocks, which differs in the last digits)."""
    return float(np.add.accumulate(values)[-1]) if len(values) else 0.0


def _single_median(known: Floats) -> float:
    middle = len(known) // 2
    if len(known) % 2:
        return float(np.partition(known, middle)[middle])
    ordered = np.partition(known, (middle - 1, middle))
    return float(ordered[middle - 1] + ordered[middle]) / 2


def _single_stddev(known: Floats) -> float:
    mean = sequential_sum(known) / len(known)
    return math.sqrt(sequential_sum((known - mean) ** 2) / len(known))


_SINGLE: dict[str, Callable[[Floats, bool], float]] = {
    "average": lambda known, _: sequential_sum(known) / len(known),
    "median": lambda known, _: _single_median(known),
    "sum": lambda known, _: sequential_sum(known),
    "diff": lambda known, _: sequential_sum(np.concatenate([known[:1], -known[1:]])),
    "stddev": lambda known, _: _single_stddev(known),
    "range": lambda known, _: float(known.max() - known.min()),
    "multiply": lambda known, whole: (
        float(np.multiply.accumulate(known)[-1]) if whole else math.nan
    ),
    "last": lambda known, _: float(known[-1]),
}


def percentile_rows(rows: Floats, n: float, *, interpolate: bool = False) -> Floats:
    """Graphite's percentile of each column: rank n/100 of (known + 1), rounded up.

    The matrix gets sorted in place: hand over one of your own.

    Raises:
        QueryError: the rank lies beyond the last value.
    """
    if not rows.size:
        return np.full(rows.shape[1], np.nan)
    counts = np.add.reduce((rows == rows).view(np.uint8), axis=0, dtype=np.int32)
    rows.sort(axis=0)  # NaN last
    ordered = rows
    fractional = n / 100.0 * (counts + 1)
    rank = fractional.astype(np.int64)
    fraction = fractional - rank
    if not interpolate:
        rank = rank + np.ceil(fraction).astype(np.int64)
    some = counts > 0
    beyond = (rank > counts + (0 if interpolate else 1)) | (rank < 1 - counts)
    if (some & beyond).any():
        raise QueryError(f"percentile {n:g} is out of range")
    columns = np.arange(rows.shape[1])
    index = np.where(rank - 1 == counts, counts - 1, rank - 1)
    index = np.where(rank == 0, 0, np.where(rank < 0, counts + rank - 1, index))
    index = np.clip(index, 0, len(rows) - 1)
    result: Floats = ordered[index, columns]
    if interpolate:
        following = ordered[np.clip(rank, 0, len(rows) - 1), columns]
        with np.errstate(all="ignore"):
            result = np.where(rank != counts, result + fraction * (following - result), result)
    result[~some] = np.nan
    return result


def percentile(values: Floats, n: float) -> float:
    """The percentile of one array."""
    return float(percentile_rows(values[:, None].copy(), n)[0]) if len(values) else math.nan
