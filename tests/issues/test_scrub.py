"""Secrets: hidden by name and by look before anything reaches the disk or a page."""

from __future__ import annotations

import time
import types
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inapp_monitor.ground.exceptions import ConfigError
from inapp_monitor.issues.safe_text import HIDDEN
from inapp_monitor.issues.scope import (
    add_breadcrumb,
    set_context,
    set_tag,
    set_user,
)
from inapp_monitor.issues.scrub import Scrubber
from tests.each import each

from .conftest import Monitor, caught, environ

scrubber = Scrubber()
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2VjcmV0LXNpZ25hdHVyZQ"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow_planted_pem_body\n-----END RSA PRIVATE KEY-----"


@each(
    "name",
    [
        *("password", "my_password", "DB_PASSWD", "userPassword", "pwd", "passphrase", "user_pass"),
        *("token", "access_token", "csrfmiddlewaretoken", "X-Api-Key", "apikey", "stripe_key"),
        *("AWS_SECRET_ACCESS_KEY", "private_key", "Authorization", "Proxy-Authorization"),
        *("Cookie", "Set-Cookie", "sessionid", "PHPSESSID", "connect.sid", "credentials"),
        *("jwt", "x-amz-signature", "cvv", "card_number", "ssn", "SECRET_KEY", "_xsrf"),
    ],
)
def test_names_that_hide(name: str) -> None:
    """Substrings of names hide, whatever the style of writing."""
    assert scrubber.hides(name, "x")


@each(
    "name",
    [
        *("author", "authors", "primary_key", "cache_key", "sort_key", "keyboard", "monkey"),
        *("passenger", "compass", "user", "email", "number", "path", "status", "keyword"),
        *("message", "pinned", "shipping", "design", "assignment", "id", "key"),
    ],
)
def test_names_that_do_not(name: str) -> None:
    """Everyday names stay readable."""
    assert not scrubber.hides(name, "x")


def test_flags_and_random_looking_keys() -> None:
    """`authenticated = True` is shown; `key` is hidden when its value looks like one."""
    assert not scrubber.hides("authenticated", True)
    assert scrubber.hides("key", "a8f5f167f44f4964e6c998dee827110c")
    assert not scrubber.hides("key", "user_name")


@each(
    ("text", "clean"),
    [
        ("login failed: password=hunter2, user=ada", f"login failed: password={HIDDEN}, user=ada"),
        ('{"api_key": "abc", "a": 1}', f'{{"api_key": {HIDDEN}, "a": 1}}'),
        ("Authorization: Bearer abcdefghijk", f"Authorization: {HIDDEN}"),
        ("sent Bearer abcdefghijk", f"sent Bearer {HIDDEN}"),
        (f"jwt {JWT} end", f"jwt {HIDDEN} end"),
        ("postgres://ada:pw@db/x", f"postgres://ada:{HIDDEN}@db/x"),
        ("redis://:pw@cache", f"redis://:{HIDDEN}@cache"),
        (f"key:\n{PEM}\nend", f"key:\n{HIDDEN}\n\n\nend"),
        ("card 4111 1111 1111 1111.", f"card {HIDDEN}."),
        ("order 1234567890123456", "order 1234567890123456"),
        ("AKIAIOSFODNN7EXAMPLE used", f"{HIDDEN} used"),
        ("ghp_0123456789abcdefghijABCDEFGHIJ", HIDDEN),
        ("sk_live_0123456789abcdef", HIDDEN),
        ("xoxb-0123456789-abcdef", HIDDEN),
        ("nothing to hide: 5 of 7", "nothing to hide: 5 of 7"),
        (f"password={HIDDEN}", f"password={HIDDEN}"),
        ("the token was missing", "the token was missing"),
        ("GET /a?sid=5&b=1", f"GET /a?sid={HIDDEN}&b=1"),
        ("sig%6Eature=abc&b=1", f"sig%6Eature={HIDDEN}&b=1"),
    ],
)
def test_texts(text: str, clean: str) -> None:
    """Secrets inside a text are replaced, the rest is left."""
    assert scrubber.text(text) == clean


def test_source_lines_keep_their_names() -> None:
    """Only literals are hidden in source code."""
    lines = ["token = make_token(user)", 'password = "hunter2"', *PEM.split("\n"), "A" * 64]
    assert scrubber.source(lines) == [
        "token = make_token(user)",
        f'password = "{HIDDEN}"',
        *(HIDDEN, "", "", HIDDEN),
    ]


@each(
    ("query", "clean"),
    [
        ("a=1&token=abc&b=2", f"a=1&token={HIDDEN}&b=2"),
        ("access%5Ftoken=abc", f"access%5Ftoken={HIDDEN}"),
        (f"next={JWT}", f"next={HIDDEN}"),
        ("u=postgres%3A%2F%2Fa%3Apw%40h", f"u={HIDDEN}"),
        ("flag&page=2", "flag&page=2"),
        ("", ""),
    ],
)
def test_queries(query: str, clean: str) -> None:
    """Query strings keep their shape."""
    assert scrubber.query(query) == clean


def test_trees_at_any_depth() -> None:
    """Nested dicts, lists and header pairs."""
    tree = {"a": [{"db": {"Password": "x"}}], "headers": [["X-Api-Key", "x"], ["Host", "h"]]}
    assert scrubber.tree(tree) == {
        "a": [{"db": {"Password": HIDDEN}}],
        "headers": [["X-Api-Key", HIDDEN], ["Host", "h"]],
    }


def test_names_and_patterns_of_ones_own() -> None:
    """The user's rules come on top; a bad pattern is a configuration error."""
    own = Scrubber(["Kundennummer"], [r"ACME-\d+"])
    assert own.hides("kundenNummer", "5") or own.hides("kundennummer", "5")
    assert own.text("ticket ACME-1234") == f"ticket {HIDDEN}"
    with pytest.raises(ConfigError, match="scrub_patterns"):
        Scrubber((), ["("])


@given(st.text(), st.text())
def test_scrubbing_twice_changes_nothing_more(before: str, after: str) -> None:
    """What is hidden stays hidden, whatever surrounds it."""
    once = scrubber.text(f"{before} password=hunter2hunter2 {after}")
    assert "hunter2hunter2" not in once
    assert scrubber.text(once) == once


@each(
    "text",
    [
        "User(name='ada', password=['{}', '{}'], pin='{}')",
        '{{"auth": "{}", "session": "{}", "jwt": "{}", "otp": "{}", "passwords": ["{}", "{}"]}}',
        r'{{"body": "{{\\"password\\": \\"{}\\", \\"x\\": '
        r'\\"{{\\\\\\"token\\\\\\": \\\\\\"{}\\\\\\"}}\\"}}"}}',
        '{{"tokens": {{"a": "{}", "b": {{"c": "{}"}}}}, "n": 1}}',
        "[(b'cookie', b'sid={}'), ('x-api-key', '{}', True)]",
        "mysql --password {} --token={} -u root",
        "['mysql', '--password', '{}']",
        "curl -u admin:{} https://h",
        "<user><password>{}</password><ns:ApiKey a='b'>{}</ns:ApiKey></user>",
        "SET password = '{}'; ALTER USER x IDENTIFIED BY '{}'; CREATE ROLE x PASSWORD '{}'",
        "GET / HTTP/1.1\r\nAuthorization: token {}\r\nCookie: a={}; b={}\r\nX-Api-Key: {}\r\n",
        r"GET / HTTP/1.1\r\nAuthorization: token {}\r\nCookie: a={}; b={}\r\nX-Api-Key: {}\r\n",
        "Set-Cookie: sid={}; Path=/",
        "user%5Bpassword%5D={}&user[token]={}&next=%2Flogin%3Ftoken%3D{}",
        "to=https%3A%2F%2Fada%3A{}%40h&json=%7B%22password%22%3A%22{}%22%7D",
        "Server=x;Password={};AccountKey={}",
        "db:\n  password: {}\n  secret: >\n    {}\n",
        "login of ada with password {}, then Invalid API key provided: {}",
        "https://{}abcdefghijk12@github.com/x.git",
        "machine h login ada password {}",
        "password => {} passwd := {}",
        "os.environ['SECRET_KEY'] = '{}'",
    ],
)
def test_secrets_in_texts_of_many_shapes(text: str) -> None:
    """Source code, JSON inside JSON, forms, headers, command lines, XML, SQL, YAML."""
    planted = text.format(*map(secret, range(50, 58)))
    assert "PLANTED" in planted
    assert "PLANTED" not in scrubber.text(planted)


@each(
    "text",
    [
        "Unexpected token '}' in JSON at position 5",
        "secret 'db' not found in vault",
        "the password is required and must have 8 characters",
        "connect(host='x', use_ssl=True, token=None)",
        "author=Jane, primary_key=5, code=404, key=name",
        "spin: 5, opinion=3, passed=5, bypass=1, monkey=5, barcode=12345",
        "session <Session at 5> closed, cookies: 5 found",
        "authorization failed for ada",
    ],
)
def test_sentences_stay_readable(text: str) -> None:
    """Words that only sound like a secret hide nothing."""
    assert scrubber.text(text) == text


@given(st.text(alphabet="a=:'\"\\\\[]{}()<>/&?%3D -@token,1\n", max_size=300))
def test_scrubbing_is_quick_whatever_the_text(text: str) -> None:
    """No pattern runs away: a text of 10,000 characters takes milliseconds."""
    start = time.thread_time()
    scrubber.text((text or "a") * (10_000 // max(len(text), 1)))
    assert time.thread_time() - start < 1


# -- the whole way


def secret(number: int) -> str:
    """A text that no pattern recognizes by its look."""
    return f"PLANTED{number:02d}xyz"


CARD = "4242 4242 4242 4242"
AWS = "AKIAPLANTED012345678"
GITHUB = "ghp_PLANTED0123456789abcdefghij"
SLACK = "xoxb-1234567890-PLANTEDabc"
STRIPE = "sk_live_PLANTED0123456789"
OPENAI = "sk-PLANTED0123456789abcdefgh"
A_JOT = "eyJhbGciOiJIUzI1NiJ9.eyJQTEFOVEVEIjoxfQ.UExBTlRFRA"


class Client:
    def __init__(self) -> None:
        self.api_key = secret(20)
        self.base = f"https://ada:{secret(21)}@api.example.org/"


def charge(password: str, amount: int) -> None:
    config = {"db": {"password": secret(1), "hosts": ["a", {"auth_token": secret(2)}]}}
    settings = [("SECRET_KEY", secret(3)), {"AWS_SECRET_ACCESS_KEY": secret(4)}]
    client = Client()
    headers = {"Authorization": f"Bearer {secret(5)}xyzxyz", "X-Custom-Secret": secret(6)}
    dsn = f"postgres://ada:{secret(7)}@db.example.org/shop"
    body = f'{{"user": "ada", "nested": {{"token": "{secret(8)}"}}}}'
    form = f"name=ada&passwd={secret(9)}"
    pem = "-----BEGIN PRIVATE KEY-----\nPLANTEDPEMBODY0123456789\n-----END PRIVATE KEY-----"
    key_bytes = f"api_key={secret(10)}".encode()
    card = CARD
    jwt_in_text = f"got {A_JOT} from client"
    aws, github, slack, stripe, openai = AWS, GITHUB, SLACK, STRIPE, OPENAI  # noqa: F841
    try:
        raise ValueError(f"cannot log in with token={secret(11)}")
    except ValueError as error:
        error.add_note(f"session_id: {secret(12)}")
        raise RuntimeError(
            f"payment failed for card {CARD}: dsn={dsn} secret='{secret(13)}'",
            (amount, config, settings, client, headers, body, form, pem, key_bytes, card),
        ) from error
    finally:
        del jwt_in_text


@dataclass
class Login:
    name: str
    pin: str
    tokens: list[object]


def test_secrets_in_data_of_many_shapes(monitor: Monitor) -> None:
    """Fields, keys of bytes and tuples, pairs of bytes, odd headers, notes."""

    def fail() -> None:
        login = Login("ada", secret(60), [secret(61), [secret(62)]])
        headers = [(b"cookie", b"sid=" + secret(63).encode()), (b"X-Api-Key", secret(64).encode())]
        by_bytes = {b"authorization": [secret(65).encode()]}
        by_tuple = {("db", "password"): secret(66)}
        triple = [("x-api-key", secret(67), True)]
        plain = types.SimpleNamespace(bind_pw=secret(68), passphrase=secret(69))
        raise ValueError(login, headers, by_bytes, by_tuple, triple, plain)

    names = ("X_GOOG_IAP_JWT_ASSERTION", "X_AMZ_SECURITY_TOKEN", "X_HUB_SIGNATURE_256", "X_PIN")
    request = environ(**{f"HTTP_{name}": secret(70) for name in names})
    error = caught(fail)
    error.add_note(f"see https://ada:{secret(71)}@h/ and amqp://guest:{secret(72)}@h")
    monitor.tracker.capture(error, request)
    monitor.tick()
    text = repr(monitor.only_issue())
    assert "PLANTED" not in text
    assert "'name': 'ada'" in text or "name='ada'" in text


def test_none_of_40_planted_secrets_reaches_the_disk(monitor: Monitor) -> None:
    """Locals, attributes, messages, notes, headers, cookies, query, tags: nothing is found."""
    set_user({"id": "7", "password": secret(22)})
    set_tag("session", secret(23))
    set_context("login", {"access_token": secret(24), "text": f"pwd={secret(25)}"})
    add_breadcrumb(f"POST /login password={secret(26)}", data={"csrf": secret(27)})
    request: dict[str, Any] = environ(
        QUERY_STRING=f"token={secret(28)}&sig%6Eature={secret(29)}&u=http://a:{secret(30)}@h",
        HTTP_AUTHORIZATION=f"Basic {secret(31)}",
        HTTP_COOKIE=f"sessionid={secret(32)}; theme=dark",
        HTTP_X_API_KEY=secret(33),
        HTTP_X_CUSTOM_SECRET=secret(34),
        HTTP_REFERER=f"https://example.org/?reset_token={secret(35)}",
        HTTP_X_FORWARDED_ACCESS_TOKEN=secret(36),
        HTTP_PROXY_AUTHORIZATION=f"Bearer {secret(37)}",
        HTTP_X_NOTE=f"jwt {A_JOT}",
        HTTP_X_CSRFTOKEN=secret(38),
    )
    try:
        charge(secret(39), 5)
    except RuntimeError as error:
        issue_id = monitor.tracker.capture(error, request, route="/pay")
    monitor.tracker.capture_message(f"login failed: password={secret(40)}", environ=request)
    monitor.not_found.add([(f"/reset?token={secret(41)}", f"http://h/?pwd={secret(42)}", 1.0)])
    monitor.tick()

    assert issue_id is not None
    shown = repr(monitor.tracker.get_issue(issue_id))
    found = [shown, repr(monitor.tracker.list_issues()), repr(monitor.not_found.top())]
    for row in monitor.database.read("select body from issue_events"):
        found.append(zlib.decompress(row["body"]).decode())
    for path in Path(monitor.settings.data_dir).iterdir():
        found.append(path.read_bytes().decode("latin-1"))
    for text in found:
        for planted in ("PLANTED", CARD, AWS, GITHUB, SLACK, STRIPE, OPENAI, A_JOT):
            at = text.find(planted)
            assert at < 0, text[max(at - 80, 0) : at + 40]
    assert "'amount': '5'" in shown
    assert "theme=dark" not in shown
