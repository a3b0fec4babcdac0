"""Series as a picture: options of the render API to a chart of ours."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from inapp_monitor.query import Series
from inapp_monitor.web.formats.options import Options


def write_svg(series_list: Sequence[Series], options: Options) -> bytes:
    """An SVG line chart."""
    charts: Any = importlib.import_module("inapp_monitor.web.charts")
    drawn = [
        charts.ChartSeries(
            name=s.name, values=s.values, start=float(s.start), step=float(s.step), shape="line"
        )
        for s in series_list
    ]
    settings = charts.ChartOptions(
        width=options.pixels("width", 800),
        height=options.pixels("height", 300),
        title=options.text("title"),
        start=float(options.start),
        end=float(options.end),
        y_min=options.number("yMin"),
        y_max=options.number("yMax"),
        legend=not options.flag("hideLegend"),
        stacked=any("stacked" in s.options for s in series_list),
        zone=options.tz,
    )
    drawing: bytes = charts.line_chart(drawn, settings)
    return drawing
