"""What one render may cost: time is asked for by every function and writer, bodies come in pieces.

The clock here tells a second for each time it is asked: what is counted is how often that is.
"""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from inapp_monitor.database import posted_events
from inapp_monitor.database.posted_events import (
    MAX_FOUND_BYTES,
    PostedEvent,
    PostedEvents,
)
from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query import series as series_module
from inapp_monitor.query.evaluate import evaluate
from inapp_monitor.query.memory_source import MemorySource
from inapp_monitor.query.registry import FUNCTIONS, Param
from inapp_monitor.query.request import Budget, Limits, RenderRequest
from inapp_monitor.query.series import Series
from inapp_monitor.web.graphite.formats.options import Options
from inapp_monitor.web.graphite.formats.pieces import PIECE_CHARS
from inapp_monitor.web.graphite.formats.registry import FORMATS
from tests.each import each

START, STEP, POINTS = 1_699_999_980, 60, 60
END = START + STEP * POINTS
SERIES = 40
#: What a piece may have: the C library treats larger blocks of memory in another way.
LARGEST_PIECE = 128 * 1024


def many(count: int = SERIES, points: int = POINTS) -> list[Series]:
    values = np.random.default_rng(1).random((count, points)) * 100
    stop = START + STEP * points
    return [Series(f"a.b{i}.c", START, stop, STEP, row) for i, row in enumerate(values)]


def held(series: list[Series]) -> MemorySource:
    """A source of the points; the beginning of the window is no part of it."""
    return MemorySource([(s.name, START + STEP, STEP, s.values.tolist()) for s in series])


class Asked:
    """A clock of work that counts how often it is asked."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> float:
        self.times += 1
        return 0.0


def asked_by(target: str, series: list[Series]) -> int:
    """How often the time limit is asked for while a target is evaluated."""
    clock = Asked()
    stop = max(s.end for s in series)
    request = RenderRequest(start=START, end=stop, now=stop, elapsed=clock)
    evaluate([target], request, held(series))
    return clock.times


def arguments(name: str) -> list[str] | None:
    """Arguments with which a function goes through all series; None where it takes none."""
    special = {
        "reduceSeries": None, "reduce": None, "mapSeries": None, "map": None,
        "applyByNode": ["a.*.c", "1", "'%.c'"], "areaBetween": None, "heatmap": None,
        "holtWintersConfidenceArea": None, "seriesByTag": None, "verticalLine": None,
        "divideSeries": ["a.*.c", "a.b1.c"], "asPercent": ["a.*.c"], "pct": ["a.*.c"],
        "aliasQuery": ["a.*.c", "'^.*$'", "'a.b1.c'", "'%g'"], "identity": None,
        "useSeriesAbove": ["a.*.c", "-1", "'b1'", "'b2'"], "template": None,
        "integralByInterval": ["a.*.c", "'5min'"], "timeSlice": ["a.*.c", "'-1h'"],
        "nPercentile": ["a.*.c", "50"], "setXFilesFactor": None, "xFilesFactor": None,
    }  # fmt: skip
    if name in special:
        return special[name]
    texts: list[str] = []
    for param in FUNCTIONS[name].params:
        if param.type == "seriesList" and param.name != "referenceSeries":
            texts.append("a.*.c")
        elif param.required:
            texts.append(_value(param))
    return texts if "a.*.c" in texts else None


def _value(param: Param) -> str:
    options = {"filterSeries": "'>'"}
    values = {
        "aggFunc": "'sum'", "aggOrSeriesFunc": "'sum'", "float": "2", "integer": "2",
        "interval": "'5min'", "intOrInterval": "5", "node": "1", "nodeOrTag": "1",
        "string": options.get(param.name, "'sum'"), "tag": "'name'", "boolean": "false",
        "date": "'now'", "intOrInf": "2", "any": "2",
    }  # fmt: skip
    return "'>'" if param.name == "operator" else values[param.type]


#: What hands its series on, or looks at their number alone.
_NOTHING_TO_DO = ("group", "limit", "fallbackSeries")


@each("name", sorted(name for name in FUNCTIONS if arguments(name) and name not in _NOTHING_TO_DO))
def test_every_function_asks_for_the_time_with_every_series(name: str) -> None:
    """So that none works for longer than is allowed, however many series it is given."""
    given = arguments(name)
    assert given is not None
    few, all_of_them = many(8), many(8 + SERIES)
    target = f"{name}({','.join(given)})"
    assert asked_by(target, all_of_them) - asked_by(target, few) >= SERIES


@pytest.mark.parametrize(
    "target",
    [
        "movingMedian(a.b0.c,500)",
        "movingWindow(a.b0.c,2000,'stddev')",
        "holtWintersForecast(a.b0.c,'1h','1h')",
        "holtWintersForecast(a.*.c,'1h','1h')",
    ],
)
def test_one_long_series_is_asked_for_more_than_once(target: str) -> None:
    """Work that grows faster than the points keeps to the time limit within a series, too."""
    short = asked_by(target, many(9, 3_000))
    assert asked_by(target, many(9, 30_000)) - short >= 20


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_writer_asks_for_the_time_with_every_series(name: str) -> None:
    """And one that is out of time ends, whatever it has written."""
    if name == "msgpack":
        pytest.importorskip("msgpack")
    clock = Asked()
    options = Options(start=START, end=END, check_time=clock_of(clock))
    FORMATS[name].write(many(), options)
    assert clock.times >= SERIES
    out_of_time = Budget(Limits(time_s=1), lambda: 2.0)
    with pytest.raises(QueryError, match="s of work"):
        FORMATS[name].write(many(), Options(start=START, check_time=out_of_time.check_time))


def clock_of(clock: Asked) -> Callable[[], None]:
    def ask() -> None:
        clock()

    return ask


@pytest.mark.parametrize("name", ["csv", "json", "raw", "rickshaw", "xml"])
def test_a_writer_of_one_long_series_asks_more_than_once(name: str) -> None:
    """A hundred thousand points are as much work in one series as in many."""
    clock = Asked()
    options = Options(start=START, end=END, check_time=clock_of(clock))
    FORMATS[name].write(many(1, 100_000), options)
    assert clock.times >= 50


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"svg"}))
@pytest.mark.parametrize("shape", [(60, 1_440), (1, 100_000), (3_000, 3)])
def test_pieces_are_neither_large_nor_many(name: str, shape: tuple[int, int]) -> None:
    """None is a large block of memory, and few are smaller than is worth sending."""
    if name == "msgpack":
        pytest.importorskip("msgpack")
    if name == "msgpack" and shape[1] > 10_000:
        pytest.skip("a series is a piece of its own there")
    options = Options(start=START, end=START + STEP * shape[1])
    sizes = [len(piece) for piece in FORMATS[name].pieces(many(*shape), options)]
    assert max(sizes) < LARGEST_PIECE
    assert len(sizes) <= sum(sizes) / PIECE_CHARS * 2 + 2


def test_pieces_together_are_what_was_asked_for() -> None:
    """Where a piece ends is nobody's business."""
    series = many(3, 4_000)
    series[1].values[5:3_000] = np.nan
    stop = START + STEP * 4_000
    options = Options(start=START, end=stop)
    shown = json.loads(FORMATS["json"].write(series, options))
    rows = FORMATS["csv"].write(series, options).decode().split("\r\n")[:-1]
    unpickled = pickle.loads(FORMATS["pickle"].write(series, options))
    for number, s in enumerate(series):
        values = [None if math.isnan(v) else v for v in s.values.tolist()]
        times = list(range(START, stop, STEP))
        assert shown[number]["datapoints"] == [[v, t] for v, t in zip(values, times, strict=True)]
        cells = [row.split(",")[2] for row in rows[4_000 * number : 4_000 * (number + 1)]]
        assert [float(cell) if cell else None for cell in cells] == values
        assert unpickled[number]["values"] == values


@pytest.mark.parametrize("skip", [False, True])
def test_indented_json_is_as_json_indents_it(skip: bool) -> None:
    """Although it is put together from texts."""
    series = [*many(2, 3_100), *many(1, 0), *many(1, 1)]
    series[1].values[:] = np.nan
    series[0].values[7] = np.nan
    options = {"start": START, "end": END, "skip_nulls": skip}
    for name in ("json", "rickshaw"):
        plain = FORMATS[name].write(series, Options(**options))
        pretty = FORMATS[name].write(series, Options(**options, pretty=True)).decode()
        assert pretty == json.dumps(json.loads(plain), indent=2)
        assert FORMATS[name].write([], Options(pretty=True)) == b"[]"


def rendered(target: str, series: list[Series]) -> list[Series]:
    request = RenderRequest(start=START, end=END, now=END)
    return evaluate([target], request, held(series))


def test_a_value_that_is_asked_for_again_is_computed_once() -> None:
    """`legendValue` with hundreds of equal arguments is hundreds of texts, not of computations."""
    (s,) = rendered("legendValue(a.b0.c,'max','max','max','last')", many(1))
    high, last = repr(float(s.values.max())), repr(float(s.values[-1]))
    assert s.name == f"a.b0.c{f' (max: {high})' * 3} (last: {last})"


@pytest.mark.parametrize("interval", ["1s", "1min", "7min", "90s", "1h", "1y"])
def test_totals_by_interval_are_running_sums(interval: str) -> None:
    """They begin again with each interval, counted from the window's start."""
    series = many(1)
    series[0].values[3:9] = np.nan
    (made,) = rendered(f"integralByInterval(a.b0.c,'{interval}')", series)
    seconds = {"1s": 1, "1min": 60, "7min": 420, "90s": 90, "1h": 3_600, "1y": 31_536_000}[interval]
    expected, total, before = [], 0.0, None
    for i, value in enumerate(series[0].values.tolist()):
        number = (i + 1) * STEP // seconds
        if before is not None and number != before:
            total = 0.0
        before = number
        total += 0.0 if math.isnan(value) else value
        expected.append(total)
    assert made.values.tolist() == expected


@pytest.mark.parametrize(
    "target",
    [
        "aliasByNode(alias(a.*.c,'" + "x" * 1_900 + "')" + ",0" * 1_000 + ")",
        "applyByNode(alias(a.*.c,'" + "x" * 2_000 + "'),0,'" + "%" * 1_000 + "')",
        "aliasQuery(a.b0.c,'x','y','%999999999d')",
        "aliasQuery(a.b0.c,'x','y','%.999999999f')",
    ],
)
def test_names_do_not_grow_without_end(target: str) -> None:
    """A name can be made of another one many times over, and that many times over again."""
    with pytest.raises(QueryError, match=r"too long|too many characters|more than"):
        rendered(target, many())


def test_all_names_of_a_request_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may be long, and not all of them."""
    monkeypatch.setattr("inapp_monitor.query.request.MAX_NAME_CHARS", 10_000)
    with pytest.raises(QueryError, match="characters"):
        rendered(f"alias(a.*.c,'{'x' * 1_000}')", many())
    assert series_module.MAX_NAME_CHARS > 10_000


@pytest.fixture
def posted() -> Iterator[PostedEvents]:
    yield PostedEvents(None)


def test_events_of_one_answer_are_bounded_by_number(
    posted: PostedEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest ones of those that have the tags."""
    monkeypatch.setattr(posted_events, "MAX_FOUND", 500)
    for moment in range(600):
        tag = "old" if moment < 50 else "new"
        posted.add(PostedEvent(moment, f"deploy {moment}", (tag,), ""))
    found = posted.find(0, 10**9)
    assert [found[0].moment, len(found)] == [100, 500]
    assert len(posted.find(0, 10**9, ["old"])) == 50


def test_events_of_one_answer_are_bounded_by_bytes(posted: PostedEvents) -> None:
    """Each may carry some kilobytes."""
    size = 16_000
    for moment in range(600):
        posted.add(PostedEvent(moment, "deploy", (), f"{moment:0{size}d}"))
    found = posted.find(0, 10**9)
    assert len(found) == MAX_FOUND_BYTES // (size + len("deploy"))
    assert found[-1].moment == 599


def test_written_events_are_bounded_as_waiting_ones(tmp_path: Any) -> None:
    """Tags are looked at before the newest are cut off."""
    from inapp_monitor.database.file import Database
    from inapp_monitor.ground import config
    from inapp_monitor.ground.clock import SYSTEM
    from inapp_monitor.ground.guard import Guard

    settings = config.load({"data_dir": tmp_path}, None).settings
    database = Database(tmp_path, settings, SYSTEM, Guard())
    events = PostedEvents(database)
    for moment in range(300):
        events.add(PostedEvent(moment, "x", ("few",) if moment < 3 else ("many",), "d" * 16_000))
    found = events.find(0, 10**9)
    assert sum(len(e.data) for e in found) <= MAX_FOUND_BYTES < 300 * 16_000
    assert [e.moment for e in found] == list(range(300 - len(found), 300))
    assert [e.moment for e in events.find(0, 10**9, ["few"])] == [0, 1, 2]
    assert events.get(found[-1].id) == found[-1]
    database.close()
