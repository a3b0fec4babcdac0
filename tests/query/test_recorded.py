"""Targets and times with what Graphite answered: ours are the same.

Deliberate differences: `delay(x, 0)` is x, `.5` is a number, text after a target is an error,
`12pm` is noon, minutes may be written `m`, and ISO 8601 dates are understood. What Graphite
answers with a status of 500 is a `QueryError`.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.evaluate import evaluate
from inapp_monitor.query.max_points import fit
from inapp_monitor.query.request import RenderRequest
from inapp_monitor.query.timespec import parse_offset, parse_time, parse_zone
from inapp_monitor.web.graphite.formats.options import Options
from inapp_monitor.web.graphite.formats.registry import FORMATS
from tests.each import each

pytestmark = pytest.mark.compat

RECORDED = Path(__file__).parents[1] / "data" / "graphite"
NOW = 1_700_000_000
#: Text after the target is ignored by Graphite, an error here.
TRAILING_TEXT = {"grammar-23", "grammar-24"}
OURS = {"grammar-11", "delay-05", "delay-06", "linearRegression-04"}
#: Sums of many terms in floating point.
LOOSE = ("linearRegression", "holtWinters", "stdev", "exponentialMovingAverage")


def cases(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (RECORDED / name).read_text("utf-8").splitlines()]


def same(a: Any, b: Any, tolerance: float) -> bool:
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return bool(a == b or abs(a - b) <= tolerance * max(abs(a), abs(b)))
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y, tolerance) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key], tolerance) for key in a)
    return bool(a == b)


def answer(case: dict[str, Any], source: Any, events: Any) -> Any:
    parameters = case.get("params", {})
    tz = parse_zone(parameters.get("tz", "UTC")) or parse_zone("UTC")
    start, end = sorted(parse_time(case[name], NOW, tz) for name in ("from", "until"))
    if start == end:
        raise QueryError("empty time range")
    digits = str(case.get("maxDataPoints", ""))
    points = int(digits) if digits.isdigit() else None
    request = RenderRequest(
        start=start,
        end=end,
        now=NOW,
        tz=tz,
        x_files_factor=float(parameters.get("xFilesFactor", 0)),
        template={k[9:-1]: v for k, v in parameters.items() if k.startswith("template[")},
        max_points=points,
        events=events,
    )
    targets = case["targets"] if "targets" in case else [case["target"]]
    series = evaluate(targets, request, source)
    if points is not None:
        series = fit(series, points)
    return json.loads(
        FORMATS["json"].write(series, Options(skip_nulls="noNullPoints" in parameters))
    )


@each(
    "case",
    [c for c in cases("golden.jsonl") + cases("golden_fuzz.jsonl") if c["id"] not in OURS],
    ids=lambda case: case["id"],
)
def test_target(case: dict[str, Any], recorded: Any, recorded_events: Any) -> None:
    """A target has the same names, tags, times and values as in Graphite."""
    wanted = case.get("head", case)  # what Graphite answers since a later correction
    if "expected" not in wanted or case["id"] in TRAILING_TEXT:
        with pytest.raises(QueryError):
            answer(case, recorded, recorded_events)
        return
    loose = any(name in str(case.get("target", case.get("targets"))) for name in LOOSE)
    got = answer(case, recorded, recorded_events)
    assert same(got, wanted["expected"], 1e-8 if loose else 1e-12), got


@each("case", cases("golden_attime.jsonl"), ids=str)
def test_time(case: dict[str, Any]) -> None:
    """A time is the same moment as in Graphite, and an error where it is one there."""
    if "offset" in case:
        if "error" not in case:
            assert parse_offset(case["offset"]) == case["seconds"]
        elif case["offset"] != "1m":
            with pytest.raises(QueryError):
                parse_offset(case["offset"])
        return
    form = case["form"]
    if re.search(r"12(:\d\d)?(am|pm)", form) or re.fullmatch(r"[-+]\d+m|\d{4}-\d\d-\d\d.*", form):
        return  # understood differently on purpose
    tz = parse_zone(case["tz"])
    assert tz is not None
    if "error" in case:
        with pytest.raises(QueryError):
            parse_time(form, case["now"], tz)
    else:
        assert parse_time(form, case["now"], tz) == math.floor(case["epoch"])
