"""What a chart is to show: series, markers, options. Data only: no drawing, no pygal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Literal, NamedTuple

import numpy as np

from inapp_monitor.query.series import Floats
from inapp_monitor.web.human import Unit

#: `ghost` is the same thing at another time: a thin dashed line without a legend entry's weight.
Shape = Literal["line", "area", "bar", "ghost"]
#: Colour names of the theme; also `c1` to `c8`, in the order of series.
Colour = str
_COLOUR = re.compile(r"c[1-8]|ok|warn|crit|dim|#[0-9a-fA-F]{3}|#[0-9a-fA-F]{6}", re.ASCII)

#: Values beyond this are treated as missing, below the other as 0: scales would overflow.
_HUGE, _TINY = 1e300, 1e-280


@dataclass(frozen=True, slots=True)
class ChartSeries:
    """One series of a chart.

    Attributes:
        name: Shown in the legend; any text.
        values: Numbers at `start`, `start + step`...; None, NaN and infinities are gaps.
        start, step: Epoch seconds and seconds.
        colour: A colour of the theme or `#rrggbb`; "" takes the next one.
    """

    name: str
    values: Sequence[float | None] | Floats
    start: float = 0
    step: float = 1
    shape: Shape = "line"
    colour: Colour = ""

    def array(self) -> Floats:
        """The values as float64; whatever cannot be drawn is NaN."""
        values = np.array(self.values, dtype=np.float64)  # a copy, None becomes NaN
        with np.errstate(invalid="ignore"):
            values[~(np.abs(values) < _HUGE)] = np.nan
            values[np.abs(values) < _TINY] = 0.0
        return values


class Marker(NamedTuple):
    """A vertical line with a word, such as a deploy."""

    timestamp: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartOptions:
    """How a chart of a page is drawn; it is as wide as its place.

    Attributes:
        columns: What values are decimated to: the pixels of a plot on a wide screen.
        height: Pixels.
        title: Read out.
        description: Read out instead of the title: what the chart shows.
        start, end: The window in epoch seconds; default: what the series cover.
        unit: What the values measure.
        cut_at: Where the axis of values ends; lines go on beyond it, out of sight.
        stacked: Areas on top of each other (series of one start and step).
        markers: Vertical lines.
        zone: For the labels of the time axis.
        no_data: Written in the plot when there is nothing to draw.
    """

    columns: int = 800
    height: int = 300
    title: str = ""
    description: str = ""
    start: float | None = None
    end: float | None = None
    unit: Unit = ""
    cut_at: float | None = None
    stacked: bool = False
    markers: Sequence[Marker] = ()
    zone: tzinfo = UTC
    no_data: str = "No data in this period"


def colour_of(series: ChartSeries, position: int) -> Colour:
    """The series' colour when it is a legal one, else the one of its position."""
    return series.colour if _COLOUR.fullmatch(series.colour) else f"c{position % 8 + 1}"
