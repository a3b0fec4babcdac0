"""Which data directory a command is about."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from inapp_monitor import recording
from inapp_monitor.cli.command_line import main
from inapp_monitor.cli.data_directory import split
from inapp_monitor.ground.exceptions import MonitorError


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory of an app, below the working directory, under its default name."""
    monkeypatch.chdir(tmp_path)
    with recording(".inapp_monitor", name="nightly") as monitor:
        monitor.incr("signups", 3)
        monitor.capture_message("cannot bill")
    return tmp_path / ".inapp_monitor"


def answer(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.output


@pytest.mark.parametrize(
    "command",
    [
        ["logs"],
        ["errors"],
        ["errors", "list"],
        ["dashboards"],
        ["dashboards", "list"],
        ["dsn"],
        ["alerts"],
        ["alerts", "list"],
        ["plan"],
        ["fetch", "signups"],
    ],
)
@pytest.mark.usefixtures("data_dir")
def test_what_is_left_out_is_the_one_that_the_settings_name(command: list[str]) -> None:
    """In the directory that the app is started in, nothing has to be given."""
    assert answer(*command)[0] == 0


def test_the_directory_that_is_given_comes_first(data_dir: Path) -> None:
    """By its path or its name alone, with or without further words."""
    for given in (str(data_dir), ".inapp_monitor"):
        assert "cannot bill" in answer("errors", given)[1]
        assert "cannot bill" in answer("errors", given, "list")[1]
        assert "3.0" in answer("fetch", given, "signups", "--format", "raw")[1]


def test_the_key_of_an_sdk_needs_the_project_only(data_dir: Path) -> None:
    """As `inapp-monitor dsn web`, which then is in the list."""
    code, made = answer("dsn", "web")
    assert (code, made.startswith("http://")) == (0, True)
    assert made.strip() in answer("dsn", str(data_dir))[1]


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["errors"], ".inapp_monitor': give the data directory of the app"),
        (["logs", "elsewhere"], "elsewhere': give the data directory of the app"),
        (["errors", "elsewhere"], "'elsewhere' is neither a directory nor one of list, show"),
        (["errors", "elsewhere", "show", "1a2b"], "elsewhere': give the data directory of the app"),
        (["dashboards", "./elsewhere"], "elsewhere': give the data directory of the app"),
        (["fetch", "/elsewhere"], "no TARGET is given"),
        (["check", "--repair"], ".inapp_monitor': give the data directory of the app"),
    ],
)
def test_one_that_is_not_there_is_named(
    command: list[str], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line, with exit status 2."""
    monkeypatch.chdir(tmp_path)
    code, output = answer(*command)
    assert (code, output.count("\n")) == (2, 1)
    assert why in output


def test_more_words_than_a_command_takes_are_refused() -> None:
    """The first that is too many is named."""
    with pytest.raises(MonitorError, match="unexpected 'three'"):
        split(["./here", "one", "two", "three"], "", "")
