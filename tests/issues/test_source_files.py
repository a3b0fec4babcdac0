"""Sources that are replaced under the running application: no line of other code is shown."""

from __future__ import annotations

import argparse
import configparser
import difflib
import linecache
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, ModuleType

import pytest

from inapp_monitor.issues.code_places import CodePlaces
from inapp_monitor.issues.grouping.v2 import group
from inapp_monitor.issues.shapes_v2 import shapes_of
from inapp_monitor.issues.source_files import lines_of

from .conftest import Monitor, caught

SOURCE = "def pay(card):\n    if not card.valid:\n        raise ValueError('card refused')\n"
OTHERS = {
    "lines moved": "import os\nimport re\n" + SOURCE,
    "another text in place": SOURCE.replace("card refused", "card is gone"),
    "another name in place": SOURCE.replace("ValueError", "LookupErr0"),
    "shorter": "x = 1\n",
    "empty": "",
}


def load(file: Path) -> dict[str, object]:
    """The names of a module that is imported from a file now."""
    names: dict[str, object] = {"__name__": file.stem}
    exec(compile(file.read_text(), str(file), "exec"), names)
    return names


def code_of(names: dict[str, object]) -> CodeType:
    code = getattr(names["pay"], "__code__", None)
    assert isinstance(code, CodeType)
    return code


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.py"
    path.write_text(SOURCE)
    return path


@pytest.mark.parametrize("other", OTHERS)
def test_lines_of_another_release_are_not_shown(file: Path, other: str) -> None:
    """Whether the file was read before or not."""
    code = code_of(load(file))
    file.write_text(OTHERS[other])
    linecache.clearcache()
    assert lines_of(code, 3) == []
    file.write_text(SOURCE)
    linecache.clearcache()
    assert "".join(lines_of(code, 3)) == SOURCE


def test_lines_read_before_the_file_changed_are_still_right(file: Path) -> None:
    """`linecache` has what was compiled."""
    code = code_of(load(file))
    linecache.clearcache()
    assert "".join(lines_of(code, 3)) == SOURCE
    file.write_text(OTHERS["lines moved"])
    assert "".join(lines_of(code, 3)) == SOURCE


def test_lines_are_read_again_when_the_code_was_loaded_again(file: Path) -> None:
    """A development server reloads a module whose old lines are still remembered."""
    linecache.clearcache()
    assert lines_of(code_of(load(file)), 3)
    file.write_text(OTHERS["lines moved"])
    assert "".join(lines_of(code_of(load(file)), 5)) == OTHERS["lines moved"]


def all_codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from all_codes(constant)


@pytest.mark.parametrize("module", [argparse, configparser, difflib, textwrap])
def test_the_lines_of_real_code_are_shown(module: ModuleType) -> None:
    """All but one in a thousand: whatever compilers do with names, strings and classes."""
    file = str(module.__file__)
    top = compile(Path(file).read_text("utf-8"), file, "exec", dont_inherit=True)
    places = [
        (code, line)
        for code in all_codes(top)
        for line in {place[0] for place in code.co_positions()} - {None, 0}
    ]
    hidden = [(code, line) for code, line in places if not lines_of(code, line or 0)]
    assert len(hidden) <= max(3, len(places) / 1_000), hidden


def test_the_fingerprint_does_not_depend_on_the_file(file: Path) -> None:
    """The running code has not changed, so its issue does not."""

    class Card:
        valid = False

    pay = load(file)["pay"]
    assert callable(pay)
    found = set()
    for text in (SOURCE, *OTHERS.values(), None):
        linecache.clearcache()
        if text is None:
            file.unlink()
        else:
            file.write_text(text)
        found.add(group(shapes_of(caught(pay, Card()), CodePlaces())))
    (grouping,) = found
    assert grouping.reason[0].endswith("shop:pay raising 'card refused'")


def test_an_event_of_replaced_code_has_its_line_number_and_no_source(
    monitor: Monitor, file: Path
) -> None:
    """What the page shows."""
    pay = load(file)["pay"]
    assert callable(pay)
    file.write_text(OTHERS["lines moved"])
    linecache.clearcache()
    monitor.tracker.capture(caught(pay, None))
    frame = monitor.only_issue().events[0]["exceptions"][0]["frames"][-1]
    assert (frame["line"], "".join(frame["source"]["lines"])) == (2, "")
