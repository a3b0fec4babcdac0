"""Whose request a piece of code belongs to is found when it is asked for."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextvars import copy_context
from types import ModuleType
from typing import Any

import pytest

from inapp_monitor.ground import current_request
from inapp_monitor.ground.current_request import ENVIRON_KEY
from tests.environ import environ_of

from .battery import Body, monitored, serve


def in_thread(function: Any) -> Any:
    """What a call of it gives in another thread."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def asking(found: list[Any], body: Any = (b"x",)) -> Any:
    """An application that notes the request it finds, and the one in its environ."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        found.append((current_request.get(), environ[ENVIRON_KEY]))
        return body

    return app


def test_found_while_the_application_runs() -> None:
    """The request of the application that is running, and none before and after it."""
    found: list[Any] = []
    assert in_thread(current_request.get) is None
    serve(monitored(asking(found)))
    (pair,) = found
    assert pair[0] is pair[1]
    serve(monitored(asking(found)))
    assert found[1][0] is not found[0][0]


def test_another_thread_has_none() -> None:
    """A thread that the application starts answers no request."""
    found: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        found.append(in_thread(current_request.get))
        start_response("200 OK", [])
        return [b""]

    serve(monitored(app))
    assert found == [None]


def test_request_within_a_request() -> None:
    """Inside it is the inner one, afterwards the outer one again."""
    found: list[Any] = []
    inner = monitored(asking(found))

    def app(environ: Any, start_response: Any) -> list[bytes]:
        before = current_request.get()
        serve(inner)
        assert current_request.get() is before is environ[ENVIRON_KEY]
        start_response("200 OK", [])
        return [b""]

    assert serve(monitored(app)).error is None
    assert found[0][0] is found[0][1]


def test_found_while_the_body_is_produced_and_closed() -> None:
    """A body that is made while it is sent still belongs to its request."""
    found: list[Any] = []

    class Closing(Body):
        def close(self) -> None:
            found.append(current_request.get())

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        found.append(environ[ENVIRON_KEY])
        return Closing(b"a", before=lambda: found.append(current_request.get()))

    serve(monitored(app))
    assert len(found) == 3
    assert found[0] is found[1] is found[2]


@pytest.fixture
def carrier() -> Iterator[None]:
    """A package that runs views in other threads with a copy of the context."""
    before = sys.modules.get("asgiref.sync")
    sys.modules["asgiref.sync"] = before or ModuleType("asgiref.sync")
    yield
    if before is None:
        del sys.modules["asgiref.sync"]


@pytest.mark.usefixtures("carrier")
def test_carried_to_another_thread_with_the_context() -> None:
    """Where a framework carries the context over, the request goes with it."""
    found: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        context = copy_context()
        found.append(in_thread(lambda: context.run(current_request.get)))
        found.append(environ[ENVIRON_KEY])
        start_response("200 OK", [])
        return [b""]

    serve(monitored(app), environ_of())
    assert found[0] is found[1]


def test_found_by_those_who_look_at_the_frames_of_others() -> None:
    """The variable that is the record is known for the frame that answers, and for no other."""
    found: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        frame = sys._getframe()
        assert current_request.variable_of(frame) is None
        answering = frame.f_back
        assert answering is not None
        variable = current_request.variable_of(answering)
        found.append((answering.f_locals[variable or ""], environ[ENVIRON_KEY]))
        start_response("200 OK", [])
        return [b""]

    assert serve(monitored(app)).error is None
    assert found[0][0] is found[0][1]
