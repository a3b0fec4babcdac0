"""Events in the shapes of SDKs of other languages and of old ones yield what they state."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from typing import Any
from urllib.parse import quote

import pytest

from inapp_monitor.ingest.sentry.authentication import key_of_headers
from inapp_monitor.ingest.sentry.bounded_json import parse_object
from inapp_monitor.ingest.sentry.event import event_of
from inapp_monitor.ingest.sentry.grouping import grouping_of_event
from inapp_monitor.ingest.sentry.messages import filled_in
from inapp_monitor.issues.foreign_event import bounded_event
from tests.each import each

from .captures import KEY
from .conftest import NOW, TOKEN, Installation


def made_of(given: dict[str, Any]) -> dict[str, Any]:
    """The event that is recorded of a payload, which went through JSON."""
    payload = parse_object(json.dumps(given).encode(), "event")
    return bounded_event(event_of(payload, project="web"), NOW, lambda *_: False)


GO = {
    "platform": "go", "level": "error", "release": "shop@2",
    "timestamp": "2026-11-23T00:24:59.123456789+01:00",
    "exception": [
        {"type": "*errors.errorString", "value": "no rows", "stacktrace": {"frames": []}},
        {"type": "*fmt.wrapError", "value": "load: no rows", "stacktrace": {"frames": [
            {"function": "main", "module": "main", "abs_path": "/srv/main.go", "lineno": 9,
             "in_app": True},
            {"function": "(*Cart).Load", "module": "shop/cart", "abs_path": "/srv/cart/cart.go",
             "lineno": 41, "in_app": True}]}},
    ],
}  # fmt: skip
JAVA = {
    "platform": "java", "level": "fatal", "tags": [["region", "eu"], ["retry", True]],
    "threads": {"values": [
        {"id": 1, "name": "main", "current": False, "stacktrace": {"frames": []}},
        {"id": 7, "name": "pool-1", "crashed": True, "current": True}]},
    "exception": {"values": [{
        "type": "IllegalStateException", "module": "java.lang", "value": "closed", "thread_id": 7,
        "mechanism": {"type": "UncaughtExceptionHandler", "handled": False},
        "stacktrace": {"frames": [
            {"filename": "Thread.java", "module": "java.lang.Thread", "function": "run",
             "lineno": -2, "in_app": False, "native": True},
            {"filename": "Cart.java", "module": "com.shop.Cart", "function": "pay", "lineno": 12,
             "in_app": True}]}}]},
}  # fmt: skip
NATIVE = {
    "platform": "native", "level": "fatal",
    "exception": {"values": [{"type": "SIGSEGV", "value": "Segfault", "thread_id": 3, "mechanism": {
        "type": "signalhandler", "handled": False,
        "meta": {"signal": {"number": 11, "name": "SIGSEGV"}}}}]},
    "threads": [{"id": 2, "stacktrace": {"frames": [{"function": "idle"}]}},
                {"id": 3, "stacktrace": {"frames": [
                    {"instruction_addr": "0x00007f0012345678", "package": "/lib/x86_64/libc.so.6",
                     "in_app": False},
                    {"function": "shop::pay", "package": "/opt/shop/bin/shop", "filename": "pay.cc",
                     "lineno": 7, "in_app": True}]}}],
    "debug_meta": {"images": [{"type": "elf", "code_file": "/opt/shop/bin/shop",
                               "debug_id": "3249d99d-0c40-4931-8610-f4e4fb0b6936"}]},
}  # fmt: skip
OLD_PYTHON = {
    "platform": "python", "level": 30, "culprit": "shop.cart in pay",
    "timestamp": "2026-11-22T23:24:59",
    "sentry.interfaces.Exception": {"type": "KeyError", "value": "'id'", "module": "exceptions"},
    "sentry.interfaces.Stacktrace": {"frames": [
        {"filename": "shop/cart.py", "module": "shop.cart", "function": "pay", "lineno": 3,
         "vars": {"n": "1"}}]},
    "sentry.interfaces.User": {"id": 7, "username": "jo"},
    "sentry.interfaces.Http": {"url": "http://shop.example/pay?x=1", "method": "POST"},
}  # fmt: skip
DOTNET = {
    "platform": "csharp", "level": "error", "tags": [{"key": "region", "value": "eu"}],
    "exception": {"values": [
        {"type": "System.IO.IOException", "module": "System.Private.CoreLib, Version=8.0.0.0",
         "value": "disk", "mechanism": {"type": "chained", "exception_id": 1, "parent_id": 0,
                                        "source": "InnerException"}},
        {"type": "Shop.CartException", "module": "Shop, Version=1.0.0.0", "value": "cart",
         "mechanism": {"type": "AppDomain", "handled": False, "exception_id": 0},
         "stacktrace": {"frames": [{"module": "Shop.Cart", "function": "void Pay()",
                                    "filename": None, "in_app": True}]}}]},
}  # fmt: skip


@each(
    ("given", "kind", "message", "level", "functions", "thread"),
    [
        (GO, "*fmt.wrapError", "load: no rows", "error", ["main", "(*Cart).Load"], ""),
        (JAVA, "IllegalStateException", "closed", "fatal", ["run", "pay"], "pool-1"),
        (NATIVE, "SIGSEGV", "Segfault", "fatal", ["0x00007f0012345678", "shop::pay"], "3"),
        (OLD_PYTHON, "KeyError", "'id'", "warning", ["pay"], ""),
        (DOTNET, "Shop.CartException", "cart", "error", ["void Pay()"], ""),
    ],
)
def test_type_value_level_frames_and_thread(
    given: dict[str, Any],
    kind: str,
    message: str,
    level: str,
    functions: list[str],
    thread: str,
) -> None:
    """Of Go, Java, a native program, an old Python client and .NET."""
    event = made_of(given)
    assert (event["type"], event["message"], event["platform"]) == (
        kind,
        message,
        given["platform"],
    )
    assert event["level"] == {"fatal": "critical"}.get(level, level)
    raised = event["exceptions"][0]
    assert [frame["function"] for frame in raised["frames"]] == functions
    assert raised["frames"][-1]["in_app"]
    assert event["thread"] == thread


def test_what_else_they_state() -> None:
    """Tags as pairs, times with nanoseconds and an offset, what noticed it, the libraries."""
    go, java, native = made_of(GO), made_of(JAVA), made_of(NATIVE)
    assert go["time"] == pytest.approx(1_795_389_899.123456)
    assert [each["relation"] for each in go["exceptions"]] == ["raised", "cause"]
    assert java["tags"] == {"region": "eu", "retry": "true"}
    assert java["contexts"]["mechanism"]["handled"] == "false"
    assert java["exceptions"][0]["frames"][0]["line"] == 0
    assert native["contexts"]["signal"]["name"] == "SIGSEGV"
    assert native["contexts"]["debug images"] == {"shop": "3249d99d-0c40-4931-8610-f4e4fb0b6936"}
    assert native["exceptions"][0]["frames"][0]["module"] == "libc.so.6"
    old = made_of(OLD_PYTHON)
    assert old["user"] == {"id": "7", "username": "jo"}
    assert (old["request"]["path"], old["request"]["query"]) == ("/pay", "x=1")
    assert (old["culprit"], old["time"]) == ("shop.cart in pay", 1_795_389_899.0)
    dotnet = made_of(DOTNET)
    assert dotnet["tags"] == {"region": "eu"}
    assert [e["type"] for e in dotnet["exceptions"]] == [
        "Shop.CartException",
        "System.IO.IOException",
    ]


@each(
    ("platform", "frames", "culprit"),
    [
        ("elixir", [{"module": "Shop", "function": "Shop.pay/1"}], "Shop.pay/1"),
        ("java", [{"module": "com.shop.Cart", "function": "pay"}], "com.shop.Cart.pay"),
        (
            "dart",
            [{"filename": "main.dart", "function": "pay"},
             {"abs_path": "<asynchronous suspension>"}],
            "pay (main.dart)",
        ),
    ],
)  # fmt: skip
def test_the_culprit_is_a_function_of_the_application(
    platform: str, frames: list[dict[str, Any]], culprit: str
) -> None:
    """Named once, and no mark between the frames of a stack."""
    raised = {"type": "E", "value": "v", "stacktrace": {"frames": frames}}
    assert made_of({"platform": platform, "exception": [raised]})["culprit"] == culprit


def test_a_new_build_of_a_native_program_continues_its_issue() -> None:
    """Addresses, folders and versions of assemblies are not compared."""

    def fingerprint(given: dict[str, Any]) -> str:
        return grouping_of_event(event_of(given), None).fingerprint

    moved = json.loads(json.dumps(NATIVE).replace("0x00007f0012345678", "0x00007f8888888888"))
    moved = json.loads(json.dumps(moved).replace("/opt/shop/bin", "/opt/shop-2/bin"))
    assert fingerprint(moved) == fingerprint(NATIVE)
    newer = json.loads(json.dumps(DOTNET).replace("8.0.0.0", "9.0.0.0"))
    assert fingerprint(newer) == fingerprint(DOTNET)


@each(
    ("level", "recorded"),
    [
        ("fatal", "critical"), ("emergency", "critical"), ("ERROR", "error"), ("notice", "info"),
        ("log", "info"), ("trace", "debug"), (50, "critical"), (40.0, "error"), ("30", "warning"),
        (25, "info"), (5, "debug"), (None, "error"), ([], "error"), (True, "error"),
    ],
)  # fmt: skip
def test_names_and_numbers_of_levels(level: object, recorded: str) -> None:
    """Of every SDK and logger, in any case; what is no level is an error."""
    assert made_of({"message": "x", "level": level})["level"] == recorded


@each(
    ("template", "parameters", "text"),
    [
        ("user %s paid %d", ["jo", 3], "user jo paid 3"),
        ("%(who)s paid %(what).2f", {"who": "jo", "what": 3}, "jo paid 3"),
        ("{} and {1} and {}", ["a", "b"], "a and b and b"),
        ("{who} paid {what:>9}", {"who": "jo"}, "jo paid {what:>9}"),
        ("100 %% of %s", ["it"], "100 % of it"),
        ("%s of %s", ["one"], "one of %s"),
        ("%999999999s", ["short"], "short"),
        ("%s", [None], "None"),
        ("%s as it is", None, "%s as it is"),
    ],
)
def test_parameters_are_filled_in(template: str, parameters: object, text: str) -> None:
    """As the sender would have done, but no width makes the text longer."""
    assert filled_in(template, parameters) == text
    event = made_of({"logentry": {"message": template, "params": parameters}})
    assert event["message"] == text


@each(
    "given",
    [
        {"exception": {"values": {"type": "E", "value": "v"}}},
        {"exception": {"type": "E", "value": "v"}},
        {"exception": [None, {"type": "E", "value": "v", "stacktrace": None}]},
        {"exception": {"values": [{"type": "E", "value": "v", "stacktrace": {"frames": None}}]}},
        {"sentry.interfaces.Exception": {"values": [{"type": "E", "value": "v"}]}},
        {"exception": [{"type": "E", "value": "v", "mechanism": "generic", "module": None}]},
    ],
)
def test_an_exception_in_any_wrapping(given: dict[str, Any]) -> None:
    """One object, a list, a list under `values`, the name of old clients."""
    event = made_of(given)
    assert (event["type"], event["message"]) == ("E", "v")
    assert len(event["exceptions"]) == 1


def test_nan_and_halves_of_characters_are_recorded(installation: Installation) -> None:
    """Senders write `NaN`, which is no JSON, and lone surrogates, which are no text."""
    body = (
        b'{"message": "half \\ud800 of", "extra": {"n": NaN, "i": -Infinity}, "tags": {"a": NaN}}'
    )
    assert installation.send(body, "/api/1/store/").status_code == 200
    (issue,) = installation.page("/errors.json")["issues"]
    assert issue["message"].startswith("half")
    assert not installation.monitor.guard.faults


EVENT = json.dumps({"message": "by an old client", "event_id": "a" * 32}).encode()


@each(
    "body",
    [
        EVENT,
        b"\xef\xbb\xbf\r\n" + EVENT,
        zlib.compress(EVENT),
        gzip.compress(EVENT, mtime=0),
        base64.b64encode(zlib.compress(EVENT)),
        base64.b64encode(EVENT),
        base64.urlsafe_b64encode(zlib.compress(EVENT)).rstrip(b"="),
        b"sentry_data=" + quote(base64.b64encode(zlib.compress(EVENT))).encode(),
        b"sentry_data=" + quote(EVENT).encode(),
    ],
)
def test_the_forms_of_the_older_endpoint(installation: Installation, body: bytes) -> None:
    """JSON, compressed, in base64, in a form: the answer names the event's id."""
    response = installation.send(body, "/api/1/store/")
    assert (response.status_code, response.json) == (200, {"id": "a" * 32})
    (issue,) = installation.page("/errors.json")["issues"]
    assert issue["message"] == "by an old client"


def test_an_old_browser_asks_for_an_image(installation: Installation) -> None:
    """The event is in the address; a page of another origin is known by its Referer."""

    def ask(**headers: str) -> Any:
        query = {"sentry_key": KEY, "sentry_data": EVENT.decode()}
        return installation.client.get(
            "/_metrics/sentry/api/1/store/", query_string=query, headers=headers
        )

    assert ask(Referer="https://elsewhere.example/page").status_code == 403
    answer = ask(Referer="http://localhost/page")
    assert (answer.status_code, answer.mimetype) == (200, "image/gif")
    assert answer.data.startswith(b"GIF89a")
    (issue,) = installation.page("/errors.json")["issues"]
    assert issue["message"] == "by an old client"
    empty = installation.client.get(f"/_metrics/sentry/api/1/store/?sentry_key={KEY}")
    assert empty.status_code == 400


@each(
    "body",
    [
        zlib.compress(b'{"message": "' + b"x" * 3_000_000 + b'"}'),
        base64.b64encode(zlib.compress(b" " * 90_000_000)),
        zlib.compress(EVENT)[:-8],
        base64.b64encode(b"\x00\x01\x02"),
        b"sentry_data=",
        b"nothing at all",
    ],
)
def test_old_forms_that_are_none(shared: Installation, body: bytes) -> None:
    """What is damaged or a bomb is refused with a sentence."""
    response = shared.send(body, "/api/1/store/")
    assert response.status_code in (400, 413), response.text
    assert response.headers["X-Sentry-Error"]


def test_a_transaction_to_the_older_endpoint_is_no_error(installation: Installation) -> None:
    """It is what it says, not an issue."""
    body = json.dumps({"type": "transaction", "transaction": "GET /", "event_id": "b" * 32})
    assert installation.send(body.encode(), "/api/1/store/").status_code == 200
    assert installation.page("/errors.json")["issues"] == []
    assert installation.page("/sdks.json")["counts"]["web"]["item"] == {"transaction": 1}


def test_an_event_without_an_id_is_given_one(installation: Installation) -> None:
    """The answer names it, and the issue shows it."""
    response = installation.send(b'{"message": "no id"}', "/api/1/store/")
    assert response.json is not None
    (issue,) = installation.page("/errors.json")["issues"]
    shown = installation.page(f"/errors/{issue['id']}.json")
    assert shown["event"]["id"] == response.json["id"]
    assert TOKEN not in json.dumps(shown)


@each(
    "header",
    [
        f"Sentry sentry_version=7, sentry_key={KEY}, sentry_client=raven-php/1.0",
        f"Sentry sentry_key={KEY},sentry_version=7,sentry_secret=x",
        f'Sentry sentry_version="7", sentry_key="{KEY}"',
        f"sentry sentry_timestamp=1.5,\tSentry_Key = {KEY}",
        f"Sentry: sentry_key={KEY}",
        f"sentry_key={KEY}",
        f"Sentry sentry_version=7 sentry_key={KEY}",
        f"DSN https://{KEY}@shop.example/_metrics/sentry/1",
        f"dsn https://{KEY}:secret@shop.example/_metrics/sentry/1",
    ],
)
def test_a_key_in_any_form_of_the_header(header: str) -> None:
    """In `X-Sentry-Auth` as in `Authorization`."""
    assert key_of_headers(header, "", {}) == KEY
    assert key_of_headers("", header, {"sentry_key": "other"}) == KEY
