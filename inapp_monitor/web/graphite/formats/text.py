"""The plain formats: csv and raw."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from math import isfinite

from inapp_monitor.ground.visible_text import visible, visible_line
from inapp_monitor.query.series import Floats, Series
from inapp_monitor.web.graphite.formats.options import Options
from inapp_monitor.web.graphite.formats.pieces import POINTS_AT_ONCE, in_pieces, spans
from inapp_monitor.web.graphite.formats.short_decimals import short_decimals

#: A spreadsheet takes a cell that starts so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
#: Characters of rows that are written at once.
_ROWS_CHARS = 64 * 1024


def python_texts(values: Floats, whole: bool, null: str = "None") -> list[str]:
    """Each value as Python writes it; `null` for NaN."""
    if not len(values):
        return []
    if whole:
        return [
            null if v != v else str(int(v)) if isfinite(v) and v == int(v) else repr(v)
            for v in values.tolist()
        ]
    short = short_decimals(values, null)
    if short is not None:
        return short
    return repr(values.tolist())[1:-1].replace("nan", null).split(", ")


@in_pieces
def write_raw(series_list: Sequence[Series], options: Options) -> Iterator[str]:
    """`name,start,end,step|value,value,...`, one line a series."""
    for s in series_list:
        yield f"{_one_line(s.name)},{int(s.start)},{int(s.end)},{int(s.step)}|"
        before = ""
        for span in spans(len(s), options):
            yield before + ",".join(python_texts(s.values[span], s.whole))
            before = ","
        yield "\n"


def _one_line(text: str) -> str:
    return visible_line(text.replace("\r", " ").replace("\n", " "))


@in_pieces
def write_csv(series_list: Sequence[Series], options: Options) -> Iterator[str]:
    """`name,time,value` rows; times in the zone of the request, nulls empty."""
    moments: dict[tuple[float, float, int], list[str]] = {}
    for s in series_list:
        name = _cell(visible(f"'{s.name}" if s.name.startswith(_FORMULA) else s.name))
        at_once = min(POINTS_AT_ONCE, max(1, _ROWS_CHARS // (len(name) + 48)))
        for span in spans(len(s), options, at_once):
            start, count = s.start + span.start * s.step, span.stop - span.start
            grid = start, s.step, count
            times = moments.get(grid)
            if times is None:
                if len(moments) >= 32:  # series of one grid come together
                    moments.clear()
                times = [options.moment(start + i * s.step) for i in range(count)]
                moments[grid] = times
            values = python_texts(s.values[span], s.whole, null="")
            yield "".join(
                [f"{name},{time},{value}\r\n" for time, value in zip(times, values, strict=True)]
            )


def _cell(text: str) -> str:
    """A text as a cell of a spreadsheet, quoted where it must be."""
    out = io.StringIO()
    csv.writer(out, dialect="excel").writerow((text, ""))
    return out.getvalue().removesuffix(",\r\n")
