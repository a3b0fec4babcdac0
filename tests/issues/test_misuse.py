"""Calls with what was never meant: the application goes on, and it is no fault of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from inapp_monitor.issues.scope import (
    add_breadcrumb,
    set_context,
    set_fingerprint,
    set_tag,
    set_user,
)

from .conftest import Monitor

odd: Any = object()


class TextError(ValueError):
    def __str__(self) -> str:
        raise RuntimeError("never asked")


class Word(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("never asked")


@pytest.mark.parametrize(
    ("message", "title"),
    [
        (None, "None"),
        (5, "5"),
        (b"bytes", "b'bytes'"),
        (["a", 1], "['a', 1]"),
        (ValueError("wrong"), "ValueError('wrong')"),
        (TextError("wrong"), "TextError('wrong')"),
        (Word("a word"), "a word"),
        ("", "Message"),
        (odd, "<object object>"),
    ],
)
def test_a_message_that_is_no_text(monitor: Monitor, message: Any, title: str) -> None:
    """It becomes the text that a variable would have; no part of the monitor has failed."""
    assert monitor.tracker.capture_message(message) is not None
    monitor.tick()
    assert monitor.only_issue().summary.title == title
    assert monitor.guard.faults == {}


def test_a_level_that_is_no_text(monitor: Monitor) -> None:
    """A number of `logging` or nothing at all is an error."""
    for level in (40, None, odd):
        monitor.tracker.capture_message("m", level=level)
    monitor.tick()
    assert {event["level"] for event in monitor.only_issue().events} == {"error"}
    assert monitor.guard.faults == {}


@pytest.mark.parametrize("given", ["a text", None, ValueError, 7])
def test_an_exception_that_is_none(monitor: Monitor, given: Any) -> None:
    """What is no exception is noted as a message."""
    assert monitor.tracker.capture(given) is not None
    monitor.tick()
    assert monitor.only_issue().summary.type == "Message"
    assert monitor.guard.faults == {}


def test_facts_of_any_kind(monitor: Monitor) -> None:
    """Names that cannot be keys, facts that are no mapping, one fingerprint that is no list."""
    wrong: Any = ["no", "name"]
    set_tag(wrong, wrong)
    set_context(wrong, wrong)
    set_user({wrong[0]: odd, 5: 6, "nobody": None})  # type: ignore[dict-item]
    set_fingerprint("checkout")
    add_breadcrumb(odd, category=odd, level=odd, data=wrong, time=odd)
    monitor.tracker.capture_message("m")
    monitor.tick()
    issue = monitor.only_issue()
    (event,) = issue.events
    assert event["tags"] == {"['no', 'name']": "['no', 'name']"}
    assert event["contexts"] == {"['no', 'name']": {"value": "['no', 'name']"}}
    assert event["user"] == {"no": "<object object>", "5": "6"}
    assert event["breadcrumbs"][0]["data"] == {"value": "['no', 'name']"}
    assert issue.fingerprints[0].reason == ["given: checkout"]
    set_fingerprint(odd)
    set_fingerprint(None)
    assert monitor.guard.faults == {}


class Lazy:
    """As Django's `request.user`: any question runs a query, also which class it is of."""

    @property
    def __class__(self) -> Any:
        raise RuntimeError("the query ran")

    def __bool__(self) -> bool:
        raise RuntimeError("the query ran")

    def __iter__(self) -> Any:
        raise RuntimeError("the query ran")


class Items(dict[str, str]):
    def items(self) -> Any:
        raise RuntimeError("never asked")


class Pairs(Mapping[str, str]):
    def __getitem__(self, key: str) -> str:
        raise ValueError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(["a"])

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize("kind", [Lazy, Items, Pairs])
def test_facts_are_told_by_their_type(monitor: Monitor, kind: type) -> None:
    """Nothing raises into the application, and no query runs that it did not ask for."""
    facts: Any = kind()
    set_user(facts)
    set_context("cart", facts)
    set_fingerprint(facts)
    add_breadcrumb("seen", data=facts, time=facts)
    add_breadcrumb("soon", time=10**5_000)
    monitor.tracker.capture_message("m")
    monitor.tick()
    (event,) = monitor.only_issue().events
    assert list(event["user"]) == ([] if kind is Items else ["id"])
    assert [crumb["time"] for crumb in event["breadcrumbs"]] == [None, None]
    assert monitor.guard.faults == {}
