"""What one histogram becomes where only numbers can be sent: one for each statistic. Pure.

They are the leaves that the render API offers below a distribution, with the same values.
"""

from __future__ import annotations

from typing import Final

from inapp_monitor.ground.histogram import Histogram

_FRACTIONS: Final = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
#: In the order in which `statistics_of` gives them.
NAMES: Final = ("count", "rate", "sum", "mean", "min", "max", "stddev", *_FRACTIONS)


def statistics_of(histogram: Histogram, step_s: int) -> list[float]:
    """The values of `NAMES` over an interval of `step_s` seconds. The histogram is not empty."""
    count = float(histogram.count)
    return [
        count,
        count / step_s,
        histogram.total,
        histogram.mean,
        histogram.minimum,
        histogram.maximum,
        histogram.stddev,
        *histogram.quantiles(list(_FRACTIONS.values())),
    ]
