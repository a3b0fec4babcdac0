"""What charts rely on in pygal: its private steps, in the order and the form that we override."""

from __future__ import annotations

import inspect
from importlib.metadata import version
from typing import Any

import pytest
from pygal.etree import etree
from pygal.graph.graph import Graph
from pygal.svg import Svg

from inapp_monitor.web.charts.heatmap import HeatGraph
from inapp_monitor.web.charts.line import LineGraph
from inapp_monitor.web.charts.page_graph import PageGraph
from inapp_monitor.web.charts.scatter import ScatterGraph
from inapp_monitor.web.charts.time_graph import QuietSvg, TimeGraph
from inapp_monitor.web.graphite.formats.picture import Picture

CHANGED = (
    f"pygal {version('pygal')} is not the one that charts are made for: {{}}; adapt "
    "inapp_monitor/web/charts/time_graph.py or bound pygal in pyproject.toml"
)
GRAPHS = (TimeGraph, PageGraph, LineGraph, HeatGraph, ScatterGraph, Picture)
#: The steps, in the order in which pygal takes them.
STEPS = {
    "_draw": (
        *("_compute", "_compute_x_labels", "_compute_x_labels_major", "_compute_y_labels"),
        *("_compute_y_labels_major", "_compute_secondary", "_post_compute", "_compute_margin"),
        *("_decorate", "series", "_has_data", "_values", "_plot", "svg", "draw_no_data"),
    ),
    "_decorate": (
        *("_set_view", "_make_graph", "_axes", "_legend", "_make_title", "_make_x_title"),
        "_make_y_title",
    ),
    "_axes": ("_y_axis", "_x_axis"),
}
#: Names in the steps that are none of `Graph`'s methods; each kind of chart brings its `_plot`.
NO_METHODS = {"series", "svg", "draw_no_data", "_values", "_plot"}


@pytest.mark.parametrize("step", STEPS)
def test_pygal_takes_the_steps_that_we_override(step: str) -> None:
    """All of them, in this order, without arguments, and nothing else."""
    method = getattr(Graph, step, None)
    assert method is not None, CHANGED.format(f"Graph.{step} is gone")
    assert method.__code__.co_names == STEPS[step], CHANGED.format(
        f"Graph.{step} takes other steps"
    )
    for name in {step, *STEPS[step]} - NO_METHODS:
        found = getattr(Graph, name, None)
        given = str(inspect.signature(found)) if found else "gone"
        assert given == "(self)", CHANGED.format(f"Graph.{name} is {given}")


def test_the_svg_builder_makes_nodes_as_before() -> None:
    """`node` takes a parent, a tag, a dict and keywords; `draw_no_data` takes nothing."""
    node = str(inspect.signature(Svg.node))
    assert node == "(self, parent=None, tag='g', attrib=None, **extras)", CHANGED.format(
        f"Svg.node is {node}"
    )
    assert str(inspect.signature(Svg.draw_no_data)) == "(self)", CHANGED.format("Svg.draw_no_data")
    assert Svg.ns == "http://www.w3.org/2000/svg", CHANGED.format("Svg.ns")
    assert hasattr(etree, "lxml"), CHANGED.format("etree.lxml is gone")


def test_the_seam_is_known_whole() -> None:
    """Nothing of pygal's is overridden that these tests do not look at, by accident neither."""
    known = set(STEPS).union(*STEPS.values())
    for kinds, base in ((GRAPHS, Graph), ((QuietSvg,), Svg)):
        names = {name for kind in kinds for name in vars(kind) if hasattr(base, name)}
        assert {name for name in names if not name.startswith("__")} <= known


@pytest.mark.parametrize("graph", GRAPHS[2:])
def test_every_step_is_ours(graph: Any) -> None:
    """A step of pygal's own would look for a configuration that there is not."""
    for name in set().union(*STEPS.values()) - NO_METHODS - {"_axes", "_decorate", "_post_compute"}:
        assert getattr(graph, name) is not getattr(Graph, name), name
    assert graph._plot
