"""What each kind of receiver gets, byte by byte, and what no notice can do there."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor.alerts import picture, words
from inapp_monitor.alerts.notice import Notice
from inapp_monitor.alerts.notifiers import chat, http, registry
from inapp_monitor.alerts.notifiers.base import FailedError, RefusedError
from inapp_monitor.alerts.notifiers.mail import compose
from inapp_monitor.alerts.notifiers.registry import Channel, Surroundings
from tests.alerts.notices import HOSTILE, notice
from tests.alerts.receivers import (
    HttpReceiver,
    dripping_port,
    http_receiver,
    silent_port,
    smtp_receiver,
)
from tests.alerts.test_sending import standing
from tests.each import each


def made(table: dict[str, Any], **around: Any) -> Channel:
    return registry.parse({"notifiers": {"ops": table}}, Surroundings("shop", **around))[0]


def send(table: dict[str, Any], given: Notice) -> None:
    notifier = made(table).notifier
    assert notifier is not None
    notifier.send(given)


@pytest.fixture
def web() -> Iterator[HttpReceiver]:
    with http_receiver() as receiver:
        yield receiver


HEADERS_SENT = (
    *("Host", "Accept-Encoding", "Connection", "Content-Length", "Content-Type", "User-Agent"),
    *("Idempotency-Key", "X-Inapp-Monitor-Timestamp"),
)
LINKS = {
    "rule": "https://shop.example/_metrics/alerts/pay-fails",
    "overview": "https://shop.example/",
}


def test_webhook_is_json_and_signed(web: HttpReceiver) -> None:
    """The documented names; the signature is over the time, a dot and the body."""
    table = {"type": "webhook", "url": web.url + "/hook", "secret": "s3cret", "allow_private": True}
    send(table, notice(links=LINKS))
    (got,) = web.got
    assert (got.method, got.path) == ("POST", "/hook")
    moment = got.headers["X-Inapp-Monitor-Timestamp"]
    expected = hmac.new(b"s3cret", moment.encode() + b"." + got.body, hashlib.sha256).hexdigest()
    assert got.headers["X-Inapp-Monitor-Signature"] == f"sha256={expected}"
    assert got.json["version"] == 1
    assert got.json["kind"] == "PROBLEM"
    assert got.json["links"] == LINKS
    assert set(got.json) == {"version", *Notice.__slots__}


@each("service", ["slack", "mattermost", "discord"])
def test_chat(service: str, web: HttpReceiver) -> None:
    """Title, evidence and links arrive in the service's own form."""
    table = {"type": service, "url": web.url + "/hook", "allow_private": True}
    send(table, notice(links=LINKS, values=(1.0, 2.0, None, 9.0)))
    text = json.dumps(web.got[0].json, ensure_ascii=False).replace("\\\\", "")
    assert "PROBLEM CRITICAL: /pay fails" in text
    assert "34 of 34 requests failed" in text
    assert LINKS["rule"] in text
    assert "█" in text


@each("service", ["slack", "mattermost", "discord"])
def test_nothing_acts_in_a_chat(service: chat.Service) -> None:
    """No mention, no link, no control character, no text past the service's limit."""
    sent = chat.payload(service, notice(title=HOSTILE, detail=HOSTILE, note=HOSTILE, app=HOSTILE))
    text = json.dumps(sent, ensure_ascii=False)
    assert "<!channel>" not in text
    assert not re.search(r"@(everyone|here)", text)
    assert not re.search(r"(?<!\\\\)\]\(http", text) or service == "slack"
    assert not re.search("[\x00-\x1f\u202e]", "".join(map(str, flat(sent))).replace("\n", ""))
    assert len(text) < 6_000
    if service == "discord":
        assert sent["allowed_mentions"] == {"parse": []}
        assert len(sent["content"]) <= 2_000


def flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [each for entry in value.values() for each in flat(entry)]
    return [each for entry in value for each in flat(entry)] if isinstance(value, list) else [value]


def test_ntfy(web: HttpReceiver) -> None:
    """JSON with the topic, so that nothing of a notice is a header."""
    table = {"type": "ntfy", "url": web.url + "/shop", "token": "tk", "allow_private": True}
    send(table, notice(title=HOSTILE, links=LINKS))
    (got,) = web.got
    assert (got.path, got.headers["Authorization"]) == ("/", "Bearer tk")
    assert (got.json["topic"], got.json["priority"]) == ("shop", 5)
    assert got.json["click"] == LINKS["rule"]
    assert "\n" not in got.json["title"]


def test_mail() -> None:
    """Text, HTML and a picture; an identity that repeats with the same notice; one thread."""
    with smtp_receiver() as server:
        table = {
            "type": "smtp",
            "host": "127.0.0.1",
            "port": server.port,
            "security": "none",
            "from": "monitor@example.org",
            "to": ["ops@example.org", "b@example.org"],
        }
        given = notice(values=tuple(float(n) for n in range(60)), links=LINKS)
        send(table, given)
        send(table, given)
        send(table, notice(key="pay-fails//2", kind="RECOVERY", status="OK"))
        first, again, end = server.mails
    assert first["Subject"] == "PROBLEM CRITICAL: /pay fails (shop)"
    assert first["To"] == "ops@example.org, b@example.org"
    assert first["Message-ID"] == again["Message-ID"] != end["Message-ID"]
    assert first["References"] == end["References"]
    kinds = [part.get_content_type() for part in first.walk() if not part.is_multipart()]
    assert kinds == ["text/plain", "text/html", "image/png"]
    text = first.get_body(("plain",))
    assert text is not None
    for expected in ("34 of 34 requests", "critical range 5", "▁", LINKS["rule"]):
        assert expected in text.get_content()
    page = first.get_body(("html",))
    image = next(part for part in first.walk() if part.get_content_type() == "image/png")
    assert page is not None and f"cid:{image['Content-ID'][1:-1]}" in page.get_content()
    assert not re.search(r"(src|href)=\"http(?!s://shop.example)", page.get_content())


def test_nothing_gets_into_a_header() -> None:
    """Line ends, overlong texts and lone surrogates in names lose no mail and add no header."""
    with smtp_receiver() as server:
        table = {
            "type": "smtp",
            "host": "127.0.0.1",
            "port": server.port,
            "security": "none",
            "from": "monitor@example.org",
            "to": "ops@example.org",
        }
        changes = dict.fromkeys(("title", "detail", "app", "note", "author", "series"), HOSTILE)
        send(table, notice(**changes, lines=(HOSTILE,), links=LINKS))
        (mail,) = server.mails
    assert mail["Bcc"] is None
    assert len(mail["Subject"]) < 300
    page = mail.get_body(("html",))
    assert page is not None and "<script" not in page.get_content()


NAMES = {
    "lines": "/x\nBcc: all@example.org\r\n\r\n[1] PROCESS_HOST_CHECK_RESULT;web1;0;fine",
    "page": "</p><script>alert(1)</script><img src=x onerror=y>\u2028",
    "direction": "/pay\u202e\u2066gnp.exe\x1b[31m\x9b",
    "nul": "a\x00b\x07",
    "surrogates": "\ud83d/x\udfff\udc80",
    "long": "\u00e9y" * 5_000,
    "perfdata": "a' | b=1;2;3;4 'c'=`id` $USER1$ ~!",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=list(NAMES))
def test_no_name_acts_in_any_kind_of_message(name: str, tmp_path: Path, web: HttpReceiver) -> None:
    """In each field of a notice and of a snapshot: what is sent can be read by strict receivers,
    is bounded, and adds no header, line, field, element or mention."""
    texts = ("title", "detail", "app", "note", "author", "series", "runbook", "unit")
    many = dict.fromkeys(("lines", "contributing", "deploys", "issues"), (name,) * 5)
    hostile = notice(**dict.fromkeys(texts, name), **many, labels={"team": name}, links=LINKS)
    sent = compose(hostile, "a@x.example", ("b@x.example",)).as_bytes()
    mail = message_from_bytes(sent, policy=policy.default)
    assert set(mail.keys()) == set(compose(notice(), "a@x.example", ("b@x.example",)).keys())
    assert not any(set("\r\n\0") & set(str(value)) for value in mail.values())
    page = words.markup(hostile)
    assert "<script" not in page and "<img" not in page and "\x1b" not in page
    private = {"url": web.url + "/topic", "allow_private": True}
    for kind in ("webhook", "slack", "mattermost", "discord", "ntfy"):
        send({"type": kind, **private}, hostile)
    pushed = standing(series=name, title=name, detail=name, labels={"team": name}, runbook=name)
    made({"type": "alertmanager", **private}).pusher.push([pushed], 1_700_000_100.0)  # type: ignore[union-attr]
    for got in web.got:
        text = json.dumps(got.json, ensure_ascii=False)
        assert text.encode()
        assert set(got.headers) <= set(HEADERS_SENT)
    ntfy, discord = web.got[4].json, web.got[3].json
    assert len(ntfy["message"].encode()) <= 4_096 and "\x1b" not in ntfy["message"]
    assert len(discord["content"]) <= 2_000
    pipe = tmp_path / "nagios.cmd"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    table = {"type": "nagios", "command_file": str(pipe), "host": "web1"}
    try:
        made(table).pusher.push([pushed], 1_700_000_000.0)  # type: ignore[union-attr]
        (line,) = os.read(reader, 65_536).decode().splitlines()
    finally:
        os.close(reader)
    assert len(line.encode()) < 4_096 and line.isprintable()
    assert line.count("|") == 1 and line.split(";")[2:4] == ["pay-fails", "2"]


def test_mail_that_is_refused() -> None:
    """A recipient that does not exist is final, one that is busy is not."""
    with smtp_receiver() as server:
        table = {
            "type": "smtp",
            "host": "127.0.0.1",
            "port": server.port,
            "security": "none",
            "from": "monitor@example.org",
            "to": "ops@example.org",
        }
        server.refuse = "550 no such user"
        with pytest.raises(RefusedError):
            send(table, notice())
        server.refuse = "451 try later"
        with pytest.raises(FailedError):
            send(table, notice())
    with pytest.raises(FailedError):
        send(table, notice())


@each(
    ("status", "error"),
    [
        (500, FailedError),
        (503, FailedError),
        (429, FailedError),
        (400, RefusedError),
        (404, RefusedError),
    ],
)
def test_answers(status: int, error: type[Exception], web: HttpReceiver) -> None:
    """What may pass is tried again, what is wrong is not."""
    web.statuses = [status]
    with pytest.raises(error, match=str(status)):
        send({"type": "webhook", "url": web.url, "allow_private": True}, notice())


def test_redirects_are_not_followed(web: HttpReceiver) -> None:
    """A receiver cannot send us to another address."""
    web.statuses, web.location = [302], web.url + "/elsewhere"
    with pytest.raises(RefusedError, match="302"):
        send({"type": "webhook", "url": web.url + "/hook", "allow_private": True}, notice())
    assert [got.path for got in web.got] == ["/hook"]


PRIVATE = [
    *("127.0.0.1", "10.0.0.1", "172.16.5.5", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
    *("100.64.0.1", "::1", "fe80::1", "fc00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"),
    *(
        "2002:7f00:1::",
        "::",
        "224.0.0.1",
        "255.255.255.255",
        "ff02::1",
        "240.0.0.1",
        "fe80::1%eth0",
        "fec0::1",
    ),
]


@each("text", PRIVATE)
def test_private_addresses(text: str) -> None:
    """This machine and private networks, in every spelling."""
    assert not http.is_public(text)


def test_public_addresses() -> None:
    """The internet is none of them."""
    assert all(map(http.is_public, ("1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8")))


@each("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1"])
def test_private_receiver_is_refused(host: str, web: HttpReceiver) -> None:
    """However this machine is written, nothing is sent there unless it is allowed."""
    with pytest.raises((RefusedError, FailedError), match=r"not public|cannot be resolved"):
        send({"type": "webhook", "url": f"http://{host}:{web.port}/"}, notice())
    assert web.got == []


def test_name_is_resolved_once(web: HttpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that answers differently the second time leads nowhere else."""
    answers = iter(["127.0.0.1", "169.254.169.254"])
    asked = []

    def resolve(host: str, port: int, *_: object, **__: object) -> list[Any]:
        if host != "rebinding.example":
            return [(2, 1, 6, "", (host, port))]
        asked.append(host)
        return [(2, 1, 6, "", (next(answers), port))]

    monkeypatch.setattr(http.socket, "getaddrinfo", resolve)
    url = f"http://rebinding.example:{web.port}/"
    send({"type": "webhook", "url": url, "allow_private": True}, notice())
    assert asked == ["rebinding.example"]
    assert web.got[0].headers["Host"] == f"rebinding.example:{web.port}"


def test_silent_receiver_times_out() -> None:
    """Who accepts and says nothing costs the timeout, no more."""
    with silent_port() as port:
        table = {"type": "webhook", "url": f"http://127.0.0.1:{port}/", "allow_private": True}
        begun = time.monotonic()
        with pytest.raises(FailedError):
            send({**table, "timeout": "200ms"}, notice())
    assert time.monotonic() - begun < 4.5  # the default is 5 s


@each(("kind", "beginning"), [("webhook", b"HTTP/1.1 200 OK\r\nX-Slow: "), ("smtp", b"220 ")])
def test_receiver_that_drips_is_left(kind: str, beginning: bytes) -> None:
    """Each byte comes in time and the answer does not end: it costs three timeouts, and no more."""
    with dripping_port(beginning) as port:
        address = {"url": f"http://127.0.0.1:{port}/", "allow_private": True}
        mail = {"host": "127.0.0.1", "port": port, "security": "none", "from": "a@b.c"}
        table = address if kind == "webhook" else {**mail, "to": ["d@e.f"]}
        with pytest.raises(FailedError, match=r"timed out|no end after"):
            send({"type": kind, **table, "timeout": "200ms"}, notice())


def test_alertmanager(web: HttpReceiver) -> None:
    """Problems with begin and end ahead, and once more with their end when they are over."""
    table = {"type": "alertmanager", "url": web.url, "allow_private": True}
    pusher = made(table, link="https://shop.example/_metrics").pusher
    assert pusher is not None
    quiet = standing(silent=True, rule="quiet")
    pusher.push([standing(labels={"team": "pay"}), quiet], 1_700_000_100.0)
    pusher.push([standing(hard_status=0)], 1_700_000_160.0)
    pusher.push([], 1_700_000_220.0)
    (first, last) = web.got
    assert first.path == "/api/v2/alerts"
    (alert,) = first.json
    assert alert["labels"] == {
        "alertname": "pay-fails",
        "severity": "critical",
        "app": "shop",
        "team": "pay",
    }
    assert alert["startsAt"] == "2023-11-14T22:13:20Z"
    assert alert["endsAt"] == "2023-11-14T22:19:00Z"
    assert alert["generatorURL"] == "https://shop.example/_metrics/alerts/pay-fails"
    assert last.json == [{**alert, "endsAt": "2023-11-14T22:16:00Z"}]
    pusher.push([standing()], 1_700_000_280.0)
    pusher.push([standing()], 1_699_996_700.0)  # the clock was set back by an hour
    pusher.push([], 1_699_996_760.0)
    for got in web.got[2:]:
        assert all(each["startsAt"] <= each["endsAt"] for each in got.json)


def test_nagios_pipe(tmp_path: Path) -> None:
    """A line a rule, its worst series first; no reader is no wait."""
    pipe = tmp_path / "nagios.cmd"
    os.mkfifo(pipe)
    pusher = made(
        {"type": "nagios", "command_file": str(pipe), "host": "web1", "prefix": "shop "}
    ).pusher
    assert pusher is not None
    with pytest.raises(FailedError):
        pusher.push([standing()], 1_700_000_000.0)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        many = [standing(series=f"s{n}", detail=HOSTILE, title=HOSTILE) for n in range(200)]
        fine = standing(rule="fine", hard_status=0, status=0, value=float("nan"))
        pusher.push([*many, fine], 1_700_000_000.0)
        lines = os.read(reader, 65_536).decode().splitlines()
    finally:
        os.close(reader)
    assert len(lines) == 2
    head = "[1700000000] PROCESS_SERVICE_CHECK_RESULT;web1;shop pay-fails;2;CRITICAL: "
    assert lines[0].startswith(head)
    assert all(len(line.encode()) <= 4_096 for line in lines)
    assert lines[0].count("|") == 1 and lines[0].count(";", len(head)) % 2 == 0
    assert lines[1].endswith(";shop fine;0;OK | pay-fails=U") or "fine=U" in lines[1]


def test_no_pipe(tmp_path: Path) -> None:
    """A regular file in its place is not written to."""
    (tmp_path / "cmd").write_text("kept")
    pusher = made({"type": "nagios", "command_file": str(tmp_path / "cmd")}).pusher
    assert pusher is not None
    with pytest.raises(FailedError, match="no pipe"):
        pusher.push([standing()], 1.0)
    assert (tmp_path / "cmd").read_text() == "kept"


def test_program(tmp_path: Path) -> None:
    """Off by default; the notice is on standard input and nowhere in the command line."""
    script = tmp_path / "page"
    script.write_text(f"#!/bin/sh\ncat > {tmp_path}/got\necho $# > {tmp_path}/count\n")
    script.chmod(0o700)
    table = {"type": "exec", "command": [str(script), "--now"]}
    with pytest.raises(ValueError, match="alert_programs"):
        made(table)
    notifier = made(table, programs=True).notifier
    assert notifier is not None
    notifier.send(notice(title=HOSTILE))
    assert json.loads((tmp_path / "got").read_text())["title"] == HOSTILE.replace(
        "\ud800", "\ufffd"
    )
    assert (tmp_path / "count").read_text().strip() == "1"
    script.write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    with pytest.raises(FailedError, match="ended with 3: broken"):
        notifier.send(notice())


def test_heartbeat(web: HttpReceiver) -> None:
    """A GET each time."""
    pusher = made({"type": "heartbeat", "url": web.url + "/ping/1", "allow_private": True}).pusher
    assert pusher is not None
    pusher.push([], 1.0)
    assert [(got.method, got.path) for got in web.got] == [("GET", "/ping/1")]


WRONG = [
    ({"type": "pigeon"}, "one of smtp"),
    ({"type": "webhook"}, "url is missing"),
    ({"type": "webhook", "url": "ftp://x/"}, "url must be"),
    ({"type": "webhook", "url": "file:///etc/passwd"}, "url"),
    ({"type": "webhook", "url": "http://user:pw@host/"}, "without user"),
    ({"type": "webhook", "url": "http://ho st/"}, "url must be"),
    ({"type": "webhook", "url": "https://x/", "colour": 1}, "unknown key 'colour'"),
    ({"type": "webhook", "url": "https://x/", "timeout": "1h"}, "timeout must be"),
    ({"type": "webhook", "url": "https://x/", "kinds": ["PROBLEMS"]}, "kinds must be"),
    ({"type": "webhook", "url": "env:NOT_THERE_AT_ALL"}, "no variable"),
    ({"type": "smtp", "host": "x", "from": "a@b\nBcc: c@d", "to": "a@b"}, "from must be"),
    ({"type": "smtp", "host": "x", "from": "a@b", "to": []}, "to must be"),
    ({"type": "smtp", "host": "x", "from": "a@b", "to": "a@b, c@d"}, "to must be"),
    ({"type": "ntfy", "url": "https://ntfy.sh/"}, "topic"),
    ({"type": "exec", "command": ["page"]}, "alert_programs"),
]


@each(("table", "text"), WRONG)
def test_wrong_tables(table: dict[str, Any], text: str) -> None:
    """Each error names the notifier, the key and what was expected."""
    with pytest.raises(ValueError, match=re.escape(text)) as caught:
        made(table)
    assert "'ops'" in str(caught.value)


def test_secrets_stay_out_of_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret address that is wrong is not printed."""
    monkeypatch.setenv("HOOK", "ftp://very-secret")
    with pytest.raises(ValueError) as caught:
        made({"type": "slack", "url": "env:HOOK"})
    assert "very-secret" not in str(caught.value)


def test_text_holds_what_one_needs() -> None:
    """Rule, since, value against range, trend, deploys, issues, note, links."""
    text = words.text(
        notice(
            values=(0.0, 1.0, 50.0, 100.0),
            deploys=("2.5.0 at 22:10:00 UTC",),
            issues=("KeyError in pay()",),
            contributing=("/pay", "/cart"),
            runbook="https://wiki/pay",
            author="ann",
            note="on it",
            links=LINKS,
        )
    )
    for expected in (
        *(
            "pay-fails",
            "2023-11-14 22:13:20 UTC, 44 s",
            "100 % (warning range 2, critical range 5)",
        ),
        *("▁▁▄█", "2.5.0", "KeyError in pay()", "/pay, /cart", "https://wiki/pay", "ann: on it"),
        LINKS["rule"],
    ):
        assert expected in text


def test_picture_is_a_png() -> None:
    """Signature, size and checksums are those of a PNG; the range's other side is shaded."""
    data = picture.png([0.0, None, 50.0, 100.0, float("nan"), 20.0], (float("-inf"), 40.0))
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    position, chunks = 8, {}
    while position < len(data):
        (size,) = struct.unpack_from(">I", data, position)
        kind, body = data[position + 4 : position + 8], data[position + 8 : position + 8 + size]
        (crc,) = struct.unpack_from(">I", data, position + 8 + size)
        assert crc == zlib.crc32(kind + body)
        chunks[kind] = body
        position += 12 + size
    assert struct.unpack(">II", chunks[b"IHDR"][:8]) == (picture.WIDTH, picture.HEIGHT)
    rows = zlib.decompress(chunks[b"IDAT"])
    assert len(rows) == (picture.WIDTH + 1) * picture.HEIGHT
    assert set(rows) == {0, 1, 2, 3, 4}


def test_sending_starts_no_thread_of_its_own(web: HttpReceiver) -> None:
    """A notifier works in the thread that calls it."""
    before = set(threading.enumerate())
    send({"type": "webhook", "url": web.url, "allow_private": True}, notice())
    assert {
        t for t in set(threading.enumerate()) - before if "process_request" not in t.name
    } == set()
