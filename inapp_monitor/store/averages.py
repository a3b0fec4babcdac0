"""Averages out of their two columns, with numpy where something else has loaded it: who draws has.

Writers never load it: a series costs them some tens of microseconds.
"""

from __future__ import annotations

import sys
from array import array
from typing import Any

from inapp_monitor.store.rollup import NAN


def averages(sums: array[float], counts: array[float]) -> array[float]:
    """Each sum by its count; NaN where nothing was counted."""
    numpy = _loaded_numpy()
    if numpy is None:
        return array("d", [s / n if n else NAN for s, n in zip(sums, counts, strict=True)])
    numbers = numpy.frombuffer(counts)
    known = numpy.where(numbers == 0.0, NAN, numbers)
    return array("d", (numpy.frombuffer(sums) / known).tobytes())


def _loaded_numpy() -> Any:
    """The module; None where nobody has imported it, or somebody is about to."""
    found = sys.modules.get("numpy")
    spec = getattr(found, "__spec__", None)
    return None if spec is None or getattr(spec, "_initializing", False) else found
