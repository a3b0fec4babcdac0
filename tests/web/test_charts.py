"""Charts: well-formed whatever the labels and values, self-contained, true to their data."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.web.charts import (
    ChartOptions,
    ChartSeries,
    Marker,
    Point,
    heatmap,
    line_chart,
    scatter,
    sparkline,
)
from inapp_monitor.web.charts.description import describe, trend
from inapp_monitor.web.charts.heatmap import grid
from inapp_monitor.web.charts.path_data import Frame, decimate, line
from inapp_monitor.web.charts.ticks import time_ticks, value_ticks

ANY_VALUE = st.one_of(st.none(), st.floats(), st.integers(-(10**9), 10**9))
SHAPES = st.sampled_from(["line", "area", "bar", "ghost"])


def elements(svg: bytes) -> list[ElementTree.Element]:
    """All elements of a document, which must be well-formed."""
    return list(ElementTree.fromstring(svg).iter())


def check(svg: bytes) -> None:
    """No script, no link, no outside address, no style attribute."""
    names = set()
    for element in elements(svg):
        names.add(element.tag.rpartition("}")[2])
        for key in element.attrib:
            assert "href" not in key
            assert not key.startswith("on")
            assert key != "style"
    assert not names & {"script", "image", "use", "foreignObject", "a", "iframe"}
    for address in re.findall(rb"https?://[^\"' <]*", svg):
        assert address == b"http://www.w3.org/2000/svg" or b"&" in svg


@given(
    names=st.lists(st.text(max_size=60), min_size=1, max_size=4),
    values=st.lists(ANY_VALUE, max_size=40),
    shape=SHAPES,
    title=st.text(max_size=80),
    stacked=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_any_label_and_any_value_give_a_well_formed_chart(
    names: list[str], values: list[Any], shape: Any, title: str, stacked: bool
) -> None:
    """Control characters, surrogates, NaN, infinities and huge numbers included."""
    series = [ChartSeries(name, values, 1000, 10, shape) for name in names]
    marker = Marker(1050, title)
    options = ChartOptions(title=title, stacked=stacked, markers=[marker])
    svg = line_chart(series, options)
    assert elements(svg)
    assert b"nan" not in svg.lower().replace(title.lower().encode("utf-8", "ignore"), b"") or names


@pytest.mark.parametrize(
    "label",
    [
        "\x00\x08\ud800\uffff<>&\"'",
        '"><script>alert(1)</script>',
        "javascript:alert(1)",
        "</style><script>x()</script>",
        "]]>",
        "x" * 10_000,
        "",
    ],
)
def test_a_hostile_label_stays_text(label: str) -> None:
    """In the values on hover, a marker and the description."""
    options = ChartOptions(title=label, description=label, markers=[Marker(1010, label)])
    svg = line_chart([ChartSeries(label, [1, 2, 3], 1000, 10)], options)
    check(svg)
    assert b"<script" not in svg
    assert len(svg) < 20_000


@pytest.mark.parametrize("colour", ["url(http://evil)", "red;}", '"><script>', "#12345", "c-9"])
def test_an_illegal_colour_is_replaced(colour: str) -> None:
    """Only names of the theme and hexadecimal colours reach the document."""
    svg = line_chart([ChartSeries("x", [1, 2], colour=colour)], ChartOptions())
    check(svg)
    assert colour.encode() not in svg


def test_a_chart_without_data_says_so() -> None:
    """No series, only gaps, or a window beside the data."""
    for series in ([], [ChartSeries("x", [])], [ChartSeries("x", [None, math.nan, math.inf])]):
        assert b"No data" in line_chart(series, ChartOptions())


def test_a_gap_is_not_bridged() -> None:
    """Each stretch of values is a stroke of its own; a lone value is a dot."""
    frame = Frame(0, 4, 0, 10, 100)
    times = np.arange(5.0)
    path, dots = line(times, np.array([1.0, 2.0, np.nan, 3.0, np.nan]), frame)
    assert path.count("M") == 1
    assert dots.count("M") == 1


@given(st.lists(st.floats(0, 1e6) | st.just(math.nan), min_size=1, max_size=3000))
@settings(max_examples=40, deadline=None)
def test_decimation_keeps_the_extremes(values: list[float]) -> None:
    """However many points there are, the highest and the lowest are drawn."""
    array = np.array(values)
    _, kept = decimate(np.arange(len(array), dtype=float), array, 100)
    assert len(kept) <= 200
    if np.isfinite(array).any():
        assert np.nanmin(kept) == np.nanmin(array)
        assert np.nanmax(kept) == np.nanmax(array)
    else:
        assert not np.isfinite(kept).any()


@given(st.floats(-1e12, 1e12), st.floats(1e-6, 1e12), st.integers(1, 8))
def test_value_ticks_are_round_and_inside(low: float, span: float, at_most: int) -> None:
    """Ascending, evenly spaced, within the axis."""
    ticks = value_ticks(low, low + span, at_most)
    assert ticks == sorted(ticks)
    assert len(ticks) <= at_most + 1
    slack = max(span, abs(low) * 1e-6) * 1e-6
    assert all(low - slack <= tick <= low + span + slack for tick in ticks)


@given(st.integers(0, 4_000_000_000), st.integers(1, 10**9), st.integers(1, 12))
def test_time_ticks_are_inside_the_window(start: int, span: int, at_most: int) -> None:
    """Each with a label, not more than asked for (and one)."""
    ticks = time_ticks(start, start + span, at_most)
    assert len(ticks) <= at_most + 1
    assert all(start <= tick <= start + span and label for tick, label in ticks)


def test_a_heatmap_counts_every_value_once() -> None:
    """The cells of a column add up to its histogram's count."""
    slots = [Histogram.of([1, 2, 300, 5_000]), None, Histogram.of([0.0, 12.5])]
    cells = grid(slots).cells
    assert cells.sum(axis=0).tolist() == [4, 0, 2]
    check(heatmap(slots, 1000, 60, ChartOptions(title="x", unit="ms")))


@pytest.mark.parametrize("slots", [[], [None], [Histogram()], [Histogram.of([0.0])]])
def test_a_heatmap_of_little_is_drawn_too(slots: list[Histogram | None]) -> None:
    """Nothing, or a single value."""
    check(heatmap(slots, 1000, 60, ChartOptions()))


def test_a_chart_carries_its_values_for_the_script() -> None:
    """As JSON in an attribute, and no style of its own: the page's policy forbids it."""
    svg = line_chart([ChartSeries("p95", [1, None, 3.25], 1000, 10)], ChartOptions())
    assert b"<style" not in svg
    assert b'"values":[1,null,3.25]' in svg.replace(b"&quot;", b'"')


def test_a_sparkline_is_small_and_silent() -> None:
    """Hidden from screen readers; nothing for nothing."""
    svg = sparkline(ChartSeries("", [1, 2, 3] * 1000))
    assert 'aria-hidden="true"' in svg
    assert len(svg) < 1_500
    assert sparkline(ChartSeries("", [None, 1])) == ""


KINDS = {"ok": "answered", "warn": "4xx", "crit": "5xx", "dim": "no answer"}


def marks(svg: bytes) -> list[ElementTree.Element]:
    """The elements of a scatter's points."""
    return [entry for entry in elements(svg) if entry.get("class") == "point"]


def test_each_point_of_a_scatter_is_a_link_that_says_what_it_is() -> None:
    """By a label for those who cannot see it, and by shape as well as by colour."""
    points = [
        Point(1_000 + number, 10.0 * number, kind, f"GET /{kind} took long", f"#slow-{number}")
        for number, kind in enumerate(KINDS)
    ]
    options = ChartOptions(start=900, end=1_100, unit="ms")
    svg = scatter(points, KINDS, options)
    found = marks(svg)
    assert [entry.get("href") for entry in found] == [point.href for point in points]
    assert [entry.get("aria-label") for entry in found] == [point.label for point in points]
    shapes = {entry.get("d"): entry.get("class") for mark in found for entry in mark.iter()}
    shapes.pop(None)
    assert len(shapes) == 3  # ok and no answer: the same, full and open
    assert b'role="img"' not in svg  # it would hide the links
    assert all(words.encode() in svg for words in KINDS.values())


@pytest.mark.parametrize(
    "href",
    ["javascript:alert(1)", "//evil/x", "https://evil", "/\\evil", "#a b", "/a\nb", '/"><script>'],
)
def test_a_point_leads_nowhere_but_to_this_dashboard(href: str) -> None:
    """Whatever is given as its address."""
    svg = scatter([Point(1, 2.0, "ok", "x", href)], {}, ChartOptions(start=0, end=2))
    check(svg)
    assert len(marks(svg)) == 1


@given(
    st.lists(
        st.tuples(st.floats(0, 2_000), st.floats(), st.sampled_from(sorted(KINDS)), st.text()),
        max_size=20,
    )
)
@settings(max_examples=60, deadline=None)
@example([(500.0, 5e-324, "crit", "")])  # less than the ticks could be apart
def test_any_points_give_a_well_formed_scatter(points: list[Any]) -> None:
    """Also none, beyond the window, not finite, of any text."""
    made = [Point(*point, href="#slow-1") for point in points]
    svg = scatter(made, {}, ChartOptions(start=500, end=1_000))
    inside = [p for p in made if 500 <= p.timestamp <= 1_000 and 0 <= p.value < 1e300]
    assert len(marks(svg)) == len(inside)


def test_a_scatter_of_many_points_keeps_the_highest() -> None:
    """At most two hundred marks, of a bounded size."""
    points = [Point(n % 1_000, float(n), "ok", "x" * 1_000, "#slow-1") for n in range(5_000)]
    svg = scatter(points, KINDS, ChartOptions(start=0, end=1_000))
    assert len(marks(svg)) == 200
    assert len(svg) < 200_000


def test_words_say_extremes_last_value_and_trend() -> None:
    """Of the first series; ghosts and gaps are left out."""
    series = [
        ChartSeries("p95", [80, None, 100, 250, 240]),
        ChartSeries("last week", [1, 2], shape="ghost"),
        ChartSeries("flat", [5, 5]),
        ChartSeries("empty", [None]),
        ChartSeries("x", [1]),
        ChartSeries("y", [1]),
    ]
    assert describe(series, "ms") == (
        "p95 from 80 ms to 250 ms, last 240 ms, rising. flat always 5 ms. empty: no value. "
        "And 2 more."
    )
    assert describe([], "ms") == ""


@pytest.mark.parametrize(
    ("values", "word"),
    [([1.0, 1.0, 5.0], "rising"), ([5.0, 1.0], "falling"), ([0.0], "steady"), ([9, 10], "steady")],
)
def test_a_trend_is_a_change_of_a_fifth(values: list[float], word: str) -> None:
    """Between the first and the last third."""
    assert trend(values) == word


def test_a_heatmap_tells_how_many_values_a_column_has() -> None:
    """For the crosshair, and so that it can be zoomed as any chart."""
    options = ChartOptions(unit="ms")
    svg = heatmap([Histogram.of([1, 2, 300]), None], 1_000, 60, options)
    assert b'"unit":"count","values":[3,0]' in svg.replace(b"&quot;", b'"')
