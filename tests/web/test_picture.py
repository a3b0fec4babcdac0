"""The format `svg`: each option of a picture and each graph function is seen in the document."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.series import Series
from inapp_monitor.web.charts.theme import ON_DARK, ON_LIGHT
from inapp_monitor.web.graphite.formats.options import Options
from inapp_monitor.web.graphite.formats.registry import FORMATS

START, STEP = 1_700_000_100, 60
WAVE = [1.0, 5.0, 3.0, math.nan, 4.0, 2.0]


def series(name: str = "a.b", values: list[float] = WAVE, **options: Any) -> Series:
    end = START + STEP * len(values)
    return Series(name, START, end, STEP, values, options=options)


def drawn(*given: Series, **picture: str) -> list[ElementTree.Element]:
    """The elements of a picture, which must be well-formed, without script, style or link."""
    options = Options(start=START, end=START + 5 * STEP, picture=picture)
    found = list(ElementTree.fromstring(FORMATS["svg"].write(given, options)).iter())
    for element in found:
        element.tag = element.tag.rpartition("}")[2]
        assert element.tag in ("svg", "title", "desc", "rect", "g", "text", "path")
        assert not {"style", "class", "href"} & set(element.attrib)
    return found


def words(found: list[ElementTree.Element]) -> list[str]:
    return [element.text or "" for element in found if element.tag == "text"]


def strokes(found: list[ElementTree.Element], colour: str = ON_LIGHT[0]) -> list[dict[str, str]]:
    return [element.attrib for element in found if element.get("stroke") == colour]


def fills(found: list[ElementTree.Element], colour: str = ON_LIGHT[0]) -> list[dict[str, str]]:
    return [e.attrib for e in found if e.tag == "path" and e.get("fill") == colour]


def test_a_picture_has_its_size_title_and_words() -> None:
    """Width, height, title and vtitle; the description is for those who cannot see it."""
    found = drawn(series(), width="640", height="200", title="Load", vtitle="ms")
    assert found[0].attrib["width"] == "640" and found[0].attrib["viewBox"] == "0 0 640 200"
    assert found[1].text == "Load" and "a.b from 1 to 5" in (found[2].text or "")
    assert {"Load", "ms", "a.b", "22:15"} <= set(words(found))


def test_axes_grid_and_legend_can_be_hidden() -> None:
    """Each alone, all axes at once, and everything but the lines."""
    everything = words(drawn(series(), title="T"))
    values = [word for word in everything if re.fullmatch(r"\d\.\d", word)]
    times = [word for word in everything if ":" in word]
    assert (values[0], values[-1]) == ("1.0", "5.0") and len(times) > 3
    assert not set(values) & set(words(drawn(series(), hideYAxis="true")))
    assert not set(times) & set(words(drawn(series(), hideXAxis="true")))
    assert words(drawn(series(), hideAxes="true")) == ["a.b"]
    assert "a.b" not in words(drawn(series(), hideLegend="true"))
    assert words(drawn(series(), graphOnly="true", title="T", vtitle="V")) == []
    faint = [e for e in drawn(series(), hideGrid="true") if e.get("stroke-opacity") == "0.12"]
    assert not faint


def test_a_legend_names_each_series_once_and_not_too_many() -> None:
    """More than forty only when it is asked for."""
    assert words(drawn(series(), series(), hideAxes="true")) == ["a.b"]
    many = [series(f"s{number}") for number in range(41)]
    assert words(drawn(*many, hideAxes="true")) == []
    assert len(words(drawn(*many, hideAxes="true", hideLegend="false"))) == 41


def test_colours_are_those_asked_for() -> None:
    """colorList, color(), fgcolor and bgcolor; on a dark ground the theme's light ones."""
    found = drawn(series(), series("c", color="#123456"), colorList="red,green")
    assert strokes(found, "#d6336c") and strokes(found, "#123456")
    dark = drawn(series(), bgcolor="black")
    assert strokes(dark, ON_DARK[0]) and dark[3].get("fill") == "#000000"
    assert [e for e in drawn(series(), fgcolor="abc") if e.get("fill") == "#aabbcc"]


def test_graph_functions_change_the_line() -> None:
    """lineWidth, dashed and alpha, in tenths of a pixel; invisible ones are not drawn."""
    (line, dot) = strokes(
        drawn(series(values=[1.0, 2.0, math.nan, 3.0], lineWidth=4, dashed=7, alpha=0.5))
    )
    assert (line["stroke-width"], line["stroke-dasharray"]) == ("40", "70")
    assert line["stroke-opacity"] == "0.5"
    assert dot["stroke-linecap"] == "round"
    assert words(drawn(series(invisible=True), hideAxes="true")) == ["No data"]


def test_draw_as_infinite_is_a_line_from_bottom_to_top() -> None:
    """Wherever the value is above 0; it does not count for the axis."""
    marks = series("m", [0.0, 900.0, 0.0, 900.0], drawAsInfinite=True)
    found = drawn(series(), marks)
    (line,) = strokes(found, ON_LIGHT[1])
    assert re.fullmatch(r"M\d+ 0V\d+M\d+ 0V\d+", line["d"])
    assert "900" not in words(found)


def test_the_second_axis_has_bounds_of_its_own() -> None:
    """yMin and yMax on the left, yMinRight and yMaxRight on the right, in any unit system."""
    right = series("r", [2_000.0] * 6, secondYAxis=True)
    bounds = {"yMin": "0", "yMax": "10", "yMinRight": "1024", "yMaxRight": "4096"}
    found = words(drawn(series(), right, **bounds, yUnitSystem="binary"))
    assert {"0", "10", "1.0Ki", "4.0Ki"} <= set(found)
    assert "4.0k" in words(drawn(series(), right, **bounds | {"yMaxRight": "4000"}))


@pytest.mark.parametrize(("mode", "areas"), [("none", 0), ("first", 1), ("all", 2), ("stacked", 2)])
def test_area_modes(mode: str, areas: int) -> None:
    """None, below the first series, below all, or on top of each other."""
    found = drawn(series(), series("b", [10.0] * 6), areaMode=mode)
    assert len(fills(found)) + len(fills(found, ON_LIGHT[1])) == areas
    assert ("16" in words(found)) == (mode == "stacked")


def test_stacked_series_stand_on_each_other() -> None:
    """What `stacked()` has added up is drawn between the sum before and its own."""
    found = drawn(series("a", [2.0] * 6, stacked=True), series("b", [5.0] * 6, stacked=True))
    lower, upper = fills(found)[0], fills(found, ON_LIGHT[1])[0]
    assert lower["fill-opacity"] == upper["fill-opacity"] == "0.8"
    top = lower["d"].split("l")[0].split(" ")[1]
    assert any(top == str(level) for level in levels(upper["d"]))


def levels(path: str) -> set[int]:
    """The heights that a path visits."""
    start, _, steps = path.rstrip("z").partition("l")
    numbers = [int(number) for number in steps.split()]
    height, found = int(start.split(" ")[1]), set()
    for step in numbers[1::2]:
        height += step
        found.add(height)
    return found


def test_line_modes() -> None:
    """From point to point with gaps, in steps that hold each value, or across the gaps."""
    slope, staircase, connected = (
        strokes(drawn(series(), lineMode=mode))[0]["d"]
        for mode in ("slope", "staircase", "connected")
    )
    assert (slope.count("M"), connected.count("M")) == (2, 1)
    steps = [int(number) for number in staircase.partition("l")[2].split("M")[0].split()]
    assert all(x == 0 or y == 0 for x, y in zip(steps[::2], steps[1::2], strict=True))


def test_nulls_can_be_zeros() -> None:
    """`drawNullAsZero` closes the gap."""
    assert strokes(drawn(series(), drawNullAsZero="true"))[0]["d"].count("M") == 1


@pytest.mark.parametrize("name", ["lineMode", "areaMode", "width", "height", "yMin", "yMaxRight"])
def test_a_value_that_an_option_cannot_have_is_named(name: str) -> None:
    """In one line."""
    with pytest.raises(QueryError, match=name):
        drawn(series(), series(secondYAxis=True), **{name: "bogus"})


@given(
    st.lists(st.lists(st.floats(), max_size=8), max_size=3),
    st.sampled_from(["none", "all", "stacked"]),
    st.sampled_from(["slope", "staircase", "connected"]),
    st.sampled_from(["si", "binary", "none"]),
)
def test_any_values_give_a_well_formed_picture(
    values: list[list[float]], area: str, mode: str, system: str
) -> None:
    """Infinite, huge and tiny ones, none at all, of different lengths; numbers stay numbers."""
    given_series = [series(f"s{number}", each) for number, each in enumerate(values)]
    found = drawn(*given_series, areaMode=area, lineMode=mode, yUnitSystem=system)
    paths = " ".join(element.get("d", "") for element in found)
    assert not re.search("nan|inf|e", paths)
    assert all(len(number) < 9 for number in re.findall(r"-?\d+", paths))
