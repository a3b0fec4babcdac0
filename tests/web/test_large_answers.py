"""Large answers are sent in pieces with their length, and what they took is given back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.test import Client, TestResponse, create_environ

from inapp_monitor.ground.points import Batch, Method, Scalar
from inapp_monitor.ground.process import allocator
from inapp_monitor.testing import FakeClock
from inapp_monitor.web.app import WebApp
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.graphite.render import WHOLE_BYTES
from inapp_monitor.web.kept.process_state import process_state
from tests.web.stored_backend import TOKEN, stored_backend

NOW = 1_700_003_600
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
PERIOD = f"from={NOW - 3_500}&until={NOW - 1_000}&now={NOW}"
SMALL = f"/render?{PERIOD}&target=many.s1"
LARGE = f"/render?{PERIOD}&target=many.*"


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """Two hundred series of an hour."""
    backend = stored_backend(Path(tmp_path_factory.mktemp("data")), FakeClock(NOW))
    backend.store.add(
        Batch(
            [
                Scalar(f"many.s{number}", moment, number + moment / 7, Method.SUM)
                for number in range(200)
                for moment in range(NOW - 3_600, NOW, 10)
            ],
            [],
        )
    )
    backend.store.flush()
    backend.refresh = backend.store.flush
    yield backend
    allocator.give_back_if_due()
    allocator.give_back_if_due()


@pytest.fixture(scope="module")
def app(backend: Backend) -> WebApp:
    return WebApp(backend)


def get(app: WebApp, address: str, **headers: str) -> TestResponse:
    return Client(app).get(address, headers={**HEADERS, **headers})


def test_a_large_answer_is_sent_in_pieces_of_a_known_length(app: WebApp) -> None:
    """The server gets each as it is, and clients can show how far they are."""
    started: list[tuple[str, dict[str, str]]] = []
    path, _, query = LARGE.partition("?")
    environ = create_environ(path, query_string=query, headers=HEADERS)
    pieces = list(app(environ, lambda status, headers: started.append((status, dict(headers)))))
    ((status, headers),) = started
    assert status == "200 OK"
    assert int(headers["Content-Length"]) == sum(map(len, pieces)) > WHOLE_BYTES
    assert max(map(len, pieces)) < 128 * 1024
    assert len(json.loads(b"".join(pieces))) == 200


def test_a_small_answer_is_kept_and_tagged_and_a_large_one_is_neither(
    app: WebApp, backend: Backend
) -> None:
    """What is kept, or read again for its tag, is a whole body."""
    kept = process_state(backend).settled_results
    before = kept.facts()["entries"]
    address = f"/render?{PERIOD}&target=many.s2"
    small = get(app, address)
    assert small.headers["ETag"] and kept.facts()["entries"] == before + 1
    assert get(app, address, **{"If-None-Match": small.headers["ETag"]}).status_code == 304
    large = get(app, LARGE)
    assert "ETag" not in large.headers and kept.facts()["entries"] == before + 1
    assert large.headers["Cache-Control"] == "private, no-cache"
    assert {"Authorization", "Cookie"} <= set(large.headers["Vary"].split(", "))


def test_a_large_answer_of_jsonp_is_a_call(app: WebApp) -> None:
    """The pieces are between the brackets."""
    body = get(app, LARGE + "&format=json&jsonp=draw").get_data(as_text=True)
    assert body.startswith("draw([") and body.endswith("])")
    assert len(json.loads(body[5:-1])) == 200


def test_memory_is_given_back_after_a_large_answer_alone(
    app: WebApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice: at the first time the server may hold it still."""
    asked: list[int] = []
    monkeypatch.setattr(allocator, "trim", asked.append)
    monkeypatch.setattr(allocator, "times_due", 0)
    get(app, SMALL).get_data()
    assert not allocator.give_back_if_due()
    get(app, LARGE).close()
    assert [allocator.give_back_if_due() for _ in range(3)] == [True, True, False]
    assert asked == [0, 0]


def test_a_render_that_was_too_much_gives_back_what_it_took(
    app: WebApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have made all of its answer but for the end."""
    monkeypatch.setattr(allocator, "times_due", 0)
    assert (
        get(app, f"/render?{PERIOD}&target=group({','.join(['many.*'] * 60)})").status_code == 400
    )
    assert allocator.give_back_if_due()


def test_a_library_that_cannot_be_asked_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other C libraries have no such call."""
    import ctypes

    class Nothing:
        pass

    monkeypatch.setattr(allocator, "trim", None)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Nothing())
    allocator.give_back_soon()
    assert allocator.give_back_if_due() and allocator.give_back_if_due()
