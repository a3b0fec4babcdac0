"""Metrics libraries start gauges at infinity, and products overflow: no panel is lost by that."""

from __future__ import annotations

import math

import numpy as np

from inapp_monitor.query.evaluate import evaluate
from inapp_monitor.query.memory_source import MemorySource
from inapp_monitor.query.request import RenderRequest
from inapp_monitor.query.series import Series
from inapp_monitor.web.graphite.formats.options import Options
from inapp_monitor.web.graphite.formats.registry import FORMATS
from tests.each import each
from tests.query.test_recorded import cases

START, END = 1_699_999_200, 1_700_002_800
#: What recorded targets are made of, and series in its place.
PATH = r"\b(?:servers|app|stats|counters|odd)\.[\w.*?\[\]{},-]*[\w*?\]}]"


def answer(target: str, values: list[float]) -> list[Series]:
    first = START - 3_600
    series = [
        ("g.odd.x.y", first, 60, values * 130),
        ("g.sound.x.y", first, 60, [5.0, 7.0, 2.0] * 50),
    ]
    request = RenderRequest(start=START, end=END, now=END)
    return evaluate([target], request, MemorySource(series))


@each(
    ("target", "names"),
    [
        ('cactiStyle(g.*.x.y,"si")', 2), ("cactiStyle(g.*.x.y)", 2),
        ('cactiStyle(g.*.x.y,"binary","b")', 2), ("exp(g.*.x.y)", 2), ("sigmoid(g.*.x.y)", 2),
        ('legendValue(g.*.x.y,"max","min","last","si")', 2),
        ('aliasQuery(g.*.x.y,"x","x","Total %d")', 2), ("offsetToZero(g.*.x.y)", 2),
        ("minMax(g.*.x.y)", 2), ('sortBy(g.*.x.y,"sum")', 2), ("integral(g.*.x.y)", 2),
    ],
)  # fmt: skip
@each("odd", [math.inf, -math.inf, 710.0, 1e308, -1e308], ids=str)
@each("others", [[1.0, 3.0], []], ids=["some", "all"])
def test_an_infinite_value_spoils_no_panel(
    target: str, names: int, odd: float, others: list[float]
) -> None:
    """Every series is answered, and every format can be written."""
    found = answer(target, [odd, *others])
    assert len(found) == names
    for name in ("json", "raw", "csv", "svg", "html", "xml", "rickshaw", "pickle"):
        assert FORMATS[name].write(found, Options(start=START, end=END))


def test_exponents_beyond_all_numbers() -> None:
    """The exponential is null where it is no number any more, and exact elsewhere."""
    odd, _ = answer("exp(g.*.x.y)", [710.0, 1.0, math.inf, -math.inf])
    np.testing.assert_array_equal(odd.values[3:7], [np.nan, math.e, math.inf, 0.0])
    odd, _ = answer("sigmoid(g.*.x.y)", [-1_000.0, 1_000.0, 0.0, -math.inf])
    np.testing.assert_array_equal(odd.values[3:7], [0.0, 1.0, 0.5, 0.0])


def test_labels_of_infinite_values() -> None:
    """They are written as what they are."""
    odd, _ = answer('cactiStyle(g.*.x.y,"si")', [math.inf, 2_000.0])
    assert "Max:inf" in odd.name and "Min:2.00k" in odd.name
    odd, _ = answer('aliasQuery(g.*.x.y,"x","x","Total %d")', [math.inf, 1.0])
    assert odd.name == "Total inf"


def test_nothing_that_works_for_numbers_fails_for_infinite_ones() -> None:
    """Every recorded target over everyday values is answered over infinite and huge ones too."""
    import re

    from inapp_monitor.ground.exceptions import QueryError

    targets = {re.sub(PATH, "g.*.x.y", c["target"]) for c in cases("golden.jsonl") if "target" in c}
    tried = 0
    for target in sorted(targets):
        try:
            answer(target, [1.0, 2.0, 4.0])
        except QueryError:
            continue
        tried += 1
        for odd in (math.inf, -math.inf, 1e308):
            answer(target, [1.0, odd, -odd, 4.0])
    assert tried > 300


def test_nulls_are_replaced_where_a_reference_has_values() -> None:
    """By time: a reference of another length or step neither shifts nor lengthens a series."""
    source = MemorySource([
        ("a", START - 3_600, 60, [math.nan] * 100),
        ("b", START - 3_600, 120, [math.nan] * 30 + [1.0, math.nan, 1.0] * 5),
    ])  # fmt: skip
    request = RenderRequest(start=START - 60, end=START + 720, now=START + 720)
    target = "transformNull(a,7,referenceSeries=b)"
    (series,) = evaluate([target], request, source)
    assert series.name == "transformNull(a,7,referenceSeries)"
    wanted = [7.0, 7.0, np.nan, np.nan, 7.0, 7.0, 7.0, 7.0, np.nan, np.nan, 7.0, 7.0, 7.0]
    np.testing.assert_array_equal(series.values, wanted)
