"""Series whose names are awkward: found, opened, escaped and drawn all the same."""

from __future__ import annotations

import re
from typing import Any

import pytest

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.evaluate import evaluate
from inapp_monitor.query.memory_source import MemorySource
from inapp_monitor.query.request import RenderRequest
from tests.query.tree_of_names import find_paths, find_rows

START, END = 1_699_999_200, 1_699_999_500
NAMES = [
    "odd.(p).c", "odd.|mnt|d1.c", "odd.[b].c", "odd.b.c", "odd.eth[0].c", "odd.a+b.c", "odd.100%.c",
    "odd.50%25.c", "odd.x,y.c", "odd.o'neil.c", 'odd.say"so".c', "odd.topic=ft.c", "odd.c++.c",
    "odd.a*b.c", "odd.what?.c", "odd.back]only.c", "odd.ünï.c",
]  # fmt: skip


def names(target: str, *series: str) -> list[str]:
    source = MemorySource([(name, START, 60, [1.0] * 5) for name in series or NAMES])
    request = RenderRequest(start=START, end=END, now=END)
    return [s.name for s in evaluate([target], request, source)]


@pytest.mark.parametrize("name", NAMES)
def test_an_escaped_name_is_that_series(name: str) -> None:
    """A backslash in front of what means something else makes it a character."""
    escaped = re.sub(r"([(){},'\"|=*?\[\]])", r"\\\1", name)
    assert names(escaped) == [name]
    assert find_paths(NAMES, escaped) == [name]


@pytest.mark.parametrize("name", ["odd.[b].c", "odd.eth[0].c", "odd.c++.c", "odd.100%.c"])
def test_a_name_as_it_was_told_is_found(name: str) -> None:
    """Clients send back the text of a node; brackets that match nothing are themselves."""
    assert names(name, name) == [name]
    assert names(f"aliasByNode({name},1)", name) == [name.split(".")[1]]
    (row,) = find_rows([name], name.rpartition(".")[0])
    assert row[1]["text"] == name.split(".")[1]


def test_brackets_are_a_class_first() -> None:
    """As in Graphite, where another name is meant by them."""
    assert names("odd.[b].c") == ["odd.b.c"]


@pytest.mark.parametrize("target", ["odd.\\", "odd.\\n.c", "odd.\\[b"])
def test_a_backslash_before_nothing_special(target: str) -> None:
    """It is named in the error, or finds nothing."""
    try:
        assert names(target) == []
    except QueryError as error:
        assert "backslash" in str(error)


@pytest.mark.parametrize("kinds", [{}, {"wildcards": 1}])
def test_a_series_that_others_are_below_can_be_opened(kinds: dict[str, Any]) -> None:
    """The tree shows the branch, as Graphite does; leaves alone stay leaves."""
    rows = dict(find_rows(["sign.ups", "sign.ups.failed", "sign.ins"], "sign.*", **kinds))
    assert (rows["sign.ups"]["expandable"], rows["sign.ups"]["leaf"]) == (1, 0)
    assert (rows["sign.ins"]["expandable"], rows["sign.ins"]["leaf"]) == (0, 1)
    assert len(rows) == 2 + len(kinds)


def test_leaves_alone_can_be_asked_for() -> None:
    """Then the same name is a leaf."""
    rows = dict(find_rows(["sign.ups", "sign.ups.failed"], "sign.*", leavesOnly=1))
    assert rows["sign.ups"]["leaf"] == 1
