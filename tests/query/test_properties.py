"""What holds for every function and every text: promises that need no recorded answer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query import grammar as g
from inapp_monitor.query.aggregation import aggregate_arrays, aggregate_rows
from inapp_monitor.query.context import Context, FirstArgument
from inapp_monitor.query.evaluate import evaluate
from inapp_monitor.query.globs import MAX_EXPANSIONS, Tree, expand_braces
from inapp_monitor.query.grammar import Call, Literal, Path, Template, parse, to_text
from inapp_monitor.query.max_points import fit
from inapp_monitor.query.memory_source import MemorySource
from inapp_monitor.query.registry import FUNCTIONS, Function, Param
from inapp_monitor.query.request import Limits, RenderRequest
from inapp_monitor.query.rounding import round_half_even
from inapp_monitor.query.series import CONSOLIDATIONS, Normalized, Series, consolidate
from inapp_monitor.query.timespec import parse_offset, parse_time
from inapp_monitor.web.graphite.formats.options import Options
from inapp_monitor.web.graphite.formats.registry import FORMATS
from tests.each import each

START, END = 1_700_000_000 - 600, 1_700_000_000
PLENTY = Limits(points=10**9, time_s=600)

# -- the grammar

_WORD = st.text("abcdefgxyz_-$:#%@~;", min_size=1, max_size=6).filter(
    lambda text: text[0].isalpha() and text not in ("inf", "none", "true", "false")
)
_NODE = st.one_of(_WORD, _WORD.map(lambda w: f"{w}*"), st.lists(_WORD, min_size=1, max_size=3).map(
    lambda words: "{" + ",".join(words) + "}"))  # fmt: skip
PATHS = st.lists(_NODE, min_size=1, max_size=4).map(".".join).map(Path)
LITERALS = st.one_of(
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False, allow_infinity=False),
    st.just(math.inf),
    st.booleans(),
    st.none(),
    st.text("abc (),.|{}='", max_size=8).filter(lambda t: "'" not in t),
).map(Literal)
_NAMES = st.sampled_from(["scale", "sumSeries", "alias", "f", "x_1"])
TREES = st.recursive(
    PATHS,
    lambda inner: st.builds(
        lambda name, arguments, keywords: Call(name, tuple(arguments), tuple(keywords), "", 0),
        _NAMES,
        st.lists(st.one_of(inner, LITERALS), max_size=3),
        st.lists(
            st.tuples(_NAMES, st.one_of(inner, LITERALS)), max_size=2, unique_by=lambda k: k[0]
        ),
    ),
    max_leaves=8,
)


def bare(node: Any) -> Any:
    """The tree without what depends on how it was written."""
    if isinstance(node, Call):
        arguments = tuple(bare(argument) for argument in node.arguments)
        keywords = tuple((name, bare(value)) for name, value in node.keywords)
        return node._replace(arguments=arguments, keywords=keywords, text="", position=0)
    if isinstance(node, Template):
        return node._replace(body=bare(node.body))
    return node


@given(TREES)
def test_a_printed_tree_parses_to_itself(tree: Any) -> None:
    """Printing and parsing are each other's inverse."""
    assert bare(parse(to_text(tree))) == tree


@given(st.text(max_size=60))
@example("a|b")
@example("\\")
@example("template(")
@settings(max_examples=200)
def test_no_text_makes_the_parser_fail_otherwise(text: str) -> None:
    """Arbitrary text parses or is a QueryError with a position inside it."""
    try:
        parse(text)
    except QueryError as error:
        assert error.position is not None and 0 <= error.position <= len(text)


@given(st.text("abs(){},.|\"'\\=0123456789 *?[]-+e$;", max_size=40))
@settings(max_examples=300)
def test_no_mixture_of_tokens_makes_the_parser_fail_otherwise(text: str) -> None:
    """Texts made of the grammar's own characters parse or are a QueryError."""
    try:
        tree = parse(text)
    except QueryError:
        return
    if "\\" not in text and not _has_odd_path(tree):
        assert bare(parse(to_text(tree))) == bare(tree)


def _has_odd_path(node: Any) -> bool:
    """A path that would be read as a number or word where an argument stands."""
    if isinstance(node, Path):
        return not node.text[:1].isalpha() or node.text.lower() in ("inf", "none", "true", "false")
    children = [*getattr(node, "arguments", ()), *(v for _, v in getattr(node, "keywords", ()))]
    body = getattr(node, "body", None)
    return any(map(_has_odd_path, [*children, body] if body else children))


@given(st.text(max_size=30))
def test_no_text_makes_times_fail_otherwise(text: str) -> None:
    """Arbitrary text is a time (an interval) or a QueryError."""
    for read in (lambda: parse_time(text, END), lambda: parse_offset(text)):
        try:
            assert isinstance(read(), int)
        except QueryError:
            pass


@given(st.text("ab{},*", max_size=24))
def test_braces_expand_within_bounds(text: str) -> None:
    """Braces expand to a bounded list without braces pairs, or are refused."""
    try:
        found = expand_braces(text)
    except QueryError:
        return
    assert len(found) <= MAX_EXPANSIONS and len(set(found)) == len(found)


@given(st.lists(st.text("ab.", min_size=1, max_size=7).filter(lambda p: "" not in p.split("."))))
def test_a_tree_knows_its_leaves_in_whatever_order_they_came(paths: list[str]) -> None:
    """A node may be a branch and a leaf."""
    tree = Tree()
    tree.add(paths)
    for path in {known[:n] for known in paths for n in range(1, len(known) + 1)}:
        if not path.endswith("."):
            nodes = dict(tree.find(path))
            is_node = any(f"{known}.".startswith(f"{path}.") for known in paths)
            assert (path in nodes) == is_node
            assert not is_node or nodes[path].is_leaf == (path in paths)


def test_a_hostile_glob_is_a_walk_of_the_tree() -> None:
    """A pattern of many stars over a long name is answered at once."""
    tree = Tree()
    tree.add(["a" * 180])
    assert tree.find("*a" * 20 + "b") == []
    with pytest.raises(QueryError, match="braces expand"):
        tree.find("{a,b}" * 24)
    with pytest.raises(QueryError, match="braces expand"):
        tree.find("{a}" * 20_000)
    with pytest.raises(QueryError, match="braces expand"):
        tree.find("{" + "{a,b}" * 4 + "," * 60_000 + "}")
    assert tree.find("{" * 65_536) == []
    wide = Tree()
    wide.add(f"host{number}" for number in range(2_000))
    with pytest.raises(QueryError, match="compared with more than"):
        wide.find("{" + ",".join(f"*{number}x" for number in range(9_000)) + "}")
    with pytest.raises(QueryError, match="1024 are allowed"):
        wide.find("*" * 2_000)


def test_a_pattern_may_name_thousands_of_hosts() -> None:
    """A variable of all hosts is written out as alternatives."""
    tree = Tree()
    tree.add(f"servers.web{number:04}.cpu" for number in range(5_000))
    hosts = ",".join(f"web{number:04}" for number in range(0, 5_000, 2))
    assert len(tree.find(f"servers.{{{hosts}}}.*")) == 2_500
    assert [path for path, _ in tree.find("servers.{web0001,{web0003.cpu,web0005.cpu}}")] == [
        "servers.web0001", "servers.web0003.cpu", "servers.web0005.cpu"
    ]  # fmt: skip


# -- numbers


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=20), st.integers(-3, 8))
def test_rounding_is_pythons(values: list[float], digits: int) -> None:
    """Arrays are rounded exactly as `round` rounds."""

    def expected(value: float) -> float:
        try:
            return round(value, digits) if math.isfinite(value) else value
        except OverflowError:
            return value

    got = round_half_even(np.array(values, dtype=float), digits).tolist()
    assert [repr(v) for v in got] == [repr(float(expected(v))) for v in values]


@given(
    st.lists(st.one_of(st.just(math.nan), st.floats(-1e6, 1e6)), max_size=30),
    st.integers(1, 9),
    st.sampled_from(CONSOLIDATIONS),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_consolidation_is_what_it_says(
    values: list[float], factor: int, how: str, x_files_factor: float
) -> None:
    """Each bucket is the plain Python aggregate of its known values, or null."""
    got = consolidate(np.array(values, dtype=float), factor, how, x_files_factor).tolist()
    wanted = []
    for i in range(0, len(values), factor):
        bucket = values[i : i + factor]
        known = [v for v in bucket if v == v]
        if not known or len(known) / factor < x_files_factor:
            wanted.append(math.nan)
            continue
        wanted.append(
            {
                "sum": sum(known),
                "average": sum(known) / len(known),
                "avg": sum(known) / len(known),
                "avg_zero": sum(known) / len(bucket),
                "max": max(known),
                "min": min(known),
                "first": known[0],
                "last": known[-1],
            }[how]
        )
    assert got == pytest.approx(wanted, nan_ok=True, rel=1e-12, abs=1e-9)


# -- every function

_SHAPES: dict[str, list[tuple[str, int, int, list[float]]]] = {
    "none": [],
    "nulls": [("a.b", START, 60, [math.nan] * 10), ("a.c", START, 60, [math.nan] * 10)],
    "one point": [("a.b", END, 600, [5.0])],
    "mixed steps": [
        ("a.b", START, 60, [1.0, math.nan, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 1.0, 2.0]),
        ("a.c", START, 20, [float(i % 7) for i in range(32)]),
    ],
    "extremes": [
        ("a.b", START, 60, [math.inf, -math.inf, 1e308, -1e308, 0.0, 1e-308, -0.0] * 2),
        ("a.c", START, 60, [-1e308, 1e308, math.inf, 5.0, math.nan, 2.0] * 2),
    ],
}
_VALUES: dict[str, Any] = {
    "aggFunc": ["average", "median", "multiply", "stddev", "range", "last", "count"],
    "aggOrSeriesFunc": ["sum", "averageSeries", "countSeries"],
    "boolean": [True, False],
    "float": [2.0, 50.0, -1.0, 0.0],
    "intOrInf": [2, math.inf],
    "intOrInterval": [3, "2min", 0, "90s"],
    "integer": [2, 1],
    "interval": ["2min", "90s", "1h"],
    "node": [1, 0],
    "nodeOrTag": [1, "name", 7],
    "tag": ["name"],
}
_BY_NAME = {
    "search": ["b"], "replace": ["c"], "pattern": ["b"], "newName": ["x"], "operator": [">"],
    "startSliceAt": ["1699999700"], "ts": ["1699999700"], "templateFunction": ["%.b"],
    "consolidationFunc": ["max"], "reduceFunction": ["sumSeries"], "reduceMatchers": ["b"],
    "tagExpressions": ["name=a.b"], "valuesTypes": ["last"], "theColor": ["red"],
    "interval": ["2min"], "default": [0.0],
}  # fmt: skip


def arguments_of(f: Function, variant: int) -> list[str]:
    """Arguments for each required parameter, as they are written."""
    written = []
    for param in f.params:
        if not param.required and variant % 2 == 0:
            continue
        if param.type in ("date", "string") and param.name not in _BY_NAME and not param.required:
            break
        written.append(_written(param, variant))
    return written


def _written(param: Param, variant: int) -> str:
    if param.type in ("seriesList", "any"):
        return "a.*"
    if param.type == "seriesLists":
        return "mapSeries(a.*,0)"
    if param.type == "path":
        return "a.time"
    values = _BY_NAME.get(param.name) or _VALUES.get(param.type, ["x"])
    value = values[variant // 2 % len(values)]
    if isinstance(value, str):
        return f'"{value}"'
    return {True: "true", False: "false", math.inf: "inf"}.get(value, str(value)) if not (
        isinstance(value, int) and not isinstance(value, bool)
    ) else str(value)  # fmt: skip


@each("shape", _SHAPES)
@each("name", sorted(FUNCTIONS))
def test_every_function_takes_every_shape(name: str, shape: str) -> None:
    """No input makes a function fail otherwise than with a QueryError, or changes the input."""
    source = MemorySource(_SHAPES[shape])
    for variant in range(4):
        target = f"{name}({','.join(arguments_of(FUNCTIONS[name], variant))})"
        for own in (False, True):
            request = RenderRequest(
                start=START, end=END, now=END, limits=PLENTY, own_consolidation=own
            )
            before = [s.values.copy() for s in evaluate(["a.*"], request, source)]
            try:
                found = evaluate([target], request, source)
                if variant == own == 0:  # other arguments change numbers alone
                    for written in FORMATS.keys() - {"dygraph", "msgpack", "pickle"}:
                        FORMATS[written].write(found, Options(start=START, end=END))
                fit(found, 3)
            except QueryError as error:
                assert "\n" not in str(error)
            after = [s.values for s in evaluate(["a.*"], request, source)]
            for a, b in zip(before, after, strict=True):
                np.testing.assert_array_equal(a, b)


def test_functions_do_not_change_their_input() -> None:
    """A series list that a function was given is the same afterwards."""
    source = MemorySource(_SHAPES["mixed steps"])
    request = RenderRequest(start=START, end=END, now=END, limits=PLENTY)
    for name, f in FUNCTIONS.items():
        if not f.params or f.params[0].type != "seriesList" or len(arguments_of(f, 0)) != 1:
            continue
        context = Context.of(request, source)
        given_series = context.fetch("a.*")
        seen = [(s.name, dict(s.tags), s.values.copy(), s.step) for s in given_series]
        context.first_argument = FirstArgument(Path("a.*"), {})
        try:
            context.call(name, given_series)
        except QueryError:
            pass
        for s, (label, tags, values, step) in zip(given_series, seen, strict=True):
            assert (s.name, s.tags, s.step) == (label, tags, step), name
            np.testing.assert_array_equal(s.values, values)


_MILLION = {
    "sumSeries": "",
    "movingMedian": ",10",
    "summarize": ',"1h"',
    "holtWintersForecast": ',"1h","10min"',
    "exponentialMovingAverage": ",10",
    "percentileOfSeries": ",50",
}


@pytest.mark.parametrize("name", _MILLION)
def test_a_million_points(name: str) -> None:
    """A series of a million points is work, not a failure."""
    count = 1_000_000
    values = np.where(np.arange(count) % 10 == 0, np.nan, np.arange(count) % 97).tolist()
    source = MemorySource([("a.b", 0, 1, values)])
    request = RenderRequest(start=0, end=count - 2, now=count, limits=PLENTY)
    (found,) = evaluate([f"{name}(a.b{_MILLION[name]})"], request, source)
    assert len(found)


@given(st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_nested_targets_keep_their_word(data: st.DataObject) -> None:
    """Random nestings of functions end in series or a QueryError."""
    target = "a.*"
    for _ in range(data.draw(st.integers(1, 4))):
        name = data.draw(st.sampled_from(sorted(FUNCTIONS)))
        f = FUNCTIONS[name]
        written = arguments_of(f, data.draw(st.integers(0, 20)))
        if written and f.params[0].type == "seriesList":
            written[0] = target
            target = f"{name}({','.join(written)})"
    source = MemorySource(_SHAPES[data.draw(st.sampled_from(sorted(_SHAPES)))])
    request = RenderRequest(start=START, end=END, now=END, limits=PLENTY)
    try:
        evaluate([target], request, source)
    except QueryError:
        pass


def test_steps_are_aligned_by_time_when_asked() -> None:
    """With `consolidation=series` a bucket holds the values of its own time, joined by method."""
    fine = Series("fine", 40, 100, 20, [1.0, 2.0, 3.0], consolidation="sum")
    coarse = Series("coarse", 0, 120, 60, [10.0, 20.0])
    aligned = Normalized([fine, coarse], align=True)
    assert (aligned.start, aligned.step) == (0, 60)
    np.testing.assert_array_equal(aligned.rows, [[1.0, 5.0], [10.0, 20.0]])


@given(st.text(max_size=80))
def test_names_never_leave_a_document(name: str) -> None:
    """Whatever a series is called, html, xml and svg stay well formed and json is json."""
    import json
    from xml.etree import ElementTree

    series = [Series(name, START, START + 60, 60, [1.0], tags={"name": name})]
    options = Options(start=START, end=END, picture={"title": name, "vtitle": name})
    assert json.loads(FORMATS["json"].write(series, options))[0]["target"] == name
    for written in ("xml", "svg"):
        ElementTree.fromstring(FORMATS[written].write(series, options))
    assert b"<script" not in FORMATS["html"].write(series, options).lower()


def test_first_path_of_a_name() -> None:
    """Names that look like calls are grouped by the first path inside them."""
    assert g.first_path("scale(a.b.c,2)") == "a.b.c"
    assert g.first_path("a.b|scale(2)") == "a.b"
    assert g.first_path("constantLine(5)") is None


@given(st.integers(1, 600), st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_streamed_aggregates_are_those_of_the_matrix(count: int, seed: int) -> None:
    """Going through the series one by one gives what the whole matrix gives, however many."""
    rows = np.random.default_rng(seed).integers(-5, 6, (count, 7)).astype(float)
    rows[rows == 5] = np.nan
    for name in ("sum", "average", "max", "min"):
        values, known = aggregate_arrays(name, list(rows))
        np.testing.assert_array_equal(values, aggregate_rows(name, rows))
        np.testing.assert_array_equal(known, (~np.isnan(rows)).sum(axis=0))


def test_pipes_inside_functions_that_look_back() -> None:
    """Graphite forgets them; with `consolidation=series` they count."""
    source = MemorySource([("a.b", START - 600, 60, [3.0] * 30)])
    targets = ["movingAverage(a.b|scale(2),3)"]
    request = RenderRequest(start=START, end=END, now=END)
    assert evaluate(targets, request, source)[0].values[0] == 3.0
    request = RenderRequest(start=START, end=END, now=END, own_consolidation=True)
    assert evaluate(targets, request, source)[0].values[0] == 6.0
