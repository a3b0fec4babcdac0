"""The text of what a client sent, and of a route, each said in one place."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from inapp_monitor.ground import wsgi_text
from inapp_monitor.ground.route_text import template_of


class Word(str):
    """A string of a subclass that shows something else."""

    def __str__(self) -> str:
        return "another"


class Broken:
    """A route whose rule cannot be read."""

    @property
    def rule(self) -> str:
        raise RuntimeError("no rule")


@pytest.mark.parametrize(
    ("sent", "text"),
    [(b"/caf\xc3\xa9", "/café"), (b"/plain", "/plain"), (b"/\xff", "/\ufffd"), (b"", "")],
)
def test_a_wsgi_string_is_the_bytes_that_the_client_sent(sent: bytes, text: str) -> None:
    """Servers pass bytes as latin-1; what is no UTF-8 is marked, never an error."""
    assert wsgi_text.decode(sent.decode("latin-1")) == text


def test_a_string_beyond_latin_1_is_no_error() -> None:
    """An application may put anything into its environ."""
    assert wsgi_text.decode("/\u20ac") == "/?"


@pytest.mark.parametrize(
    ("route", "text"),
    [
        ("/users/<id>", "/users/<id>"),
        (SimpleNamespace(rule="/users/<id>"), "/users/<id>"),
        (Word("/word"), "/word"),
        (SimpleNamespace(rule=7), None),
        (Broken(), None),
        (7, None),
        (None, None),
    ],
)
def test_the_template_of_a_route(route: Any, text: str | None) -> None:
    """A string or an object with a `rule`; anything else has no text, and nothing raises."""
    found = template_of(route)
    assert found == text
    assert found is None or type(found) is str
