"""Charts of a page: from its plain data to SVG that stands within the HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any

from markupsafe import Markup

from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.query.series import Floats
from inapp_monitor.web.charts import (
    ChartOptions,
    ChartSeries,
    Kind,
    Marker,
    Point,
    heatmap,
    line_chart,
    scatter,
    sparkline,
)
from inapp_monitor.web.charts.description import describe

#: Pixels.
HEIGHT = 190
#: What the marks of a scatter mean.
_KINDS: dict[Kind, str] = {
    "ok": "answered",
    "warn": "4xx",
    "crit": "5xx",
    "dim": "no answer",
}
#: Points are decimated to this many columns: half of a wide screen.
_COLUMNS = 640


def line(
    name: str, start: float, step: float, values: Floats, shape: str, colour: str
) -> dict[str, Any]:
    """One series of `chart`, as plain data."""
    return {
        "name": name,
        "start": start,
        "step": step,
        "values": values.tolist(),
        "shape": shape,
        "colour": colour,
    }


def chart(
    title: str,
    unit: str,
    start: int,
    end: int,
    series: Sequence[Mapping[str, Any]],
    markers: Sequence[Mapping[str, Any]] = (),
    **extra: Any,
) -> dict[str, Any]:
    """A chart as data: what the `.json` twin carries and `draw` draws."""
    return {
        "title": title,
        "unit": unit,
        "start": start,
        "end": end,
        "series": list(series),
        "markers": list(markers),
        **extra,
    }


def draw(data: Mapping[str, Any], height: int = HEIGHT, zone: tzinfo = UTC) -> Markup:
    """The SVG of a chart's data, its time axis in a zone."""
    series = [
        ChartSeries(
            entry["name"],
            entry["values"],
            entry["start"],
            entry["step"],
            entry.get("shape", "line"),
            entry.get("colour", ""),
        )
        for entry in data["series"]
    ]
    described = f"{data.get('description', '')}. {describe(series, data['unit'])}"
    options = ChartOptions(
        columns=_COLUMNS,
        height=height,
        title=data["title"],
        description=described.strip(". ") and described,
        start=data["start"],
        end=data["end"],
        unit=data["unit"],
        markers=[Marker(mark["timestamp"], mark["label"]) for mark in data["markers"]],
        stacked=bool(data.get("stacked")),
        cut_at=data.get("cut_at"),
        zone=zone,
        **({"no_data": data["no_data"]} if "no_data" in data else {}),
    )
    slots: Sequence[Histogram | None] | None = data.get("slots")
    if slots is not None:
        return _markup(heatmap(slots, data["slots_start"], data["slots_step"], options))
    if "points" in data:
        points = [Point(**entry) for entry in data["points"]]
        return _markup(scatter(points, _KINDS, options))
    return _markup(line_chart(series, options))


def spark(values: Sequence[float | None], colour: str = "c1") -> Markup:
    """A sparkline of a table's cell."""
    # The SVG holds numbers and names of the theme only.
    return Markup(sparkline(ChartSeries("", values, colour=colour)))  # noqa: S704


def _markup(svg: bytes) -> Markup:
    # All text in it went through the XML serialiser.
    return Markup(svg.decode("utf-8"))  # noqa: S704
