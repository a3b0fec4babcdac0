"""Who may see the dashboard: closed by default, and every way in and around it."""

from __future__ import annotations

import logging
import os
import re
import stat
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin

import pytest
from werkzeug.test import Client

from inapp_monitor.ground import config
from inapp_monitor.ground.guard import Guard
from inapp_monitor.testing import FakeClock
from inapp_monitor.web.access import auth, login_token
from inapp_monitor.web.app import WebApp
from inapp_monitor.web.backend import Backend
from tests.web.stored_backend import TOKEN, stored_backend

DEV = {
    "SERVER_SOFTWARE": "Werkzeug/3.1.9",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "127.0.0.1",
    "HTTP_HOST": "localhost:5000",
}


def session(client: Client, root: str = "") -> str:
    """Log in by a link and return the cookie's header value."""
    answer = client.get(f"{root}/?token={TOKEN}")
    assert answer.status_code == 303
    return str(answer.headers["Set-Cookie"].split(";")[0])


@pytest.fixture
def stranger(backend: Backend) -> Client:
    """A client without cookies of its own."""
    return Client(WebApp(backend), use_cookies=False)


@pytest.mark.parametrize("path", ["/", "/routes", "/errors.json", "/status", "/nothing", "//"])
def test_a_stranger_is_refused_everywhere(path: str, stranger: Client) -> None:
    """401 whether the page exists or not, and nothing of the data in it."""
    answer = stranger.get(path)
    assert answer.status_code == 401
    assert "Bearer" in answer.headers["WWW-Authenticate"]
    assert "checkout" not in answer.text


def test_a_browser_gets_a_login_form_and_a_program_one_line(stranger: Client) -> None:
    """Both say what to do; the form does not name the app."""
    page = stranger.get("/errors", headers={"Accept": "text/html"})
    assert page.status_code == 401
    assert 'action="/login?next=%2Ferrors"' in page.text
    assert "shop" not in page.text
    line = stranger.get("/errors")
    assert len(line.text.strip().splitlines()) == 1
    assert stranger.get("/errors.json").json["status"] == 401


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"Bearer {TOKEN}x", 401),
        ("Bearer ", 401),
        ("Bearer", 401),
        ("Basic !!!!", 401),
        (f"Basic {TOKEN}", 401),
        ("Bearer \xff\xfe", 401),
    ],
)
def test_only_the_right_bearer_token_opens(header: str, status: int, stranger: Client) -> None:
    """Exactly the token, as a bearer."""
    assert stranger.get("/status", headers={"Authorization": header}).status_code == status


def test_a_login_link_becomes_a_cookie(stranger: Client) -> None:
    """303 to the same page without the token; the cookie is bound to the mount and to https."""
    answer = stranger.get(
        f"/routes?from=-6h&token={TOKEN}", base_url="https://shop.example/_metrics/"
    )
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/_metrics/routes?from=-6h"
    cookie = answer.headers["Set-Cookie"]
    for part in ("Path=/_metrics", "HttpOnly", "SameSite=Strict", "Secure", "Max-Age="):
        assert part in cookie
    assert TOKEN not in cookie
    name_and_value = cookie.split(";")[0]
    assert stranger.get("/status", headers={"Cookie": name_and_value}).status_code == 200


@pytest.mark.parametrize("query", [f"token=x&token={TOKEN}", f"token={TOKEN}&token=x", "token="])
def test_an_ambiguous_or_empty_token_is_refused(query: str, stranger: Client) -> None:
    """Two tokens are no token."""
    assert stranger.get(f"/?{query}").status_code == 401


def test_the_login_form_opens_and_goes_on(stranger: Client) -> None:
    """303 to the page that was asked for; a wrong token is told and not let in."""
    good = stranger.post("/login?next=/errors", data={"token": f" {TOKEN} "})
    assert good.status_code == 303
    assert good.headers["Location"] == "/errors"
    bad = stranger.post("/login", data={"token": "wrong"}, headers={"Accept": "text/html"})
    assert bad.status_code == 401
    assert "not the token" in bad.text


OUT_OF_THE_MOUNT = (
    *("//evil.example", "/\\evil.example", "https://evil.example", "/%0d%0aX: y", "evil"),
    *("/../../admin/delete?yes=1", "/..", "/errors/../../admin", "/./../x", "/%2e%2e/%2E./admin"),
    *("/%252e%252e/admin", "/%25252e%25252e/admin", "/..%2f..%2fadmin", "/..%5c..%5cadmin"),
    *("/%5c%5cevil.example", "/%2f/evil.example", "/\t/evil.example", "/ü", "javascript:1"),
)


@pytest.mark.parametrize("target", OUT_OF_THE_MOUNT)
def test_a_login_never_leads_out_of_the_dashboard(target: str, stranger: Client) -> None:
    """Location is a page below the mount, whatever `next` or the address of a link says."""
    answer = stranger.post(
        "/login", query_string={"next": target}, data={"token": TOKEN}, base_url="http://h/m/"
    )
    assert answer.headers["Location"] == "/m/"
    page = stranger.get("/login", query_string={"next": target})
    assert 'action="/login"' in page.text
    path = unquote(target.partition("?")[0])
    link = {"PATH_INFO": path, "SCRIPT_NAME": "/m", "QUERY_STRING": f"token={TOKEN}"}
    there = stranger.get("/", environ_overrides=link).headers["Location"]
    assert urljoin("http://h/", there).startswith("http://h/m/")
    assert not re.search(r"%2e|%5c|\\", there, re.IGNORECASE)


@pytest.mark.parametrize("target", ["/errors/a1?from=-6h", "/explore?target=a.*..b", "/routes"])
def test_a_login_leads_to_the_page_that_was_asked_for(target: str, stranger: Client) -> None:
    """With its parameters; dots in those lead nowhere."""
    answer = stranger.post("/login", query_string={"next": target}, data={"token": TOKEN})
    assert unquote(answer.headers["Location"]) == target


def test_a_login_form_of_another_site_is_refused(stranger: Client) -> None:
    """Even with the right token."""
    headers = {"Origin": "http://evil.example"}
    assert stranger.post("/login", data={"token": TOKEN}, headers=headers).status_code == 403


def test_a_forged_or_expired_cookie_is_refused(clock: FakeClock, stranger: Client) -> None:
    """Each part of it is signed, and the expiry is checked."""
    name, _, value = session(stranger).partition("=")
    expiry, nonce, signature = value.split(".")
    for forged in (
        f"{int(expiry) + 1}.{nonce}.{signature}",
        f"{expiry}.{nonce}.",
        f"{expiry}.{nonce}.{signature[:-1]}",
        "...",
        "",
        f"{expiry}",
        "x" * 9_000,
    ):
        assert stranger.get("/", headers={"Cookie": f"{name}={forged}"}).status_code == 401
    clock.advance(auth.SESSION_S + 1)
    assert stranger.get("/", headers={"Cookie": f"{name}={value}"}).status_code == 401


@pytest.mark.parametrize("settings", [{}, {"read_only": True}], ids=str)
def test_who_signed_in_by_cookie_can_log_out(tmp_path: Path, settings: dict[str, Any]) -> None:
    """The button's form clears the cookie, for the mount it was set for; then the door is shut."""
    app = WebApp(stored_backend(tmp_path, **settings))
    client = Client(app)
    where = {"base_url": "https://shop.example/m/"}
    session(client)
    page = client.get("/status").text
    form = re.search(r'action="(/logout)"><input type="hidden" name="csrf" value="([^"]+)">', page)
    assert form is not None
    answer = client.post(form[1], data={"csrf": form[2]})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    assert client.get("/status").status_code == 401
    mounted = client.get("/", headers={"Authorization": f"Bearer {TOKEN}"}, **where)
    assert "Log out" not in mounted.text
    cookie = client.post("/logout", headers={"Authorization": f"Bearer {TOKEN}"}, **where)
    for part in ("Path=/m", "HttpOnly", "SameSite=Strict", "Secure", "Max-Age=0"):
        assert part in cookie.headers["Set-Cookie"]


def test_another_site_cannot_log_anybody_out(stranger: Client) -> None:
    """It takes the page's CSRF token and a POST; a stranger gets no further than anywhere."""
    headers = {"Cookie": session(stranger)}
    for csrf in ("", "x"):
        answer = stranger.post("/logout", data={"csrf": csrf}, headers=headers)
        assert answer.status_code == 403
        assert "Set-Cookie" not in answer.headers
    assert stranger.get("/logout", headers=headers).status_code == 405
    assert stranger.post("/logout").status_code == 401


def test_two_apps_on_one_host_have_cookies_of_their_own(tmp_path: Path) -> None:
    """Browsers do not tell ports apart: the name depends on the token."""
    one, other = (stored_backend(tmp_path / n, token=f"token-of-app-{n}") for n in "ab")
    assert WebApp(one).gate.cookie_name != WebApp(other).gate.cookie_name


def test_an_authorizer_decides_alone(backend: Backend) -> None:
    """It sees the environ; its failure lets nobody in; the token does not help."""

    def authorizer(environ: dict[str, Any]) -> object:
        if environ.get("HTTP_X_BREAK"):
            raise RuntimeError("session store is down")
        return environ.get("REMOTE_USER")

    client = Client(WebApp(backend, authorizer=authorizer))
    assert client.get("/", environ_overrides={"REMOTE_USER": "ann"}).status_code == 200
    assert client.get("/", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 401
    broken = client.get("/", headers={"X-Break": "1"}, environ_overrides={"REMOTE_USER": "ann"})
    assert broken.status_code == 403
    assert "authorizer" in backend.guard.faults


@pytest.fixture
def developer(tmp_path: Path) -> Client:
    """A client of a dashboard whose `dev_access` is switched on."""
    return Client(WebApp(stored_backend(tmp_path, dev_access=True)), use_cookies=False)


def test_a_development_server_asks_for_the_token_as_well(stranger: Client) -> None:
    """A proxy of this machine can make any visitor look like its own: nothing is open by itself.

    The login page says where the link is.
    """
    assert stranger.get("/status", environ_overrides=DEV).status_code == 401
    page = stranger.get("/", headers={"Accept": "text/html"}, environ_overrides=DEV)
    assert page.status_code == 401


def test_dev_access_opens_a_development_server_to_this_machine(developer: Client) -> None:
    """Werkzeug's or wsgiref's server, a loopback peer, a loopback name, no proxy to be seen."""
    for software in ("Werkzeug/3.1.9", "WSGIServer/0.2 CPython/3.11.2"):
        environ = {**DEV, "SERVER_SOFTWARE": software}
        answer = developer.get("/status", environ_overrides=environ)
        assert answer.status_code == 200
        assert "dev_access is on" in answer.text


FORWARDING = (
    *("X_FORWARDED_FOR", "X_FORWARDED", "FORWARDED", "FORWARDED_FOR", "X_ORIGINAL_FORWARDED_FOR"),
    *("X_REAL_IP", "X_CLIENT_IP", "CLIENT_IP", "X_CLUSTER_CLIENT_IP", "TRUE_CLIENT_IP", "VIA"),
    *("CF_CONNECTING_IP", "CF_RAY", "CDN_LOOP", "FASTLY_CLIENT_IP", "FLY_CLIENT_IP", "X_VARNISH"),
    *("X_ENVOY_EXTERNAL_ADDRESS", "X_AZURE_CLIENTIP", "X_APPENGINE_USER_IP", "X_REQUEST_START"),
    *("X_FORWARDED_SSL", "X_AMZN_TRACE_ID", "X_REMOTE_ADDR", "X_ORIGINATING_IP", "X_SCHEME"),
)


@pytest.mark.parametrize("header", FORWARDING)
def test_a_proxy_that_shows_itself_closes_it(header: str, developer: Client) -> None:
    """Whatever it calls the header in which it does."""
    environ = {**DEV, f"HTTP_{header}": "203.0.113.9"}
    assert developer.get("/status", environ_overrides=environ).status_code == 401


@pytest.mark.parametrize(
    "change",
    [
        {"SERVER_SOFTWARE": "gunicorn/22.0"},
        {"SERVER_SOFTWARE": ""},
        {"REMOTE_ADDR": "10.0.0.7"},
        {"REMOTE_ADDR": ""},
        {"HTTP_HOST": "shop.example"},
        {"HTTP_HOST": "localhost@evil.example"},
        {"HTTP_HOST": "localhost.evil.example"},
        {"HTTP_HOST": ""},
        {"SERVER_PROTOCOL": "HTTP/1.0"},
        {"HTTP_SEC_FETCH_SITE": "cross-site", "HTTP_SEC_FETCH_MODE": "no-cors"},
    ],
    ids=str,
)
def test_a_sign_of_anything_else_closes_it(change: dict[str, str], developer: Client) -> None:
    """One of the conditions missing is enough."""
    environ = {**DEV, **change}
    answer = developer.get("/status", environ_overrides=environ)
    assert answer.status_code in (401, 421)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("shop.example", 200),
        ("SHOP.example:8443", 200),
        ("a.internal", 200),
        ("evil.example", 421),
        ("internal", 421),
        ("", 421),
        ("shop.example@evil", 421),
    ],
)
def test_other_host_names_are_refused_when_some_are_set(
    host: str, status: int, tmp_path: Path
) -> None:
    """`.internal` stands for every name below it."""
    backend = stored_backend(tmp_path, allowed_hosts=("shop.example", ".internal"))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = Client(WebApp(backend)).get(
        "/status", headers=headers, environ_overrides={"HTTP_HOST": host}
    )
    assert answer.status_code == status


def test_a_token_is_made_once_and_kept_private(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """0600, the same at the next start, shown on the terminal and logged only when new."""
    settings = config.load({"data_dir": tmp_path / "d"}, environ={}).settings
    first = login_token.obtain(settings, Guard())
    assert first.newly_made
    assert len(first.value) >= 40
    path = tmp_path / "d" / "token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with caplog.at_level(logging.INFO, "inapp_monitor"):
        login_token.announce(first, "http://127.0.0.1:8000/_metrics/")
        second = login_token.obtain(settings, Guard())
        assert second == first._replace(newly_made=False)
        login_token.announce(second, "http://127.0.0.1:8000/_metrics/")
    shown = f"http://127.0.0.1:8000/_metrics/?token={first.value}"
    assert capsys.readouterr().err.count(shown) == 1
    assert caplog.text.count(shown) == 1
    assert [entry.name for entry in path.parent.iterdir() if "token" in entry.name] == ["token"]


@pytest.mark.skipif(os.name != "posix", reason="modes and links are POSIX")
def test_a_token_file_that_others_can_read_is_not_trusted(tmp_path: Path) -> None:
    """Nor a link to elsewhere, nor an empty one: the process makes one for itself and says so."""
    for number, spoil in enumerate((_open_to_all, _linked, _emptied)):
        data_dir = tmp_path / str(number)
        settings = config.load({"data_dir": data_dir}, environ={}).settings
        original = login_token.obtain(settings, Guard())
        spoil(data_dir / "token")
        guard = Guard()
        token = login_token.obtain(settings, guard)
        assert token.source == "memory"
        assert token.value not in ("", original.value)
        assert "token file" in guard.faults
        assert login_token.obtain(settings, Guard()).value == token.value


def _open_to_all(path: Path) -> None:
    path.chmod(0o644)


def _linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _emptied(path: Path) -> None:
    path.write_text("")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"SERVER_NAME": "0.0.0.0", "SERVER_PORT": "8000"}, "http://127.0.0.1:8000/m/"),
        ({"SERVER_NAME": "waitress.invalid", "SERVER_PORT": "80"}, "http://127.0.0.1/m/"),
        ({"SERVER_NAME": "::1", "SERVER_PORT": "80"}, "http://[::1]/m/"),
        ({"SERVER_NAME": "h", "SERVER_PORT": "443", "wsgi.url_scheme": "https"}, "https://h/m/"),
        ({"SERVER_NAME": "a\r\nX: y", "SERVER_PORT": "1"}, "http://127.0.0.1:1/m/"),
        ({"HTTP_HOST": "evil.example", "SERVER_NAME": "h", "SERVER_PORT": "x"}, "http://h/m/"),
    ],
)
def test_the_printed_address_is_the_servers_own(environ: dict[str, str], expected: str) -> None:
    """Never what a client sent as Host."""
    assert login_token.root_url(environ, "/m") == expected


def test_a_token_in_the_address_disturbs_nobody_who_is_in(
    developer: Client, backend: Backend
) -> None:
    """A parameter that a link or a proxy has added: where an authorizer decides it means nothing,
    and elsewhere it is taken out of the address."""
    client = Client(WebApp(backend, authorizer=lambda environ: "ann"))
    assert client.get("/status?token=stray").status_code == 200
    answer = developer.get("/status?token=stray&from=-1h", environ_overrides=DEV)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/status?from=-1h")
    assert "Set-Cookie" not in answer.headers
