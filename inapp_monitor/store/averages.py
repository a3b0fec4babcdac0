"""Averages out of their two columns, with numpy where something else has loaded it: who draws has.

Writers never load it: a series costs them some tens of microseconds.
"""

from __future__ import annotations

from array import array
from operator import truediv

from inapp_monitor.store.loaded_numpy import loaded_numpy
from inapp_monitor.store.rollup import NAN

#: Fewer values are not worth arrays.
_FEW = 64


def averages(
    sums: array[float] | memoryview[float], counts: array[float] | memoryview[float]
) -> array[float] | memoryview[float]:
    """Each sum by its count, in the place of the sums; NaN where nothing was counted."""
    numpy = loaded_numpy() if len(sums) >= _FEW else None
    if numpy is None:
        try:
            return array("d", list(map(truediv, sums, counts)))
        except ZeroDivisionError:
            return array("d", [s / n if n else NAN for s, n in zip(sums, counts, strict=True)])
    divided, numbers = numpy.asarray(sums), numpy.asarray(counts)
    if not numbers.all():
        numbers[numbers == 0.0] = NAN
    divided /= numbers
    return sums
