"""What is no WSGI application is refused at construction, in words that help."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask
import pytest

from inapp_monitor import Monitor
from inapp_monitor.ground.exceptions import ConfigError


def app(environ: Any, start_response: Any) -> list[bytes]:
    return []


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    pass


class Asgi:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        pass


class InheritedAsgi(Asgi):
    pass


class Shop:
    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return []


class Answer:
    """As PEP 3333 has it: an object of it is the body."""

    def __init__(self, environ: Any, start_response: Any) -> None:
        self.start_response = start_response

    def __iter__(self) -> Iterator[bytes]:
        self.start_response("200 OK", [])
        yield b"x"


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "app = None: there is no application"),
        ("shop.wsgi:app", "import the application"),
        (b"shop", "import the application"),
        (types.ModuleType("shop"), "give the application in it"),
        (7, "cannot be called"),
        (Unspeakable(), "app = an object of Unspeakable: it cannot be called"),
        (asgi, "ASGI application"),
        (Asgi(), "ASGI application"),
        (InheritedAsgi(), "ASGI application"),
        (Asgi().__call__, "ASGI application"),
        (Shop, "app = Shop: that is a class: give an object of it, such as Shop()"),
        (flask.Flask("shop"), "app.wsgi_app = Monitor(app.wsgi_app)"),
    ],
)
def test_a_mistake_is_named(given: Any, words: str, tmp_path: Path) -> None:
    """With what was given, and what to write instead."""
    with pytest.raises(ConfigError) as caught:
        Monitor(given, data_dir=tmp_path)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [app, Shop(), Shop().__call__, Answer, functools.partial(app), flask.Flask("x").wsgi_app],
)
def test_whatever_a_server_could_call_is_wrapped(given: Any, tmp_path: Path) -> None:
    """Functions, objects, bound methods, and classes whose objects are the answer."""
    monitor = Monitor(given, data_dir=tmp_path)
    assert Monitor(monitor, data_dir=tmp_path / "outer")
