"""The JSON formats: json, rickshaw and dygraph.

Texts are put together from whole lists at C speed instead of walking through a tree of values.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.series import Series
from inapp_monitor.web.graphite.formats.options import Options

#: JSON has no infinity; readers take this for it.
_INFINITY = "1e9999"
_OWN_LINE_INFINITY = re.compile(r'^(\s*(?:"y": )?-?)Infinity(?=,?$)', re.MULTILINE)


def value_texts(series: Series, infinity: str = _INFINITY) -> list[str]:
    """Each value as JSON writes it; null for NaN."""
    if not len(series):
        return []
    if series.whole:
        return [_whole(value, infinity) for value in series.values.tolist()]
    short = _short_decimals(series.values)
    if short is not None:
        return short
    text = repr(series.values.tolist())[1:-1]
    if "n" in text:  # nan, inf
        text = text.replace("nan", "null").replace("inf", infinity)
    return text.split(", ")


#: Texts of what stands before and after the point of values with up to three decimals.
_WHOLES = np.array([str(i) for i in range(10_000)], dtype=object)
_FRACTIONS = np.array(["." + (f"{i:03d}".rstrip("0") or "0") for i in range(1_000)], dtype=object)


def _short_decimals(values: NDArray[np.float64]) -> list[str] | None:
    """The texts when all values have at most three decimals and are small, else None.

    Python needs most of the time of an answer to find the shortest text of each float. Where three
    decimals say it all, that text is put together from two tables.
    """
    null = np.isnan(values)
    size = np.abs(np.where(null, 0.0, values))
    with np.errstate(over="ignore"):
        thousandths = np.rint(size * 1000)
    if not ((thousandths < 1e7) & (thousandths / 1000 == size)).all():
        return None
    wholes, fractions = np.divmod(thousandths.astype(np.int64), 1000)
    texts = _WHOLES[wholes] + _FRACTIONS[fractions]
    negative = np.signbit(values) & ~null
    if negative.any():
        texts[negative] = "-" + texts[negative]
    texts[null] = "null"
    found: list[str] = texts.tolist()
    return found


def _whole(value: float, infinity: str) -> str:
    if math.isnan(value):
        return "null"
    if math.isinf(value):
        return infinity if value > 0 else f"-{infinity}"
    return str(int(value)) if value == int(value) else repr(value)


@lru_cache(maxsize=64)
def _time_texts(start: int, step: int, count: int, before: str, after: str) -> tuple[str, ...]:
    return tuple(f"{before}{t}{after}" for t in range(start, start + count * step, step))


def _grid(series: Series, stop: int) -> tuple[int, int, int]:
    """Start, step and number of the times up to `stop` (not included) that have a value."""
    step = int(series.step)
    if step <= 0:
        raise QueryError(f"series {series.name[:80]!r} has a step of less than a second")
    start = int(series.start)
    return start, step, max(0, min(len(series), -(-(stop - start) // step)))


def write_json(series_list: Sequence[Series], options: Options) -> bytes:
    """`[{"target", "tags", "datapoints": [[value, time], ...]}, ...]`."""
    parts = []
    if not any(len(s) for s in series_list):
        series_list = ()
    for series in series_list:
        start, step, count = _grid(series, int(series.end) + 1)
        values = value_texts(series)[:count]
        times = _time_texts(start, step, count, ", ", "], [")
        if options.skip_nulls:
            pairs = [(v, t) for v, t in zip(values, times, strict=True) if v != "null"]
            if not pairs:
                continue
            values, times = [v for v, _ in pairs], tuple(t for _, t in pairs)
        texts = [""] * (2 * len(values))
        texts[0::2] = values
        texts[1::2] = times
        points = "".join(texts)[:-3]
        parts.append(
            f'{{"target": {_name(series)}, "tags": {json.dumps(series.tags)}, '
            f'"datapoints": [{"[" if points else ""}{points}]}}'
        )
    return _finished(f"[{', '.join(parts)}]", options)


def _name(series: Series) -> str:
    return "null" if series.options.get("unnamed") and not series.name else json.dumps(series.name)


def _finished(text: str, options: Options) -> bytes:
    if options.pretty:
        text = _OWN_LINE_INFINITY.sub(rf"\g<1>{_INFINITY}", json.dumps(json.loads(text), indent=2))
    return text.encode()


def write_rickshaw(series_list: Sequence[Series], options: Options) -> bytes:
    """`[{"target", "datapoints": [{"x": time, "y": value}, ...]}, ...]`."""
    parts = []
    for series in series_list:
        start, step, count = _grid(series, int(series.end))
        values = value_texts(series)[:count]
        times = _time_texts(start, step, count, '{"x": ', ', "y": ')
        points = ", ".join(f"{t}{v}}}" for t, v in zip(times, values, strict=True))
        parts.append(f'{{"target": {json.dumps(series.name)}, "datapoints": [{points}]}}')
    return _finished(f"[{', '.join(parts)}]", options)


def write_dygraph(series_list: Sequence[Series], _options: Options) -> bytes:
    """`{"labels": ["Time", ...], "data": [[milliseconds, value, ...], ...]}`.

    Raises:
        QueryError: the series are not on the same times.
    """
    if not series_list:
        return b"{}"
    first = series_list[0]
    start, step, _ = _grid(first, int(first.end))
    steps = max(0, -(-(int(first.end) - start) // step))
    columns = []
    for series in series_list:
        if len(series) > steps:
            raise QueryError(
                f"format dygraph needs series of the same times, and {series.name[:80]!r} differs"
            )
        texts = value_texts(series, "Infinity")
        columns.append(texts)
    rows = []
    for i in range(steps):
        cells = [column[i] for column in columns if i < len(column)]
        if len(cells) < len(columns):
            raise QueryError("format dygraph needs series of the same times, and they differ")
        rows.append(f"[{start + i * step}000, {', '.join(cells)}]")
    labels = json.dumps(["Time", *(series.name for series in series_list)])
    return f'{{"labels" : {labels}, "data" : [{", ".join(rows)}]}}'.encode()


def known_points(series: Series) -> tuple[list[int], list[float]]:
    """Times and values of the points that are not null."""
    count = len(series)
    times = int(series.start) + np.arange(count) * int(series.step)
    known = ~np.isnan(series.values)
    return times[known].tolist(), series.values[known].tolist()
