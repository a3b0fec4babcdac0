"""The series of charts on pages: evaluated once where their period is over, as `settled` says.

They are kept as bytes: a line of JSON, then the values of all series as float64.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from inapp_monitor.query.evaluate import evaluate
from inapp_monitor.query.request import RenderRequest
from inapp_monitor.query.series import Series
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.kept.process_state import process_state
from inapp_monitor.web.kept.settled import (
    QueryResult,
    WatchedSource,
    follows_from_points,
)

_TYPE = "application/octet-stream"


def evaluated(backend: Backend, targets: Sequence[str], asked: RenderRequest) -> list[Series]:
    """The series of some targets, each of at most `asked.max_points` values.

    Raises:
        QueryError: a target that cannot be evaluated.
    """
    kept, past = process_state(backend).settled_results, backend.store.past
    key = ("series", asked.start, asked.end, asked.max_points, *targets)
    found = kept.get(key, past)
    if found is not None:
        return unpacked(found.body)
    source = WatchedSource(backend.source)
    columns = asked.max_points or 1
    series = [s.consolidated(-(-len(s) // columns)) for s in evaluate(targets, asked, source)]
    latest = max(source.latest, asked.end)
    if kept.keeps(past, latest) and follows_from_points(targets):
        kept.put(key, past, latest, QueryResult(packed(series), _TYPE))
    return series


def packed(series: Sequence[Series]) -> bytes:
    """Names, grids and values; what else a series has is not drawn on pages."""
    head = [[s.name, s.start, s.end, s.step, len(s)] for s in series]
    return json.dumps(head).encode() + b"\n" + b"".join(s.values.tobytes() for s in series)


def unpacked(body: bytes) -> list[Series]:
    """What `packed` was given."""
    head, _, rest = body.partition(b"\n")
    values = np.frombuffer(rest, dtype=np.float64)
    series, at = [], 0
    for name, start, end, step, count in json.loads(head):
        series.append(Series(name, start, end, step, values[at : at + count]))
        at += count
    return series
