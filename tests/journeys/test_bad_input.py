"""Bad input gets one clear line; trouble with the disk is shown; the app goes on in every case."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("target=noSuchFunction(requests.time.count)", "noSuchFunction"),
        ("target=scale(requests.time.count,2", "column 28"),
        ("target=scale(requests.time.count,'x')", "scale"),
        ("target=requests.time.count&from=yesterdoy", "yesterdoy"),
        ("target=requests.time.count&until=99:99", "99:99"),
        ("target=requests.time.count&format=gif", "gif"),
    ],
)
def test_a_bad_question_is_answered_400_with_one_line_that_names_it(
    query: str, named: str, journey: Callable[..., Any]
) -> None:
    """Not 500, not an empty list, not a page of HTML."""
    one = journey()
    one.get("/")
    answer = one.ask(f"/render?{query}" if "format=" in query else f"/render?{query}&format=json")
    assert answer.status == 400
    assert named in answer.text
    assert len(answer.text.strip().splitlines()) == 1


def test_an_unwritable_data_dir_keeps_everything_in_memory(
    journey: Callable[..., Any], tmp_path: Path
) -> None:
    """The app answers, the numbers are there, the status page says why nothing is written."""
    blocker = tmp_path / "file"
    blocker.write_text("not a directory")
    one = journey(data_dir=blocker / "data")
    for _ in range(4):
        assert one.get("/").status == 200
    assert one.total("requests.time.count") == 4
    with pytest.raises(ValueError, match="boom"):
        one.get("/boom")
    assert one.ask("/errors.json").json()["issues"][0]["count"] == 1
    assert "Not a directory" in one.ask("/status.json").text


def test_a_corrupt_file_is_moved_aside_and_reported(journey: Callable[..., Any]) -> None:
    """Garbage in place of a group file: a new one is begun, the old bytes are kept."""
    first = journey()
    first.get("/")
    first.monitor.close()
    victim = next(p for p in first.data_dir.rglob("group-*"))
    victim.write_bytes(os.urandom(4096))
    second = journey()
    second.get("/")
    assert second.total("requests.status.2xx") == 1
    assert list(victim.parent.glob("*.bad-*"))
    assert ".bad-" in second.ask("/status.json").text


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\0b", "x" * 300, "", None, "a b"])
def test_an_illegal_name_is_counted_with_its_call_site(
    name: Any, journey: Callable[..., Any], tmp_path: Path
) -> None:
    """Nothing raises, nothing is written outside, the status page names this file."""
    before = set(tmp_path.rglob("*"))
    one = journey()
    one.monitor.incr(name)
    one.monitor.incr("fine")
    assert one.total("fine") == 1
    assert "test_bad_input.py" in one.ask("/status.json").text
    outside = {
        p for p in set(tmp_path.rglob("*")) - before if tmp_path / "data" not in (p, *p.parents)
    }
    assert not outside


def test_the_dashboard_is_closed_to_strangers(journey: Callable[..., Any]) -> None:
    """Without the token: 401 on every page and endpoint, and nothing of the data."""
    one = journey()
    one.get("/secret-page")
    for path in ("/", "/status", "/render?target=requests.time.count", "/errors.json"):
        answer = one.get(f"/_metrics{path}")
        assert answer.status == 401
        assert "secret-page" not in answer.text


def test_a_request_to_a_similar_path_belongs_to_the_app(journey: Callable[..., Any]) -> None:
    """Only the mount itself and what is below it."""
    one = journey()
    assert one.get("/_metricsandmore").text == "/_metricsandmore"
    assert one.get("/_metric").status == 200
