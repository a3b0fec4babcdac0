"""The format `svg`: a picture of fixed size and colours, with the options of the render API.

It is a chart as those of the pages are, laid out to stand alone: labels beside the plot, title and
legend. Everything is an attribute, so that any program that reads SVG draws it: no style sheet,
no script, no link.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from inapp_monitor.query.series import Floats, Series
from inapp_monitor.web.charts import path_data, ticks
from inapp_monitor.web.charts.description import describe
from inapp_monitor.web.charts.path_data import TENTHS, Frame
from inapp_monitor.web.charts.spec import ChartSeries
from inapp_monitor.web.charts.time_graph import TimeGraph
from inapp_monitor.web.graphite.formats.colours import is_dark, parse_colour
from inapp_monitor.web.graphite.formats.lines import Line, settled
from inapp_monitor.web.graphite.formats.options import Options
from inapp_monitor.web.xml_text import one_line

_WIDTH, _HEIGHT = 800, 300
_LINE_MODES = ("slope", "staircase", "connected")
_PIXELS_PER_VALUE_TICK = 28
_PIXELS_PER_TIME_TICK = 70
_LEGEND_ROW = 16
#: More names than this are a legend only when it is asked for.
_LEGEND_MOST = 40
#: Pixels around the plot, so that a line at its edge is drawn in full width.
_BLEED = 2


def write_svg(series_list: Sequence[Series], options: Options) -> Iterator[bytes]:
    """The picture as a document, which is as large as the picture and not as the series.

    Raises:
        QueryError: an option has a value that it cannot have.
    """
    shown = [ChartSeries(each.name, each.values) for each in series_list]
    yield Picture(series_list, options, describe(shown, "")).document()


class _Entry(NamedTuple):
    """A name in the legend."""

    name: str
    colour: str
    x: float
    row: int


class Picture(TimeGraph):
    """pygal graph of lines and areas that stands alone."""

    def __init__(self, series: Sequence[Series], options: Options, description: str) -> None:
        super().__init__()
        self._options = options
        self._ground = parse_colour(options.text("bgcolor")) or "#ffffff"
        dark = is_dark(self._ground)
        self._colour = parse_colour(options.text("fgcolor")) or ("#e6eaf0" if dark else "#343a40")
        lines = self._lines = settled(series, options, dark)
        self._description = description
        self._size = options.pixels("width", _WIDTH), options.pixels("height", _HEIGHT)
        self._mode = options.one_of("lineMode", _LINE_MODES)
        bare = self._bare = options.flag("graphOnly")
        self._title, self._vertical_title = options.text("title"), options.text("vtitle")
        self._x_shown = not (bare or options.flag("hideAxes") or options.flag("hideXAxis"))
        self._y_shown = not (bare or options.flag("hideAxes") or options.flag("hideYAxis"))
        many = len(lines) > _LEGEND_MOST and not options.text("hideLegend")
        named = not (bare or many or options.flag("hideLegend"))
        self._entries = _legend(lines, self._size[0]) if named else []

    def _has_data(self) -> bool:
        return any(bool(np.isfinite(line.values).any()) for line in self._lines)

    # -- pygal's steps

    def _compute(self) -> None:
        width, height = self._size
        options, bare = self._options, self._bare
        self.top = 8 + (22 if self._title and not bare else 0)
        rows = self._entries[-1].row + 1 if self._entries else 0
        below = 4 if bare else 24 + rows * _LEGEND_ROW + 4 * bool(rows)
        two = any(line.right and not line.vertical for line in self._lines)
        self._left = 4 if bare else 54 + (16 if self._vertical_title else 0)
        right = 4 if bare else 54 if two else 12
        self._plot_width = max(width - right - self._left, 10)
        self._plot_height = max(height - below - self.top, 10)
        self._scales = [self._scale(side) for side in ((False, True) if two else (False,))]
        end = float(max(options.end, options.start + 1))
        self._frames = [
            Frame(options.start, end, scale.low, scale.high, self._plot_height,
                  self._plot_width * TENTHS)
            for scale in self._scales
        ]  # fmt: skip
        self.frame = self._frames[0]

    def _scale(self, right: bool) -> ticks.Scale:
        """The range of the values on one side."""
        levels: list[float] = []
        for line in self._lines:
            if line.right != right or line.vertical:
                continue
            edges = [line.values] if line.floor is None else [line.values, line.floor, np.zeros(1)]
            known = [edge[np.isfinite(edge)] for edge in edges]
            levels += [float(end(edge)) for edge in known if edge.size for end in (np.min, np.max)]
        side = "Right" if right else ""
        low, high = (self._options.number(f"{name}{side}") for name in ("yMin", "yMax"))
        return ticks.value_scale(
            min(levels, default=0.0) if low is None else low,
            max(levels, default=1.0) if high is None else high,
            self._plot_height // _PIXELS_PER_VALUE_TICK,
            (low is not None, high is not None),
            1024.0 if self._options.text("yUnitSystem") == "binary" else 10.0,
        )

    def _make_graph(self) -> None:
        (width, height), svg = self._size, self.svg
        for name, value in (("width", width), ("height", height), ("role", "img")):
            svg.root.set(name, str(value))
        svg.root.set("viewBox", f"0 0 {width} {height}")
        svg.node(None, "title").text = one_line(self._title or "Graph", 300)
        svg.node(None, "desc").text = self._description or "No data."
        svg.node(None, "rect", width=width, height=height, fill=self._ground)
        font = {"font-family": "system-ui, sans-serif", "font-size": 11}
        self.nodes["text_overlay"] = svg.node(None, "g", fill=self._colour, attrib=font)
        bleed = _BLEED * TENTHS
        box = f"{self.frame.width + 2 * bleed} {self.frame.height * TENTHS + 2 * bleed}"
        lines = {"stroke-width": TENTHS, "stroke-linejoin": "round", "fill": "none"}
        self.nodes["plot"] = svg.node(
            None, "svg", x=self._left - _BLEED, y=self.top - _BLEED,
            width=self._plot_width + 2 * _BLEED, height=self._plot_height + 2 * _BLEED,
            viewBox=f"-{bleed} -{bleed} {box}", attrib=lines,
        )  # fmt: skip

    def _y_axis(self) -> None:
        if not self._y_shown:
            return
        system = self._options.text("yUnitSystem", "si")
        for scale, frame in zip(self._scales, self._frames, strict=True):
            left = frame is self.frame
            x, anchor = (-6, "end") if left else (self._plot_width + 6, "start")
            heights = frame.y(np.array(scale.ticks)).tolist()
            for tick, y in zip(scale.ticks, heights, strict=True):
                label = ticks.unit_label(tick, scale.step, system)
                self._text(label, anchor, self._left + x, f"{self.top + y / TENTHS + 4:.1f}")
            if left and not self._options.flag("hideGrid"):
                path = "".join(f"M0 {y:.0f}h{frame.width}" for y in heights)
                self._path("plot", path, stroke=self._colour, stroke_opacity=0.12)

    def _x_axis(self) -> None:
        if not self._x_shown:
            return
        frame, bottom = self.frame, self.top + self._plot_height
        at_most = max(self._plot_width // _PIXELS_PER_TIME_TICK, 1)
        path = [f"M{self._left} {bottom}h{self._plot_width}"]
        for tick, label in ticks.time_ticks(frame.start, frame.end, at_most, self._options.tz):
            x = self._left + (tick - frame.start) * self._plot_width / (frame.end - frame.start)
            path.append(f"M{x:.1f} {bottom}v4")
            self._text(label, "middle", f"{x:.1f}", bottom + 16)
        self._path("text_overlay", "".join(path), stroke=self._colour, stroke_opacity=0.6)

    def _legend(self) -> None:
        for name, colour, x, row in self._entries:
            y = self.top + self._plot_height + 34 + row * _LEGEND_ROW
            box = {"x": x, "y": y - 8, "width": 10, "height": 10, "rx": 2, "fill": colour}
            self.svg.node(self.nodes["text_overlay"], "rect", attrib=box)
            self._text(name, "start", x + 15, y + 1)

    def _make_title(self) -> None:
        width = self._size[0]
        if self._title and not self._bare:
            title = one_line(self._title, max(width // 7, 8))
            self._text(title, "middle", width / 2, 18, font_weight=600)

    def _make_y_title(self) -> None:
        if self._vertical_title and not self._bare:
            middle = self.top + self._plot_height / 2
            title = one_line(self._vertical_title, max(self._plot_height // 5, 8))
            self._text(title, "middle", 14, middle, transform=f"rotate(-90 14 {middle})")

    def _plot(self) -> None:
        for line in self._lines:
            self._options.check_time()
            frame = self._frames[line.right and len(self._frames) - 1]
            times, values, floor = self._corners(line)
            if line.vertical:
                self._stroke(line, path_data.verticals(times[values > 0], frame))
                continue
            if floor is not None:
                opacity = line.number("alpha", 0.8 if line.series.options.get("stacked") else 0.35)
                path = path_data.area(times, values, frame, floor)
                self._path("plot", path, fill=line.colour, fill_opacity=f"{opacity:g}")
            else:
                times, values = path_data.decimate(times, values, self._plot_width)
            path, dots = path_data.line(times, values, frame)
            self._stroke(line, path)
            self._path("plot", dots, stroke=line.colour, stroke_width=30, stroke_linecap="round")

    def _corners(self, line: Line) -> tuple[Floats, Floats, Floats | None]:
        """Times and values between which the line goes, and the lower edge of its area."""
        series, values, floor = line.series, line.values, line.floor
        times = series.start + series.step * np.arange(len(values), dtype=np.float64)
        if line.vertical or self._mode == "slope":
            return times, values, floor
        if self._mode == "connected":
            known = np.isfinite(values)
            return times[known], values[known], None if floor is None else floor[known]
        times, values = path_data.hold(times, values, series.step)
        return times, values, None if floor is None else np.repeat(floor, 2)

    # -- nodes

    def _stroke(self, line: Line, path: str) -> None:
        look: dict[str, Any] = {"stroke_width": f"{line.number('lineWidth', 1.5) * TENTHS:g}"}
        if line.series.options.get("dashed"):
            look["stroke_dasharray"] = f"{line.number('dashed', 5.0) * TENTHS:g}"
        if line.series.options.get("alpha") is not None:
            look["stroke_opacity"] = f"{line.number('alpha', 1.0):g}"
        self._path("plot", path, stroke=line.colour, **look)

    def _path(self, node: str, path: str, **look: Any) -> None:
        if path:
            self.svg.node(self.nodes[node], "path", {"d": path, **_hyphenated(look)})

    def _text(self, text: str, anchor: str, x: object, y: object, **look: Any) -> None:
        place = {"x": x, "y": y, "text-anchor": anchor, **_hyphenated(look)}
        self.svg.node(self.nodes["text_overlay"], "text", place).text = text

    def draw_no_data(self) -> None:
        """Words in the middle of the picture."""
        width, height = self._size
        self._text("No data", "middle", width / 2, height / 2)


def _hyphenated(look: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "-"): value for name, value in look.items()}


def _legend(lines: Sequence[Line], width: int) -> list[_Entry]:
    """The names, once each, in rows as wide as the picture."""
    entries: list[_Entry] = []
    x, row, seen = 10.0, 0, set()
    for line in lines:
        name = one_line(line.series.name, 80)
        if line.series.name in seen:
            continue
        seen.add(line.series.name)
        needed = 30 + len(name) * 6.2
        if entries and x + needed > width - 10:
            x, row = 10.0, row + 1
        entries.append(_Entry(name, line.colour, round(x, 1), row))
        x += needed
    return entries
