"""The pygal graph that all our charts are: pygal's steps, with fast and responsive parts.

Three things make pygal slow, and each has its seam here. It looks every attribute up through a
transient state, recursively: a `TimeGraph` draws one picture, so the state is the object itself.
It handles each value in Python: series stay arrays until they are path data. It reads, fills in
and shrinks its style sheets for every chart: ours is a constant.
"""

from __future__ import annotations

import json
from typing import Any

from pygal.etree import etree
from pygal.graph.graph import Graph
from pygal.svg import Svg
from pygal.view import Box, Margin, View

from inapp_monitor.web import human
from inapp_monitor.web.charts import import_finder, theme, ticks
from inapp_monitor.web.charts.path_data import TENTHS, WIDTH, Frame
from inapp_monitor.web.charts.spec import ChartOptions, clean_text

import_finder.complete_pygals_finder()

_AXIS_HEIGHT = 20
_TITLE_HEIGHT = 26
_PIXELS_A_TICK = 34
_NO_DATA = "No data in this period"


class QuietSvg(Svg):  # type: ignore[misc]  # pygal has no types
    """pygal's SVG builder without comments, links, scripts and generated style sheets."""

    def __init__(self, graph: TimeGraph) -> None:
        self.graph = graph
        self.id = ""
        self.processing_instructions: list[Any] = []
        # lxml, when pygal found it, wants the namespace declared; ElementTree takes an attribute.
        namespace = {"nsmap": {None: self.ns}} if etree.lxml else {"xmlns": self.ns}
        self.root = etree.Element("svg", **namespace)
        self.root.set("class", "chart")
        self.root.set("role", "img")
        options = graph.options
        label = clean_text(options.description or options.title or "Chart", 500)
        self.root.set("aria-label", label)
        if not options.embedded:
            self.node(tag="title").text = label
        self.defs = self.root

    def add_styles(self) -> None:
        """The theme, unless the page brings it."""
        if not self.graph.options.embedded:
            self.node(self.root, "style").text = theme.STANDALONE

    def draw_no_data(self) -> None:
        """Words in place of lines."""
        graph = self.graph
        middle = graph.margin_box.top + graph.frame.height // 2
        text = self.node(graph.nodes["text_overlay"], "text", x="50%", y=middle, class_="none")
        text.text = graph.no_data_text

    def add_scripts(self) -> None:
        """None, ever."""

    def pre_render(self) -> None:
        """The size: fixed alone, the width of its place within a page."""
        options = self.graph.options
        self.root.set("width", "100%" if options.embedded else str(options.width))
        self.root.set("height", str(options.height))
        self.add_styles()


class TimeGraph(Graph):  # type: ignore[misc]  # pygal has no types
    """A chart over time: frame, axes, markers. Subclasses give `_bounds` and `_plot`.

    An instance draws one picture, once. Horizontal positions are percentages and the plot is a
    stretched box of its own, so that text keeps its size at any width.
    """

    __getattribute__ = object.__getattribute__
    __setattr__ = object.__setattr__

    pretty_print = False
    no_data_text = _NO_DATA
    disable_xml_declaration = True

    def __init__(self, options: ChartOptions) -> None:
        super().__init__()
        self.options = options

    def picture(self) -> bytes:
        """The SVG document, UTF-8."""
        text = self.render()
        return text.encode("utf-8") if isinstance(text, str) else bytes(text)

    def setup(self, **_: Any) -> None:
        """pygal's order of work with our parts, and the values that a page's script shows."""
        self.series: list[Any] = []
        self.secondary_series: list[Any] = []
        self.nodes: dict[str, Any] = {}
        self.margin_box = Margin(0, 0, 0, 0)
        self.svg = QuietSvg(self)
        self._box = Box()
        self._draw()
        self.svg.pre_render()
        hover = self._hover() if self.options.embedded and self.series else None
        if hover is not None:
            self.svg.root.set("data-chart", hover_text(self, hover))

    # -- what subclasses decide

    def _bounds(self) -> tuple[float, float, float, float]:
        """Start and end of the window, lowest and highest value."""
        raise NotImplementedError

    def _has_data(self) -> bool:
        raise NotImplementedError

    def _hover(self) -> list[dict[str, Any]] | None:
        """The series that the script shows where it is pointed at; None: no crosshair, no zoom."""
        return None

    def _footer_height(self) -> int:
        """Pixels below the time axis."""
        return 0

    # -- pygal's steps

    def _compute(self) -> None:
        start, end, low, high = self._bounds()
        self.window = (start, end)
        self._box = Box(start, low, end, high)
        self._box.margin = 0  # the window is what was asked for
        self.series = [None] if self._has_data() else []

    @property
    def _values(self) -> bool:
        return bool(self.series)

    def _compute_margin(self) -> None:
        title = _TITLE_HEIGHT if self.options.title and not self.options.embedded else 0
        self.margin_box.top = title + (12 if self.options.markers else 4)
        self.margin_box.bottom = _AXIS_HEIGHT + self._footer_height()

    def _compute_x_labels(self) -> None:
        self._x_labels = ticks.time_ticks(*self.window, 7, self.options.zone)

    def _compute_x_labels_major(self) -> None:
        self._x_labels_major = self._x_labels[::2]

    def _compute_y_labels(self) -> None:
        room = max(self.options.height - 50, 40) // _PIXELS_A_TICK
        unit = self.options.unit
        marks = ticks.value_ticks(self._box.ymin, self._box.ymax, max(room, 2), unit)
        self._y_labels = [(human.value(tick, unit), tick) for tick in marks]

    def _compute_y_labels_major(self) -> None:
        self._y_labels_major = [position for _, position in self._y_labels]

    def _compute_secondary(self) -> None:
        """There is one value axis."""

    def _set_view(self) -> None:
        height = max(self.options.height - self.margin_box.top - self.margin_box.bottom, 10)
        self.view = View(WIDTH, height * TENTHS, self._box)
        box = self._box
        self.frame = Frame(box.xmin, box.xmax, box.ymin, box.ymax, height)

    def _make_graph(self) -> None:
        if not self.options.embedded:
            self.svg.node(None, "rect", width="100%", height="100%", class_="ground")
        self.nodes["plot"] = self.svg.node(
            None,
            "svg",
            y=self.margin_box.top,
            width="100%",
            height=self.frame.height,
            viewBox=f"0 0 {WIDTH} {self.frame.height * TENTHS}",
            preserveAspectRatio="none",
            class_="plot",
        )
        self.nodes["text_overlay"] = self.svg.node(None, "g")

    def _y_axis(self) -> None:
        top, frame = self.margin_box.top, self.frame
        lines, full = [], frame.height * TENTHS
        for label, tick in self._y_labels if self.series else ():
            y = full - (tick - frame.low) * full / (frame.high - frame.low)
            lines.append(f"M0 {min(round(y), full - 5)}h{WIDTH}")
            if tick != 0 or frame.low < 0:
                beside = -3 if y / TENTHS >= 10 else 12  # above its line, if that is within
                self.svg.node(
                    self.nodes["text_overlay"], "text", x=2, y=f"{top + y / TENTHS + beside:.0f}",
                    class_="yl",
                ).text = label  # fmt: skip
        self.svg.node(self.nodes["plot"], "path", d="".join(lines), class_="grid")

    def _x_axis(self) -> None:
        start, end = self.window
        y = self.margin_box.top + self.frame.height + 14
        for number, (tick, label) in enumerate(self._x_labels):
            share = (tick - start) / (end - start)
            if 0.03 <= share <= 0.97:
                self.svg.node(
                    self.nodes["text_overlay"], "text", x=f"{share:.2%}", y=y,
                    class_="mid minor" if number % 2 else "mid",
                ).text = label  # fmt: skip

    def _legend(self) -> None:
        start, end = self.window
        top = self.margin_box.top
        for marker in self.options.markers:
            share = (marker.timestamp - start) / (end - start)
            if not 0 <= share <= 1:
                continue
            x, right = f"{share:.2%}", share > 0.85
            self.svg.node(
                self.nodes["text_overlay"], "line",
                x1=x, x2=x, y1=top - 10, y2=top + self.frame.height, class_="marker",
            )  # fmt: skip
            self.svg.node(
                self.nodes["text_overlay"], "text", x=x, y=top - 2, dx=-4 if right else 4,
                class_="yl right" if right else "yl",
            ).text = clean_text(marker.label, 24)  # fmt: skip

    def _make_title(self) -> None:
        if self.options.title and not self.options.embedded:
            width = max(self.options.width // 8, 10)
            self.svg.node(
                self.nodes["text_overlay"], "text", x=6, y=18, class_="title"
            ).text = clean_text(self.options.title, width)

    def _make_x_title(self) -> None:
        """The time axis speaks for itself."""

    def _make_y_title(self) -> None:
        """Labels carry their unit."""


def hover_text(graph: TimeGraph, series: list[dict[str, Any]]) -> str:
    """JSON of the window and the series."""
    start, end = graph.window
    box = {"start": start, "end": end, "top": graph.margin_box.top, "height": graph.frame.height}
    entry = {**box, "unit": graph.options.unit, "series": series}
    return json.dumps(entry, separators=(",", ":"))
