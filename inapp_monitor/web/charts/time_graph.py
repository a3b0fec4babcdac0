"""The pygal graph that every chart is: pygal's order of steps and its SVG builder, made fast.

Three things make pygal slow, and each has its seam here. It looks every attribute up through a
transient state, recursively: a `TimeGraph` draws one document, so the state is the object itself.
It handles each value in Python: series stay arrays until they are path data. It reads, fills in
and shrinks its style sheets for every chart: there are none. How a chart is laid out is not known
here: `page_graph` does it within a page, the render API's format `svg` does it on its own.
"""

from __future__ import annotations

from typing import Any

from pygal.etree import etree
from pygal.graph.graph import Graph
from pygal.svg import Svg

from inapp_monitor.web.charts import import_finder
from inapp_monitor.web.charts.path_data import Frame

import_finder.complete_pygals_finder()


class QuietSvg(Svg):  # type: ignore[misc]  # pygal has no types
    """pygal's SVG builder without comments, links, scripts and generated style sheets."""

    def __init__(self, graph: TimeGraph) -> None:
        self.graph = graph
        # lxml, when pygal found it, wants the namespace declared; ElementTree takes an attribute.
        namespace = {"nsmap": {None: self.ns}} if etree.lxml else {"xmlns": self.ns}
        self.root = etree.Element("svg", **namespace)

    def draw_no_data(self) -> None:
        """Words in place of lines."""
        self.graph.draw_no_data()


class TimeGraph(Graph):  # type: ignore[misc]  # pygal has no types
    """A chart over time. An instance draws one document, once.

    Subclasses give the steps `_compute` (which sets `frame` and `top`), `_make_graph` (which makes
    the nodes), `_y_axis`, `_x_axis`, `_plot`, and `_has_data` and `draw_no_data`.
    """

    __getattribute__ = object.__getattribute__
    __setattr__ = object.__setattr__

    #: The plot's window, range and size; and its upper edge in pixels.
    frame: Frame
    top: float

    def __init__(self) -> None:
        # pygal's own would build a configuration of a hundred entries, which no step here reads.
        self.state = None
        self.nodes: dict[str, Any] = {}

    def document(self) -> bytes:
        """The SVG document, UTF-8."""
        self.series = [None] if self._has_data() else []
        self.svg = QuietSvg(self)
        self._draw()
        # As text first: ElementTree encodes each piece of a tag on its own otherwise.
        return bytes(etree.tostring(self.svg.root, encoding="unicode").encode("utf-8"))

    def draw_no_data(self) -> None:
        """Say that there is nothing to draw."""
        raise NotImplementedError

    def _has_data(self) -> bool:
        raise NotImplementedError

    @property
    def _values(self) -> bool:
        return bool(self.series)

    def _no_step(self) -> None:
        """A step of pygal's that has nothing to do here."""

    # `_compute` measures everything at once; each axis finds its own labels; there are no titles
    # unless a layout has them.
    _compute_x_labels = _compute_x_labels_major = _no_step
    _compute_y_labels = _compute_y_labels_major = _no_step
    _compute_secondary = _compute_margin = _set_view = _no_step
    _legend = _make_title = _make_x_title = _make_y_title = _no_step
