"""The JSON formats: json, rickshaw and dygraph.

Texts are put together from whole lists at C speed instead of walking through a tree of values.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.series import Floats, Series
from inapp_monitor.web.graphite.formats.options import Options
from inapp_monitor.web.graphite.formats.pieces import in_pieces, spans
from inapp_monitor.web.graphite.formats.short_decimals import JoinedDecimals, short_decimals

#: JSON has no infinity; readers take this for it.
_INFINITY = "1e9999"
#: Cells of a table that are made at once.
_CELLS_AT_ONCE = 100_000


class _Layout(NamedTuple):
    """What stands between the texts of an answer: on one line, or indented as `json` does it."""

    #: Of the list of series, its members, and the list of points.
    opening: str
    between: str
    closing: str
    first: str
    comma: str
    last: str
    first_point: str
    last_point: str
    #: Of a point as a pair, and of one as an object.
    pair: tuple[str, str, str]
    object: tuple[str, str, str]
    #: Between two points.
    next_point: str


_PLAIN = _Layout(
    "", ", ", "", "", ", ", "", "", "", ("[", ", ", "]"), ('{"x": ', ', "y": ', "}"), ", "
)
_INDENTED = _Layout(
    opening="\n  ",
    between=",\n  ",
    closing="\n",
    first="\n    ",
    comma=",\n    ",
    last="\n  ",
    first_point="\n      ",
    last_point="\n    ",
    pair=("[\n        ", ",\n        ", "\n      ]"),
    object=('{\n        "x": ', ',\n        "y": ', "\n      }"),
    next_point=",\n      ",
)


def value_texts(values: Floats, whole: bool, infinity: str = _INFINITY) -> list[str]:
    """Each value as JSON writes it; null for NaN."""
    if not len(values):
        return []
    if whole:
        return [_whole(value, infinity) for value in values.tolist()]
    short = short_decimals(values, "null")
    if short is not None:
        return short
    text = repr(values.tolist())[1:-1]
    if "n" in text:  # nan, inf
        text = text.replace("nan", "null").replace("inf", infinity)
    return text.split(", ")


def _whole(value: float, infinity: str) -> str:
    if math.isnan(value):
        return "null"
    if math.isinf(value):
        return infinity if value > 0 else f"-{infinity}"
    return str(int(value)) if value == int(value) else repr(value)


class _Times:
    """The texts of times with what stands around them; series of one grid come together."""

    def __init__(self, before: str, after: str) -> None:
        self._before, self._after = before, after
        self._made: dict[tuple[int, int, int], list[str]] = {}
        self._joined: dict[tuple[int, int, int], JoinedDecimals] = {}

    def texts(self, start: int, step: int, count: int) -> list[str]:
        key = start, step, count
        found = self._made.get(key)
        if found is None:
            if len(self._made) >= 32:
                self._made.clear()
            times = range(start, start + count * step, step)
            found = [f"{self._before}{time}{self._after}" for time in times]
            self._made[key] = found
        return found

    def joined(self, start: int, step: int, count: int) -> JoinedDecimals:
        """The same as what comes after values."""
        key = start, step, count
        found = self._joined.get(key)
        if found is None:
            if len(self._joined) >= 32:
                self._joined.clear()
            found = self._joined[key] = JoinedDecimals(np.array(self.texts(*key), dtype="S"))
        return found


def _grid(series: Series, stop: int) -> tuple[int, int, int]:
    """Start, step and number of the times up to `stop` (not included) that have a value."""
    step = int(series.step)
    if step <= 0:
        raise QueryError(f"series {series.name[:80]!r} has a step of less than a second")
    start = int(series.start)
    return start, step, max(0, min(len(series), -(-(stop - start) // step)))


@in_pieces
def write_json(series_list: Sequence[Series], options: Options) -> Iterator[str]:
    """`[{"target", "tags", "datapoints": [[value, time], ...]}, ...]`."""
    layout = _INDENTED if options.pretty else _PLAIN
    opening, middle, closing = layout.pair
    times = _Times(middle, closing + layout.next_point + opening)
    surplus = len(layout.next_point + opening)
    if not any(len(s) for s in series_list):
        series_list = ()
    before = layout.opening
    yield "["
    for series in series_list:
        start, step, count = _grid(series, int(series.end) + 1)
        if options.skip_nulls and np.isnan(series.values[:count]).all():
            continue
        yield (
            f'{before}{{{layout.first}"target": {_name(series)}'
            f'{layout.comma}"tags": {_tags(series, options)}{layout.comma}"datapoints": ['
        )
        begin = layout.first_point
        for span in spans(count, options):
            if not series.whole and not options.skip_nulls:
                grid = start + span.start * step, step, span.stop - span.start
                joined = times.joined(*grid).text(series.values[span])
                if joined:
                    yield f"{begin}{opening}{joined[:-surplus]}"
                    begin = layout.next_point
                    continue
            texts = [""] * (2 * (span.stop - span.start))
            texts[0::2] = value_texts(series.values[span], series.whole)
            texts[1::2] = times.texts(start + span.start * step, step, span.stop - span.start)
            if options.skip_nulls:
                known = (~np.isnan(series.values[span])).repeat(2).tolist()
                texts = [text for text, is_known in zip(texts, known, strict=True) if is_known]
            if texts:
                yield f"{begin}{opening}{''.join(texts)[:-surplus]}"
                begin = layout.next_point
        yield f"{layout.last_point if count else ''}]{layout.last}}}"
        before = layout.between
    yield f"{layout.closing if before is layout.between else ''}]"


def _name(series: Series) -> str:
    return "null" if series.options.get("unnamed") and not series.name else json.dumps(series.name)


def _tags(series: Series, options: Options) -> str:
    if not options.pretty:
        return json.dumps(series.tags)
    return json.dumps(series.tags, indent=2).replace("\n", "\n    ")


@in_pieces
def write_rickshaw(series_list: Sequence[Series], options: Options) -> Iterator[str]:
    """`[{"target", "datapoints": [{"x": time, "y": value}, ...]}, ...]`."""
    layout = _INDENTED if options.pretty else _PLAIN
    opening, middle, closing = layout.object
    times = _Times(opening, middle)
    before = layout.opening
    yield "["
    for series in series_list:
        start, step, count = _grid(series, int(series.end))
        name = json.dumps(series.name)
        yield f'{before}{{{layout.first}"target": {name}{layout.comma}"datapoints": ['
        begin = layout.first_point
        for span in spans(count, options):
            values = value_texts(series.values[span], series.whole)
            texts = times.texts(start + span.start * step, step, len(values))
            points = [f"{t}{v}{closing}" for t, v in zip(texts, values, strict=True)]
            if points:
                yield begin + layout.next_point.join(points)
                begin = layout.next_point
        yield f"{layout.last_point if count else ''}]{layout.last}}}"
        before = layout.between
    yield f"{layout.closing if before is layout.between else ''}]"


@in_pieces
def write_dygraph(series_list: Sequence[Series], options: Options) -> Iterator[str]:
    """`{"labels": ["Time", ...], "data": [[milliseconds, value, ...], ...]}`.

    Raises:
        QueryError: the series are not on the same times.
    """
    if not series_list:
        yield "{}"
        return
    first = series_list[0]
    start, step, _ = _grid(first, int(first.end))
    steps = max(0, -(-(int(first.end) - start) // step))
    for series in series_list:
        if len(series) > steps:
            raise QueryError(
                f"format dygraph needs series of the same times, and {series.name[:80]!r} differs"
            )
    if any(len(series) < steps for series in series_list):
        raise QueryError("format dygraph needs series of the same times, and they differ")
    labels = json.dumps(["Time", *(series.name for series in series_list)])
    yield f'{{"labels" : {labels}, "data" : ['
    at_once = max(_CELLS_AT_ONCE // len(series_list), 64)
    for begin in range(0, steps, at_once):
        columns = []
        for series in series_list:
            options.check_time()
            columns.append(
                value_texts(series.values[begin : begin + at_once], series.whole, "Infinity")
            )
        for i, cells in enumerate(zip(*columns, strict=True), begin):
            yield f"{', ' if i else ''}[{start + i * step}000, {', '.join(cells)}]"
    yield "]}"


def known_points(series: Series) -> tuple[list[int], list[float]]:
    """Times and values of the points that are not null."""
    count = len(series)
    times = int(series.start) + np.arange(count) * int(series.step)
    known = ~np.isnan(series.values)
    return times[known].tolist(), series.values[known].tolist()
