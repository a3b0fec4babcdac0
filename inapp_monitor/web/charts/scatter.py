"""Single requests over time, by duration: a mark each, which leads to its evidence.

Marks differ by shape as well as by colour. They lie beside the stretched plot, in the page's own
pixels, so that a circle is one at any width; each is a link and says what it stands for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from inapp_monitor.web.charts.page_graph import PageGraph
from inapp_monitor.web.charts.spec import ChartOptions
from inapp_monitor.web.xml_text import one_line

Kind = Literal["ok", "warn", "crit", "dim"]
#: Points drawn: the highest ones.
MOST = 200
_HEADROOM = 1.12
#: Round, triangle, cross and ring, six pixels around 0.
_MARKS: dict[str, str] = {
    "ok": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    "warn": "M0-5.5L5.5 4.5H-5.5z",
    "crit": "M-4.5-4.5L4.5 4.5M4.5-4.5L-4.5 4.5",
    "dim": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
}
#: Where a mark may lead: a place on the page or below this host.
_HREF = re.compile(r"#[A-Za-z0-9_-]+|/(?![/\\])[^\x00-\x20\"'<>\\]*", re.ASCII)


class Point(NamedTuple):
    """One request: when, how long, how it ended, its description, and where its evidence is."""

    timestamp: float
    value: float
    kind: Kind
    label: str
    href: str = ""


def scatter(points: Sequence[Point], legend: dict[Kind, str], options: ChartOptions) -> bytes:
    """Draw points within `options.start` to `options.end`.

    Args:
        legend: What each kind means, for those that occur.

    Returns:
        UTF-8 bytes of one `<svg>` element, as `line_chart`; its marks are links.
    """
    return ScatterGraph(points, legend, options).document()


class ScatterGraph(PageGraph):
    """pygal graph of single values in time."""

    def __init__(
        self, points: Sequence[Point], legend: dict[Kind, str], options: ChartOptions
    ) -> None:
        super().__init__(options)
        inside = [
            point
            for point in points
            if 0 <= point.value < 1e300
            and (options.start is None or point.timestamp >= options.start)
            and (options.end is None or point.timestamp <= options.end)
        ]
        highest = sorted(inside, key=lambda point: -point.value)[:MOST]
        self._points = sorted(highest, key=lambda point: point.timestamp)
        self._kinds = legend

    def _has_data(self) -> bool:
        return bool(self._points)

    def _bounds(self) -> tuple[float, float, float, float]:
        times = [point.timestamp for point in self._points] or [0.0]
        start = float(min(times) if self.options.start is None else self.options.start)
        end = float(max(times) if self.options.end is None else self.options.end)
        high = max((point.value for point in self._points), default=0.0)
        return start, max(end, start + 1), 0.0, high * _HEADROOM or 1.0

    def _top(self) -> int:
        return super()._top() + 16  # the kinds

    def _plot(self) -> None:
        # As a picture, an image would hide its links.
        self.svg.root.set("role", "group")
        frame = self.frame
        for point in self._points:
            share = (point.timestamp - frame.start) / (frame.end - frame.start)
            height = frame.height * (1 - point.value / frame.high)
            place = self._link(point)
            box = self.svg.node(
                place, "svg", x=f"{share:.2%}", y=f"{self.top + height:.1f}",
                class_="place", overflow="visible",
            )  # fmt: skip
            self.svg.node(box, "circle", r=11, class_="reach")
            self._mark(box, point.kind)

    def _link(self, point: Point) -> Any:
        overlay = self.nodes["text_overlay"]
        label = one_line(point.label, 300)
        if not _HREF.fullmatch(point.href):
            place = self.svg.node(overlay, "g", class_="point", role="img")
        else:
            place = self.svg.node(overlay, "a", class_="point")
            place.set("href", point.href)
        place.set("aria-label", label)
        self.svg.node(place, "title").text = label
        return place

    def _mark(self, parent: Any, kind: Kind) -> None:
        filled = kind in ("ok", "warn")
        colour = {"ok": "c1", "warn": "c4"}.get(kind, kind)
        shape = f"mark f-{colour}" if filled else f"mark open s-{colour}"
        self.svg.node(parent, "path", d=_MARKS[kind], class_=shape)

    def _legend(self) -> None:
        super()._legend()
        occurring = {point.kind for point in self._points}
        x, y = 8, self.top - 12
        for kind, words in self._kinds.items():
            if kind in occurring:
                box = self.svg.node(self.nodes["text_overlay"], "svg", x=x, y=y, overflow="visible")
                self._mark(box, kind)
                self.svg.node(self.nodes["text_overlay"], "text", x=x + 9, y=y + 4).text = words
                x += 28 + 7 * len(words)
