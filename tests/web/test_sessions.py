"""Sessions: found among any cookies, ended by a logout in all workers, and by another token."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from werkzeug.test import Client

from inapp_monitor.testing import FakeClock
from inapp_monitor.web.access import login_token, sessions, shared_state
from inapp_monitor.web.app import TOKEN_AGAIN_S, WebApp
from tests.web.stored_backend import TOKEN, stored_backend

#: Cookie headers of applications: most of them no parser of cookies takes whole.
OTHERS = (
    *("name=John Smith", "flag", "a@b=1", '{"j":1}=x', 'prefs={"t":"d","u":[1,2]}', "user=Jos\xe9"),
    *(
        "a[b]=c",
        'open="quoted',
        'closed="a; b"',
        "=",
        "",
        ";;;",
        "a==b",
        "é",
        "x=\x7f",
        "x=a\\073b",
    ),
    *(
        "$Version=1",
        "expires=Wed, 21 Oct",
        "path=/; httponly",
        "a b c",
        "k=v,l=w",
        "x=" + "y" * 60_000,
    ),
)


def worker(data_dir: Path, clock: FakeClock | None = None, token: str | None = TOKEN) -> Client:
    """A client of one worker's dashboard."""
    backend = stored_backend(data_dir, clock, token=token)
    return Client(WebApp(backend), use_cookies=False)


def logged_in(client: Client, token: str = TOKEN) -> str:
    """The Cookie header of a new session."""
    answer = client.get(f"/?token={token}")
    assert answer.status_code == 303
    return str(answer.headers["Set-Cookie"].partition(";")[0])


def status(client: Client, cookies: str) -> int:
    environ = {"HTTP_COOKIE": cookies}
    return client.get("/version", environ_overrides=environ).status_code


def log_out(client: Client, cookies: str) -> None:
    """Press the button of a page."""
    page = client.get("/status", headers={"Cookie": cookies}).text
    form = re.search(r'action="/logout"><input type="hidden" name="csrf" value="([^"]+)">', page)
    assert form is not None
    answer = client.post("/logout", data={"csrf": form[1]}, headers={"Cookie": cookies})
    assert answer.status_code == 303


@pytest.mark.parametrize("other", OTHERS, ids=lambda text: repr(text[:20]))
def test_cookies_of_the_app_never_hide_the_session(other: str, tmp_path: Path) -> None:
    """Wherever they stand, however they are joined."""
    client = worker(tmp_path)
    own = logged_in(client)
    for joined in ("; ", ";", ", ", ",", " "):
        assert status(client, own + joined + other) == 200
        assert status(client, other + joined + own) == 200
        assert status(client, other + joined + own + joined + other) == 200
    name, _, value = own.partition("=")
    assert status(client, f'{other}; {name}="{value}"') == 200


def test_a_cookie_of_the_same_name_does_not_hide_the_session(tmp_path: Path) -> None:
    """An old one, a forged one, or one of a neighbour: the one that is signed counts."""
    client = worker(tmp_path)
    own = logged_in(client)
    name, _, value = own.partition("=")
    forged = f"{value[:-1]}{'A' if value[-1] != 'A' else 'B'}"
    for other in (f"{name}=", f"{name}=old", f"{name}={forged}", f"{name}"):
        assert status(client, f"{other}; {own}") == status(client, f"{own}; {other}") == 200
        assert status(client, other) == 401
    assert (
        status(client, f"x{own}") == status(client, f"x-{own}") == status(client, f"{own}x") == 401
    )


def test_a_logout_ends_the_session_in_all_workers(tmp_path: Path) -> None:
    """Whoever kept a copy of the cookie is refused; other sessions go on."""
    first, second = worker(tmp_path), worker(tmp_path)
    mine, theirs = logged_in(first), logged_in(second)
    assert status(second, mine) == 200
    log_out(first, mine)
    assert [status(client, mine) for client in (first, second, worker(tmp_path))] == [401] * 3
    assert [status(client, theirs) for client in (first, second)] == [200, 200]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_a_logout_counts_where_the_disk_refuses_it(tmp_path: Path) -> None:
    """In this process at least, and the status page says so; a directory in the file's place."""
    client = worker(tmp_path)
    mine = logged_in(client)
    (tmp_path / shared_state.FILE_NAME).unlink()
    (tmp_path / shared_state.FILE_NAME).mkdir()
    log_out(client, mine)
    assert status(client, mine) == 401
    faults = client.get("/status.json", headers={"Authorization": f"Bearer {TOKEN}"}).json["faults"]
    assert [fault["part"] for fault in faults] == ["access file"]


def test_a_damaged_file_costs_the_past_and_no_visit(tmp_path: Path) -> None:
    """It is told, and written anew."""
    client = worker(tmp_path)
    mine = logged_in(client)
    for damage in (b"", b"\xff\xfe", b"[]", b'{"places": 5}', b"[" * 200_000):
        (tmp_path / shared_state.FILE_NAME).write_bytes(damage)
        assert status(client, mine) == 200
    log_out(client, mine)
    assert status(worker(tmp_path), mine) == 401


def test_what_is_remembered_of_ended_sessions_is_bounded(tmp_path: Path) -> None:
    """Beyond the limit the oldest ones are ended together, and none comes back."""
    signer, state = sessions.Signer(TOKEN), shared_state.State()
    made = [
        session
        for number in range(shared_state.MAX_ENDED + 50)
        for session in signer.sessions(
            f"{signer.cookie_name}={signer.new_session(1_000.0 + number)}", 2_000.0
        )
    ]
    for session in made:
        state.end(session.number, session.expiry, 2_000.0)
    assert len(state.ended) == shared_state.MAX_ENDED
    assert all(state.is_ended(session) for session in made)
    again = shared_state.State.from_bytes(state.to_bytes())
    assert again == state
    (new,) = signer.sessions(f"{signer.cookie_name}={signer.new_session(9_000.0)}", 9_000.0)
    assert not state.is_ended(new)
    state.end(new.number, new.expiry, 9_000.0 + sessions.SESSION_S)
    assert len(state.ended) == 1


def test_another_token_ends_all_sessions(tmp_path: Path) -> None:
    """Given by a setting, or by a new file under the running app: in all workers."""
    mine = logged_in(worker(tmp_path))
    assert status(worker(tmp_path, token="another-token-0123"), mine) == 401
    clock = FakeClock()
    clients = [worker(tmp_path, clock, token=None) for _ in range(2)]
    old = (tmp_path / login_token.FILE_NAME).read_text().strip()
    theirs = logged_in(clients[0], old)
    assert [status(client, theirs) for client in clients] == [200, 200]
    (tmp_path / login_token.FILE_NAME).unlink()
    clock.advance(TOKEN_AGAIN_S)
    assert [status(client, theirs) for client in clients] == [401, 401]
    new = (tmp_path / login_token.FILE_NAME).read_text().strip()
    assert new != old
    assert status(clients[1], logged_in(clients[0], new)) == 200


def test_a_token_file_that_cannot_be_read_for_a_while_locks_nobody_out(tmp_path: Path) -> None:
    """The token that was known stays."""
    clock = FakeClock()
    client = worker(tmp_path, clock, token=None)
    path = tmp_path / login_token.FILE_NAME
    mine = logged_in(client, path.read_text().strip())
    path.rename(path.with_name("kept"))
    path.mkdir()
    clock.advance(TOKEN_AGAIN_S)
    assert status(client, mine) == 200
