"""The plain formats: csv and raw."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from math import isfinite

from inapp_monitor.query.series import Series
from inapp_monitor.web.graphite.formats.options import Options

#: A spreadsheet takes a cell that starts so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def python_texts(series: Series) -> list[str]:
    """Each value as Python writes it; `None` for NaN."""
    values = series.values.tolist()
    if series.whole:
        return [
            "None" if v != v else str(int(v)) if isfinite(v) and v == int(v) else repr(v)
            for v in values
        ]
    return ["None" if v != v else repr(v) for v in values]


def write_raw(series_list: Sequence[Series], _options: Options) -> bytes:
    """`name,start,end,step|value,value,...`, one line a series."""
    lines = [
        f"{_one_line(s.name)},{int(s.start)},{int(s.end)},{int(s.step)}|{','.join(python_texts(s))}\n"
        for s in series_list
    ]
    return "".join(lines).encode()


def _one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ")


def write_csv(series_list: Sequence[Series], options: Options) -> bytes:
    """`name,time,value` rows; times in the zone of the request, nulls empty."""
    out = io.StringIO()
    writer = csv.writer(out, dialect="excel")
    for s in series_list:
        name = f"'{s.name}" if s.name.startswith(_FORMULA) else s.name
        for i, value in enumerate(python_texts(s)):
            shown = options.moment(s.start + i * s.step)
            writer.writerow((name, shown, "" if value == "None" else value))
    return out.getvalue().encode()
