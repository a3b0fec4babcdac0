"""Which data directory a command is about: the one that is given, else what the settings say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from inapp_monitor.ground import config
from inapp_monitor.ground.config import Settings
from inapp_monitor.ground.exceptions import MonitorError

#: For a command that takes nothing else.
ARGUMENT = click.argument("data_dir", type=click.Path(path_type=Path), required=False)
_BEGINNINGS = ("/", "./", "../", "~")


def settings_of(data_dir: Path | None, config_file: str | None = None) -> Settings:
    """The settings of a data directory that is there: nobody means to look at a missing one.

    Raises:
        MonitorError: There is none.
    """
    settings = config.load({"data_dir": data_dir}, config_file).settings
    if not settings.data_dir.is_dir():
        given = str(settings.data_dir)
        raise MonitorError(f"no directory {given!r}: give the data directory of the app")
    return settings


def split(words: Sequence[str], *defaults: str) -> tuple[Path | None, list[str]]:
    """The directory that a command's words begin with, if they do, and as many as the defaults.

    The first word is a directory when there is one of that name, when it is written as a path, or
    when there are more words than others that the command takes.

    Raises:
        MonitorError: More words are left than the command takes.
    """
    rest = list(words)
    data_dir = None
    if rest and (is_directory(rest[0]) or len(rest) > len(defaults)):
        data_dir = Path(rest.pop(0))
    if len(rest) > len(defaults):
        raise MonitorError(f"unexpected {rest[len(defaults)]!r}")
    return data_dir, [*rest, *defaults[len(rest) :]]


def settings_and_action(words: Sequence[str], actions: Sequence[str]) -> tuple[Settings, str, str]:
    """Of `[DATA_DIR] [ACTION] [WHAT]`: the settings, the action (the first is usual), and what.

    Raises:
        MonitorError: There is no such directory or action.
    """
    data_dir, (action, what) = split(words, actions[0], "")
    if action not in actions:
        known = ", ".join(actions)
        raise MonitorError(f"{action!r} is neither a directory nor one of {known}")
    return settings_of(data_dir), action, what


def is_directory(word: str) -> bool:
    """Whether a word means a directory: there is one of that name, or it is written as a path."""
    return word.startswith(_BEGINNINGS) or Path(word).is_dir()
