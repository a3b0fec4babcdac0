"""What a chart is asked to show. Data only: no drawing, no pygal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inapp_monitor.web.human import Unit

#: `ghost` is the same thing at another time: a thin dashed line without a legend entry's weight.
Shape = Literal["line", "area", "bar", "ghost"]
#: Colour names of the theme; also `c1` to `c8`, in the order of series.
Colour = str
_COLOUR = re.compile(r"c[1-8]|ok|warn|crit|dim|#[0-9a-fA-F]{3}|#[0-9a-fA-F]{6}", re.ASCII)
#: What XML cannot hold, escaped or not.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPACE = re.compile(r"\s+")

Floats = NDArray[np.float64]
#: Values beyond this are treated as missing, below the other as 0: scales would overflow.
_HUGE, _TINY = 1e300, 1e-280


@dataclass(frozen=True, slots=True)
class ChartSeries:
    """One series of a chart.

    Attributes:
        name: Shown in the legend; any text, cleaned before drawing.
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
    """How a chart is drawn.

    Attributes:
        width, height: Pixels; an embedded chart is as wide as its place.
        title: Drawn above a chart that stands alone, and read out in any case.
        description: Read out instead of the title: what the chart shows.
        start, end: The window in epoch seconds; default: what the series cover.
        unit: What the values measure.
        y_min, y_max: Fixed bounds of the value axis; the axis includes 0 by default.
        stacked: Areas on top of each other (series of one start and step).
        legend: Names below a chart that stands alone.
        markers: Vertical lines.
        embedded: Part of a page: takes its style and values on hover from the page.
        zone: For the labels of the time axis.
    """

    width: int = 800
    height: int = 300
    title: str = ""
    description: str = ""
    start: float | None = None
    end: float | None = None
    unit: Unit = ""
    y_min: float | None = None
    y_max: float | None = None
    stacked: bool = False
    legend: bool = True
    markers: Sequence[Marker] = ()
    embedded: bool = False
    zone: tzinfo = UTC


def clean_text(text: object, length: int = 200) -> str:
    """Text that XML can hold, on one line, cut at `length` characters."""
    cleaned = _SPACE.sub(" ", _NOT_XML.sub("", str(text))).strip()
    return cleaned if len(cleaned) <= length else cleaned[: length - 1] + "…"


def colour_of(series: ChartSeries, position: int) -> Colour:
    """The series' colour when it is a legal one, else the one of its position."""
    return series.colour if _COLOUR.fullmatch(series.colour) else f"c{position % 8 + 1}"
