"""The binary formats that Graphite servers speak among themselves. Written only, never read."""

from __future__ import annotations

import importlib
import pickle  # only `dumps` of plain lists and numbers
from collections.abc import Iterator, Sequence
from typing import Any

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.series import Series
from inapp_monitor.web.graphite.formats.options import Options
from inapp_monitor.web.graphite.formats.pieces import PIECE_CHARS


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
    packed: bytes = _msgpack().packb(value, use_bin_type=True)
    return packed


def _msgpack() -> Any:
    try:
        return importlib.import_module("msgpack")
    except ImportError:
        raise QueryError("format msgpack needs the package msgpack, which is missing") from None


class _Pieces:
    """A file for a pickler, which writes a frame of some 64 KB at a time."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes | memoryview) -> int:
        self.written.append(bytes(data))
        return len(data)


def write_pickle(series_list: Sequence[Series], options: Options) -> Iterator[bytes]:
    """A list of dicts, as Graphite's cluster mode reads it."""
    pieces = _Pieces()
    dicts = []
    for series in series_list:
        options.check_time()
        dicts.append(plain(series))
    pickle.Pickler(pieces, protocol=pickle.HIGHEST_PROTOCOL).dump(dicts)
    yield from pieces.written


def write_msgpack(series_list: Sequence[Series], options: Options) -> Iterator[bytes]:
    """The same list in MessagePack."""
    packer: Any = _msgpack().Packer(use_bin_type=True)
    head: bytes = packer.pack_array_header(len(series_list))
    waiting, size = [head], len(head)
    for series in series_list:
        options.check_time()
        packed: bytes = packer.pack(plain(series))
        waiting.append(packed)
        size += len(packed)
        if size >= PIECE_CHARS:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)
