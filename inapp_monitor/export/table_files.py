"""Series as a table in a file, CSV or Parquet: a row a point, with series, time and value."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from inapp_monitor.ground.exceptions import MonitorError
from inapp_monitor.ground.ranges import Leaf
from inapp_monitor.query.evaluate import evaluate
from inapp_monitor.query.request import Limits, RenderRequest
from inapp_monitor.query.series import Series
from inapp_monitor.query.sources import Source

#: Targets that are evaluated at a time: memory is the bound.
_AT_ONCE: Final = 20
_ENOUGH: Final = 10**12
#: What a spreadsheet would take for a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def evaluated(
    source: Source, targets: Sequence[str], start: int, end: int, now: int
) -> Iterator[Series]:
    """The series of some targets, of any number and length.

    Raises:
        QueryError: a target is malformed; the message says which.
    """
    limits = Limits(
        targets=_AT_ONCE, target_length=65_536, depth=50, series=_ENOUGH, points=_ENOUGH
    )
    for first in range(0, len(targets), _AT_ONCE):
        request = RenderRequest(start=start, end=end, now=now, limits=limits)
        yield from evaluate(targets[first : first + _AT_ONCE], request, source)


def targets_of(leaves: Iterable[Leaf]) -> list[str]:
    """Every series, and of timers every statistic."""
    return [f"{leaf.path}.*" if leaf.kind == "distribution" else leaf.path for leaf in leaves]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A draft that takes the place of a file when everything went well."""
    draft = path.with_name(f"{path.name}.new")
    try:
        yield draft
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    draft.replace(path)


def _points(series: Series) -> tuple[list[int], list[float]]:
    values = series.values
    known = (values == values).nonzero()[0]
    return [series.start + int(i) * series.step for i in known], values[known].tolist()


def write_csv(path: Path, found: Iterable[Series]) -> int:
    """Write `series,time,value`, times in ISO 8601 UTC; returns the number of points."""
    points = 0
    with replacing(path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("series", "time", "value"))
        for series in found:
            name = f"'{series.name}" if series.name.startswith(_FORMULA) else series.name
            times, values = _points(series)
            stamps = (datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for t in times)
            writer.writerows(zip([name] * len(times), stamps, values, strict=True))
            points += len(times)
    return points


def write_parquet(path: Path, found: Iterable[Series]) -> int:
    """Write the columns series (dictionary), time (timestamp, UTC) and value (double).

    Raises:
        MonitorError: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MonitorError(
            "--parquet needs pyarrow: pip install 'inapp-monitor[parquet]'"
        ) from None
    time = pyarrow.timestamp("s", tz="UTC")
    name = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    schema = pyarrow.schema([("series", name), ("time", time), ("value", pyarrow.float64())])
    points = 0
    writer: Any
    with replacing(path) as draft, parquet.ParquetWriter(draft, schema) as writer:
        for series in found:
            times, values = _points(series)
            if not times:
                continue
            names = pyarrow.array([series.name] * len(times)).dictionary_encode()
            columns = [names, pyarrow.array(times, time), pyarrow.array(values)]
            writer.write_table(pyarrow.table(columns, schema=schema))
            points += len(times)
    return points
