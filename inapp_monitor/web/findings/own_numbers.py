"""The series that the application named itself, in a line each; for the overview."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from inapp_monitor.ground.names import RESERVED_NODES
from inapp_monitor.ground.points import Method
from inapp_monitor.ground.ranges import Leaf
from inapp_monitor.query.series import Floats
from inapp_monitor.web import human
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame import columns
from inapp_monitor.web.frame.view import View

_SPARK_COLUMNS = 24
#: First nodes of series that the monitor writes beside the reserved ones.
_WRITTEN_HERE = RESERVED_NODES | {"statements"}


def leaves(backend: Backend) -> list[Leaf]:
    """All of them, by path."""
    found = backend.store.leaves()
    return [leaf for leaf in found if leaf.path.partition(".")[0] not in _WRITTEN_HERE]


def rows(backend: Backend, view: View, named: list[Leaf]) -> list[dict[str, Any]]:
    """Path, what it came to in the window (`text`), and a spark line."""
    return [_row(backend, view, leaf) for leaf in named]


def _row(backend: Backend, view: View, leaf: Leaf) -> dict[str, Any]:
    if leaf.kind == "distribution":
        text, values = _distribution(backend, view, leaf.path)
        target = f"{leaf.path}.p95"
    else:
        text, values = _scalar(backend, view, leaf)
        target = leaf.path
    spark = [float(each) if math.isfinite(each) else None for each in values]
    return {"path": leaf.path, "target": target, "text": text, "spark": spark}


def _distribution(backend: Backend, view: View, path: str) -> tuple[str, Floats]:
    found = columns.summary(backend, path, view.start, view.end, _SPARK_COLUMNS)
    if found is None or not found.whole.count:
        return "none in this period", np.empty(0)
    p95 = human.value(found.whole.quantile(0.95), "ms" if path.endswith("time") else "")
    return f"{human.count(found.whole.count)} values, p95 {p95}", found.quantile(0.95)


def _scalar(backend: Backend, view: View, leaf: Leaf) -> tuple[str, Floats]:
    if leaf.method is Method.SUM:
        found = columns.sums(backend, [leaf.path], view.start, view.end, _SPARK_COLUMNS)
        if leaf.path not in found or not np.isfinite(found[leaf.path].values).any():
            return "none in this period", np.empty(0)
        return f"{human.value(found[leaf.path].total, '')} in all", found[leaf.path].values
    fetched = backend.store.fetch([leaf.path], view.start, view.end, view.now)
    values = np.asarray(fetched[0].values) if fetched else np.empty(0)
    known = values[np.isfinite(values)]
    if not known.size:
        return "none in this period", np.empty(0)
    return f"{human.value(float(known[-1]), '')} last", known[-_SPARK_COLUMNS:]
