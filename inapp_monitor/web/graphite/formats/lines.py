"""Series as the lines of a picture: colours, stacks and areas settled. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from inapp_monitor.query.series import Floats, Series
from inapp_monitor.web.charts.spec import ChartSeries
from inapp_monitor.web.graphite.formats.colours import parse_colour, parse_palette
from inapp_monitor.web.graphite.formats.options import Options


class Line(NamedTuple):
    """One series ready to be drawn.

    `floor` is the lower edge of its area, None for a line alone; `right` means the right axis;
    `vertical` ones go from bottom to top wherever a value is above 0. Lengths are in pixels.
    """

    series: Series
    values: Floats
    colour: str
    floor: Floats | None
    right: bool
    vertical: bool

    def number(self, option: str, default: float) -> float:
        """What a graph function has set, such as `alpha`."""
        value = self.series.options.get(option)
        if isinstance(value, (int, float)) and value - value == 0:
            return min(max(float(value), 0.0), 100.0)
        return default


def settled(series_list: Sequence[Series], options: Options, dark: bool = False) -> list[Line]:
    """The lines in order, without those that are invisible; `dark` is the ground below them."""
    mode = options.one_of("areaMode", ("none", "first", "all", "stacked"))
    palette = parse_palette(options.text("colorList"), dark)
    stacks: dict[bool, Floats] = {}
    lines: list[Line] = []
    for number, each in enumerate(series_list):
        options.check_time()
        values, floor = ChartSeries(each.name, each.values).array(), None
        if options.flag("drawNullAsZero"):
            values = np.nan_to_num(values)
        right = bool(each.options.get("secondYAxis"))
        vertical = bool(each.options.get("drawAsInfinite"))
        if each.options.get("stacked"):  # the function has added up already
            floor = _resized(stacks.get(right), len(values))
            stacks[right] = values
        elif mode == "stacked" and not vertical:
            floor = _resized(stacks.get(right), len(values))
            stacks[right] = values = floor + np.nan_to_num(values)
        elif mode == "all" or (mode == "first" and number == 0):
            floor = np.zeros(len(values))
        colour = parse_colour(each.options.get("color")) or palette[number % len(palette)]
        lines.append(Line(each, values, colour, floor, right, vertical))
    return [line for line in lines if not line.series.options.get("invisible")]


def _resized(values: Floats | None, count: int) -> Floats:
    """The lower edge of what is stacked on `values`."""
    resized = np.zeros(count)
    if values is not None:
        shared = min(count, len(values))
        resized[:shared] = np.nan_to_num(values[:shared])
    return resized
