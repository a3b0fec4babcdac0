"""Guessing the token: slowed for a place and in total, in all workers, and nobody is locked out."""

from __future__ import annotations

from pathlib import Path

import pytest
from werkzeug.test import Client

from inapp_monitor.testing import FakeClock
from inapp_monitor.web.access import shared_state
from inapp_monitor.web.access.attempts import KNOWN_S, MAX_PLACES, PLACE, TOTAL, Attempts
from inapp_monitor.web.app import WebApp
from tests.web.stored_backend import TOKEN, stored_backend

PEER = "198.51.100.7"


#: One that somebody has chosen, and that could be guessed.
SHORT = "summer-2026"


@pytest.fixture
def workers(tmp_path: Path, clock: FakeClock) -> list[Client]:
    """Two workers of one app."""
    return [Client(WebApp(stored_backend(tmp_path, clock)), use_cookies=False) for _ in range(2)]


@pytest.fixture
def short_workers(tmp_path: Path, clock: FakeClock) -> list[Client]:
    """The same, with a short token."""
    backends = [stored_backend(tmp_path, clock, token=SHORT) for _ in range(2)]
    return [Client(WebApp(backend), use_cookies=False) for backend in backends]


def bearer(client: Client, token: str, peer: str = PEER, **headers: str) -> tuple[int, int]:
    """Status and seconds to wait."""
    environ = {"REMOTE_ADDR": peer, "HTTP_AUTHORIZATION": f"Bearer {token}", **headers}
    answer = client.get("/version", environ_overrides=environ)
    return answer.status_code, int(answer.headers.get("Retry-After", 0))


def post(client: Client, token: str, peer: str = PEER) -> int:
    environ = {"REMOTE_ADDR": peer}
    return client.post("/login", data={"token": token}, environ_overrides=environ).status_code


def judged(statuses: list[int]) -> int:
    assert set(statuses) <= {401, 429}
    return statuses.count(401)


def test_guesses_are_counted_over_all_workers_and_ways(workers: list[Client]) -> None:
    """Form, link and header of two workers: together as many as one place may send."""
    one, other = workers
    statuses = []
    for number in range(40):
        statuses += [bearer(one, f"guess-{number}")[0], post(other, f"guess-{number}")]
        environ = {"REMOTE_ADDR": PEER}
        link = one.get(f"/?token=guess-{number}", environ_overrides=environ)
        statuses.append(link.status_code)
    assert judged(statuses) == PLACE.at_once
    assert statuses[: PLACE.at_once] == [401] * PLACE.at_once


def test_no_short_token_is_judged_during_the_pause_and_the_right_one_after_it(
    short_workers: list[Client], clock: FakeClock
) -> None:
    """Neither a wrong one nor the right one: an answer would tell which it is."""
    one, other = short_workers
    for number in range(PLACE.at_once):
        bearer(one, f"guess-{number}")
    status, wait_s = bearer(other, SHORT)
    assert status == 429
    assert bearer(other, "guess") == (429, wait_s)
    assert post(one, SHORT) == 429
    clock.advance(wait_s)
    assert bearer(other, SHORT)[0] == 200


def test_a_long_token_is_never_locked_out(workers: list[Client]) -> None:
    """By header, form and link, from where somebody guesses: no pause protects what is too long to
    be guessed."""
    one, other = workers
    for number in range(3 * PLACE.at_once):
        bearer(one, f"guess-{number}")
    assert bearer(one, "guess")[0] == 429
    assert bearer(other, TOKEN)[0] == 200
    assert post(one, TOKEN) == 303
    link = one.get(f"/?token={TOKEN}", environ_overrides={"REMOTE_ADDR": PEER})
    assert link.status_code == 303
    assert bearer(one, "guess")[0] == 429


def test_waiting_guesses_make_no_pause_longer(workers: list[Client], clock: FakeClock) -> None:
    """An hour of steady guessing: one more judged as often as one comes back."""
    one, _ = workers
    statuses = []
    for number in range(1_200):
        statuses.append(bearer(one, f"guess-{number}")[0])
        clock.advance(3.0)
    assert judged(statuses) <= PLACE.at_once + 3_600 / PLACE.back_s + 1
    clock.advance(PLACE.back_s)
    assert bearer(one, TOKEN)[0] == 200


def test_a_session_goes_on_while_somebody_guesses_from_the_same_place(
    short_workers: list[Client],
) -> None:
    """And so does a login link in the hands of who is in already."""
    one, other = short_workers
    environ = {"REMOTE_ADDR": PEER}
    cookie = one.get(f"/?token={SHORT}", environ_overrides=environ).headers["Set-Cookie"]
    headers = {"Cookie": cookie.partition(";")[0]}
    for number in range(PLACE.at_once + 5):
        bearer(one, f"guess-{number}")
    for client in short_workers:
        answer = client.get("/status", headers=headers, environ_overrides=environ)
        assert answer.status_code == 200
    link = other.get(f"/routes?token={SHORT}", headers=headers, environ_overrides=environ)
    assert (link.status_code, link.headers["Location"]) == (303, "/routes")
    assert "Set-Cookie" not in link.headers


def test_places_are_apart_and_what_clients_say_of_themselves_makes_none(
    workers: list[Client],
) -> None:
    """Another address is another place; a header or a neighbour in the same IPv6 network is not."""
    one, _ = workers
    by_header = [
        bearer(one, "guess-it", HTTP_X_FORWARDED_FOR=f"192.0.2.{number}")[0]
        for number in range(2 * PLACE.at_once)
    ]
    assert judged(by_header) == PLACE.at_once
    assert bearer(one, TOKEN)[0] == 200  # a program beside the proxy
    assert bearer(one, TOKEN, "203.0.113.80")[0] == 200
    by_address = [bearer(one, "guess-it", f"2001:db8::{number:x}")[0] for number in range(40)]
    assert judged(by_address) == PLACE.at_once
    assert bearer(one, TOKEN, "2001:db8:0:1::1")[0] == 200


def test_guesses_from_many_places_are_slowed_in_total(
    short_workers: list[Client], clock: FakeClock
) -> None:
    """A place that has sent the right token is not touched by that."""
    one, other = short_workers
    assert bearer(one, SHORT, "192.0.2.1")[0] == 200
    statuses = [
        bearer(short_workers[number % 2], "guess-it", f"10.{number // 250}.{number % 250}.1")[0]
        for number in range(500)
    ]
    assert judged(statuses) == TOTAL.at_once
    assert bearer(other, SHORT, "192.0.2.2")[0] == 429
    assert bearer(other, SHORT, "192.0.2.1")[0] == 200
    clock.advance(TOTAL.back_s)
    assert bearer(other, SHORT, "192.0.2.2")[0] == 200


def test_the_table_of_places_is_bounded(tmp_path: Path) -> None:
    """Who has guessed most stays in it; the file stays small."""
    attempts, now = Attempts(), 1_000.0
    for _ in range(PLACE.at_once):
        attempts.wrong("the worst", now)
    for number in range(5 * MAX_PLACES):
        attempts.wrong(f"place-{number:012}", now)
        attempts.right(f"place-{number:012}", now + number)
    assert len(attempts.places) == len(attempts.known) == MAX_PLACES
    assert attempts.wait_s("the worst", now) > 0
    assert len(shared_state.State(attempts).to_bytes()) < 64 * 1024
    assert not attempts.is_news(f"place-{5 * MAX_PLACES - 1:012}", now + 5 * MAX_PLACES)
    assert attempts.is_news(f"place-{5 * MAX_PLACES - 1:012}", now + KNOWN_S)


@pytest.mark.parametrize("step", [-86_400.0, 86_400.0])
def test_a_clock_that_is_set_makes_no_endless_pause(
    step: float, workers: list[Client], clock: FakeClock
) -> None:
    """Back or forwards: what was used comes back by the distance, as no client sets the clock."""
    one, _ = workers
    for number in range(PLACE.at_once):
        bearer(one, f"guess-{number}")
    clock.step_wall(step)
    status, wait_s = bearer(one, "guess-it")
    assert wait_s <= PLACE.back_s
    assert status == 401


def test_without_a_disk_each_worker_slows_guesses_by_itself(tmp_path: Path) -> None:
    """A directory in the file's place."""
    (tmp_path / shared_state.FILE_NAME).mkdir(parents=True)
    client = Client(WebApp(stored_backend(tmp_path)), use_cookies=False)
    statuses = [bearer(client, f"guess-{number}")[0] for number in range(60)]
    assert judged(statuses) == PLACE.at_once


def test_a_missing_token_is_no_guess(workers: list[Client]) -> None:
    """A page opened without one, however often."""
    one, _ = workers
    for _ in range(3 * PLACE.at_once):
        assert bearer(one, "")[0] == 401
    assert bearer(one, TOKEN)[0] == 200


def test_the_login_page_says_how_long_to_wait(workers: list[Client]) -> None:
    """And whether a token was wrong or not looked at."""
    one, _ = workers
    asked = {"headers": {"Accept": "text/html"}, "environ_overrides": {"REMOTE_ADDR": PEER}}
    wrong = one.post("/login", data={"token": "guess-it"}, **asked)
    assert (wrong.status_code, "not the token" in wrong.text) == (401, True)
    for number in range(PLACE.at_once):
        bearer(one, f"guess-{number}")
    paused = one.post("/login", data={"token": "guess-it"}, **asked)
    assert paused.status_code == 429
    assert f"before {paused.headers['Retry-After']} s have passed" in paused.text
    assert "not the token" not in paused.text
