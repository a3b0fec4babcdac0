"""Events as text: Python's own traceback, Markdown, curl; and the command line over them."""

from __future__ import annotations

import json
import sys
import traceback
from typing import Any

import pytest
from click.testing import CliRunner

from inapp_monitor.cli.command_line import main
from inapp_monitor.issues.as_text import (
    caret_columns,
    curl_command,
    event_markdown,
    event_text,
    traceback_text,
)

from .conftest import Monitor, caught, environ


def fail(number: int) -> float:
    return 1 + (number / 0) + 2


def chained() -> None:
    try:
        fail(1)
    except ZeroDivisionError as error:
        error.add_note("a note\nof two lines")
        raise ValueError("bad") from error


def during() -> object:
    try:
        return fail(1)
    except ZeroDivisionError:
        return {}["x"]


def recursive(depth: int) -> None:
    if depth:
        recursive(depth - 1)
    raise ValueError


def comparable(text: str) -> str:
    """A traceback as 3.11 and 3.12 draw it; later ones put carets elsewhere, so without any."""
    lines = text.replace("~", "^").split("\n")
    if sys.version_info >= (3, 13):
        lines = [line for line in lines if line.strip("^ ") or not line]
    return "\n".join(lines)


@pytest.mark.parametrize("function", [chained, during, lambda: fail(1)])
def test_the_traceback_reads_as_in_python(function: Any, monitor: Monitor) -> None:
    """Frames, carets, notes and what stands between linked exceptions."""
    error = caught(function)
    monitor.tracker.capture(error)
    event = monitor.only_issue().events[0]
    expected = "".join(traceback.format_exception(error)).rstrip("\n")
    assert comparable(traceback_text(event)) == comparable(expected)


def test_groups_are_drawn_as_a_tree(monitor: Monitor) -> None:
    """Members are numbered and indented."""
    monitor.tracker.capture(
        caught(lambda: (_ for _ in ()).throw(ExceptionGroup("g", [ValueError("a"), KeyError(5)])))
    )
    text = traceback_text(monitor.only_issue().events[0])
    assert "ExceptionGroup: g (2 sub-exceptions)" in text
    assert "  +-+---------------- 1 ----------------\n    | ValueError: a" in text
    assert "  +------------------ 2 ----------------\n    | KeyError: 5" in text


def test_recursion_says_how_often(monitor: Monitor) -> None:
    """As Python's own text does."""
    monitor.tracker.capture(caught(recursive, 50))
    text = traceback_text(monitor.only_issue().events[0])
    assert "[Previous line repeated 49 more times]" in text


def test_carets_count_characters_not_bytes() -> None:
    """Python counts bytes of UTF-8."""
    line = "    é = 1 / ö"
    begin = len("    é = ".encode())
    frame = {"line": 1, "end_line": 1, "column": begin, "end_column": len(line.encode())}
    assert line[slice(*caret_columns(frame, line))] == "1 / ö"
    assert caret_columns({"line": 1, "column": None, "end_column": None}, line) == (0, 0)
    assert caret_columns({**frame, "column": 99}, "short") == (0, 0)


def test_curl_repeats_the_request(monitor: Monitor) -> None:
    """Quoted for a shell, without secrets and what curl makes itself."""
    request = environ(
        REQUEST_METHOD="POST",
        QUERY_STRING="q=it's&token=x",
        HTTP_COOKIE="sessionid=5",
        HTTP_X_NOTE="a'b; rm -rf /",
    )
    monitor.tracker.capture(caught(fail, 1), request)
    command = curl_command(monitor.only_issue().events[0]["request"])
    assert command == (
        "curl -X POST -H 'User-Agent: test' -H 'X-Note: a'\"'\"'b; rm -rf /' "
        "'https://example.org/users/7?q=it'\"'\"'s&token=[scrubbed]'"
    )


def test_text_and_markdown(monitor: Monitor) -> None:
    """Both have the facts and the stack; Markdown cannot be broken out of."""
    error = ValueError("```\n<script>alert(1)</script>")
    monitor.tracker.capture(error, environ(), route="/a_b")
    event = monitor.only_issue().events[0]
    assert "route: /a_b" in event_text(event)
    markdown = event_markdown(event)
    assert r"- **route**: /a\_b" in markdown
    assert "\n````python\n" in markdown


def test_a_long_variable_of_many_frames_is_printed_once(monitor: Monitor) -> None:
    """As the application object in every frame of a framework."""

    def outer(config: str) -> None:
        inner(config)

    def inner(config: str) -> None:
        raise ValueError("x")

    monitor.tracker.capture(caught(outer, "long " * 50))
    text = event_text(monitor.only_issue().events[0])
    assert text.count("config = 'long") == 1
    assert text.count("config = (as above)") == 1


# -- the command line


def run(monitor: Monitor, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["errors", str(monitor.settings.data_dir), *arguments])
    return result.exit_code, result.output


def test_listing_showing_and_acting(monitor: Monitor) -> None:
    """list, show, resolve, mute, reopen, delete, by the beginning of an id."""
    issue_id = monitor.tracker.capture(caught(fail, 1), environ(), route="/a")
    assert issue_id is not None
    monitor.tick()
    status, text = run(monitor)
    assert status == 0
    assert issue_id in text
    assert "ZeroDivisionError: division by zero" in text
    status, text = run(monitor, "show", issue_id[:5])
    assert "return 1 + (number / 0) + 2" in text
    assert "number = 1" in text
    for action, expected in (("resolve", "resolved"), ("mute", "muted"), ("reopen", "open")):
        assert run(monitor, action, issue_id)[0] == 0
        assert monitor.only_issue().summary.status == expected
    assert run(monitor, "mute", issue_id, "--more", "5")[0] == 0
    assert monitor.only_issue().muted_count == 6
    assert run(monitor, "delete", issue_id)[0] == 0
    assert run(monitor) == (0, "no issues\n")


def test_json(monitor: Monitor) -> None:
    """The documents of the dashboard."""
    issue_id = monitor.tracker.capture(caught(fail, 1))
    monitor.tick()
    listed = json.loads(run(monitor, "--json")[1])
    assert listed["issues"][0]["id"] == issue_id
    shown = json.loads(run(monitor, "show", str(issue_id), "--json")[1])
    assert shown["events"][0]["type"] == "ZeroDivisionError"


def test_a_directory_without_errors(monitor: Monitor) -> None:
    """It is no mistake: nothing has failed yet."""
    monitor.settings.data_dir.mkdir()
    assert run(monitor) == (0, "no issues\n")


@pytest.mark.parametrize("action", ["show", "resolve", "mute", "reopen", "delete"])
def test_wrong_ids_are_one_line(monitor: Monitor, action: str) -> None:
    """An unknown, an ambiguous and a missing id: exit status 2, and what is wrong with it."""
    known = [str(monitor.tracker.capture_message("m", place=str(number))) for number in range(17)]
    monitor.tick()
    beginnings = [issue_id[:1] for issue_id in known]
    twice = next(first for first in beginnings if beginnings.count(first) > 1)
    number = beginnings.count(twice)
    unknown = run(monitor, action, "nothing")
    assert unknown == (2, f"inapp-monitor: no issue 'nothing' in {monitor.settings.data_dir}\n")
    ambiguous = run(monitor, action, twice)
    assert ambiguous == (2, f"inapp-monitor: {twice!r} is the beginning of {number} issues\n")
    assert run(monitor, action) == (2, "inapp-monitor: which issue? give an ID, see the list\n")
    assert len(monitor.tracker.list_issues()) == 17


@pytest.mark.parametrize("arguments", [(), ("show", "abc"), ("delete", "abc")])
def test_a_missing_directory_is_one_line(monitor: Monitor, arguments: tuple[str, ...]) -> None:
    """Nothing there, or a file: exit status 2, and nothing is made."""
    place = monitor.settings.data_dir
    why = f"no directory {str(place)!r}: give the data directory of the app"
    expected = (2, f"inapp-monitor: {why}\n")
    assert run(monitor, *arguments) == expected
    assert not place.exists()
    place.write_text("a file")
    assert run(monitor, *arguments) == expected
