"""The binary formats that Graphite servers speak among themselves. Written only, never read."""

from __future__ import annotations

import importlib
import pickle  # only `dumps` of plain lists and numbers
from collections.abc import Sequence
from typing import Any

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.series import Series
from inapp_monitor.web.graphite.formats.options import Options


def plain(series: Series) -> dict[str, Any]:
    """A series as a dict of plain values."""
    values: list[float | int | None] = [None if v != v else v for v in series.values.tolist()]
    if series.whole:
        values = [int(v) if v is not None and v - v == 0 else v for v in values]
    return {
        "name": series.name,
        "start": int(series.start),
        "end": int(series.end),
        "step": int(series.step),
        "values": values,
        "pathExpression": series.path_expression,
        "valuesPerPoint": 1,
        "consolidationFunc": series.consolidation,
        "xFilesFactor": series.x_files_factor,
    }


def dump_pickle(value: object) -> bytes:
    """A pickle of plain lists, dicts, texts and numbers."""
    return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)


def dump_msgpack(value: object) -> bytes:
    """MessagePack.

    Raises:
        QueryError: the package msgpack is not installed.
    """
    try:
        msgpack: Any = importlib.import_module("msgpack")
    except ImportError:
        raise QueryError("format msgpack needs the package msgpack, which is missing") from None
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed


def write_pickle(series_list: Sequence[Series], _options: Options) -> bytes:
    """A list of dicts, as Graphite's cluster mode reads it."""
    return dump_pickle([plain(series) for series in series_list])


def write_msgpack(series_list: Sequence[Series], _options: Options) -> bytes:
    """The same list in MessagePack."""
    return dump_msgpack([plain(series) for series in series_list])
