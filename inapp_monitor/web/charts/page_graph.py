"""The layout of a page's charts: as wide as their place, in the colours of the page's stylesheet.

Horizontal positions are percentages and the plot is a stretched box of its own, so that text keeps
its size at any width. Labels lie within the plot; title and legend are the page's.
"""

from __future__ import annotations

import json
from typing import Any

from inapp_monitor.web import human
from inapp_monitor.web.charts import ticks
from inapp_monitor.web.charts.path_data import TENTHS, WIDTH, Frame
from inapp_monitor.web.charts.spec import ChartOptions
from inapp_monitor.web.charts.time_graph import TimeGraph
from inapp_monitor.web.xml_text import one_line

_AXIS_HEIGHT = 20
_PIXELS_PER_TICK = 34
_TIME_TICKS = 7
#: Shares of the width at both ends within which a time would be cut; the same on a narrow screen.
_EDGE, _NARROW_EDGE = 0.03, 0.06

#: Pixels of a letter of a marker's label, and of charts on a wide and on a narrow screen.
_LETTER, _WIDE, _NARROW = 6.5, 600.0, 330.0


class _Room:
    """What is taken of the line of the markers' labels, in shares of a chart's width."""

    def __init__(self, width: float) -> None:
        self._letter = _LETTER / width
        self._taken: list[tuple[float, float]] = []

    def take(self, share: float, label: str, right: bool) -> bool:
        """Take the place of a label at a marker, which ends or begins there; False: it is taken."""
        width = (len(label) + 1) * self._letter
        low, high = (share - width, share) if right else (share, share + width)
        if any(low < end and begin < high for begin, end in self._taken):
            return False
        self._taken.append((low, high))
        return True


class PageGraph(TimeGraph):
    """A chart within a page: frame, axes, markers. Subclasses give `_bounds` and `_plot`."""

    def __init__(self, options: ChartOptions) -> None:
        super().__init__()
        self.options = options

    # -- what subclasses decide

    def _bounds(self) -> tuple[float, float, float, float]:
        """Start and end of the window, lowest and highest value."""
        raise NotImplementedError

    def _hover(self) -> list[dict[str, Any]] | None:
        """The series that the script shows where it is pointed at; None: no crosshair, no zoom."""
        return None

    def _top(self) -> int:
        """Pixels above the plot."""
        return 12 if self.options.markers else 4

    def _value_labels(self) -> list[tuple[str, float]]:
        """What is written at which value."""
        room = max(self.options.height - 50, 40) // _PIXELS_PER_TICK
        unit = self.options.unit
        marks = ticks.value_ticks(self.frame.low, self.frame.high, max(room, 2), unit)
        return [(human.value(mark, unit), mark) for mark in marks]

    # -- pygal's steps

    def _compute(self) -> None:
        start, end, low, high = self._bounds()
        self.top = self._top()
        height = max(self.options.height - self.top - _AXIS_HEIGHT, 10)
        self.frame = Frame(start, end, low, high, height)

    def _make_graph(self) -> None:
        options, root = self.options, self.svg.root
        root.set("class", "chart")
        root.set("role", "img")
        label = one_line(options.description or options.title or "Chart", 500)
        root.set("aria-label", label)
        root.set("width", "100%")
        root.set("height", str(options.height))
        self.nodes["plot"] = self.svg.node(
            None,
            "svg",
            y=self.top,
            width="100%",
            height=self.frame.height,
            viewBox=f"0 0 {WIDTH} {self.frame.height * TENTHS}",
            preserveAspectRatio="none",
            class_="plot",
        )
        self.nodes["text_overlay"] = self.svg.node(None, "g")
        hover = self._hover() if self.series else None
        if hover is not None:
            root.set("data-chart", self._hover_text(hover))

    def _y_axis(self) -> None:
        top, frame = self.top, self.frame
        lines, full = [], frame.height * TENTHS
        for label, tick in self._value_labels() if self.series else ():
            y = full - (tick - frame.low) * full / (frame.high - frame.low)
            lines.append(f"M0 {min(round(y), full - 5)}h{WIDTH}")
            if tick != 0 or frame.low < 0:
                beside = -3 if y / TENTHS >= 10 else 12  # above its line, if that is within
                self._text(label, "yl", x=2, y=f"{top + y / TENTHS + beside:.0f}")
        self.svg.node(self.nodes["plot"], "path", d="".join(lines), class_="grid")

    def _x_axis(self) -> None:
        start, end = self.frame.start, self.frame.end
        y = self.top + self.frame.height + 14
        marks = ticks.time_ticks(start, end, _TIME_TICKS, self.options.zone)
        for number, (tick, label) in enumerate(marks):
            share = (tick - start) / (end - start)
            if _EDGE <= share <= 1 - _EDGE:
                is_minor = number % 2 or not _NARROW_EDGE <= share <= 1 - _NARROW_EDGE
                self._text(label, "mid minor" if is_minor else "mid", x=f"{share:.2%}", y=y)

    def _legend(self) -> None:
        """The markers: a vertical line each, and a word where words do not meet; the last first."""
        start, end = self.frame.start, self.frame.end
        wide, narrow = _Room(_WIDE), _Room(_NARROW)
        for marker in sorted(self.options.markers, reverse=True):
            share = (marker.timestamp - start) / (end - start)
            if not 0 <= share <= 1:
                continue
            x, right = f"{share:.2%}", share > 0.85
            self.svg.node(
                self.nodes["text_overlay"], "line",
                x1=x, x2=x, y1=self.top - 10, y2=self.top + self.frame.height, class_="marker",
            )  # fmt: skip
            label = one_line(marker.label, 24)
            if wide.take(share, label, right):
                look = "yl right" if right else "yl"
                look += "" if narrow.take(share, label, right) else " minor"
                self._text(label, look, x=x, y=self.top - 2, dx=-4 if right else 4)

    def draw_no_data(self) -> None:
        """Words in the middle of the plot."""
        middle = self.top + self.frame.height // 2
        self._text(self.options.no_data, "none", x="50%", y=middle)

    def _text(self, text: str, look: str, **place: Any) -> None:
        overlay = self.nodes["text_overlay"]
        self.svg.node(overlay, "text", class_=look, **place).text = text

    def _hover_text(self, series: list[dict[str, Any]]) -> str:
        """JSON of the window and the series."""
        frame = self.frame
        box = {"start": frame.start, "end": frame.end, "top": self.top, "height": frame.height}
        entry = {**box, "unit": self.options.unit, "series": series}
        return json.dumps(entry, separators=(",", ":"))
