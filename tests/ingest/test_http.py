"""Numbers by HTTP: what is sent to `/ingest` is stored, refused with a reason, or shut out."""

from __future__ import annotations

import base64
import gzip
import io
import json
import time
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from inapp_monitor import Monitor
from tests.environ import environ_of
from tests.ingest import corpus
from tests.ingest.conftest import latest
from tests.web.test_hostile import bytes_of, rows, text_of

TOKEN = "the-token-of-all"
SENDER = "only-for-sending"
Make = Callable[..., Monitor]


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Unread(io.BytesIO):
    """A body that breaks off, as a server's input does when its client goes."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise ConnectionResetError("the client is gone")


def send(
    monitor: Monitor,
    body: bytes = b"",
    *,
    path: str = "/ingest",
    method: str = "POST",
    token: str = TOKEN,
    query: str = "",
    stream: io.BytesIO | None = None,
    **more: Any,
) -> Answer:
    """Send a request as a server hands it on."""
    environ = environ_of(
        f"/_metrics{path}",
        method,
        QUERY_STRING=query,
        REMOTE_ADDR="127.0.0.1",
        **{"wsgi.input": stream or io.BytesIO(body), "CONTENT_LENGTH": str(len(body))},
    )
    if token:
        environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    environ.update(more)
    environ = {key: value for key, value in environ.items() if value is not None}
    got: list[Any] = []
    pieces = monitor(environ, lambda *answer: got.extend(answer))
    data = b"".join(pieces)
    getattr(pieces, "close", lambda: None)()
    return Answer(int(got[0].split()[0]), dict(got[1]), data)


@pytest.fixture
def monitor(make: Make) -> Monitor:
    return make(token=TOKEN, ingest_token=SENDER, flush_interval_s=30)


CAPTURED = [
    "collectd-http-json",
    "collectd-http-command",
    "collectd-http-kairosdb",
    "curl-http",
]


def now() -> int:
    return int(time.time())


# -- lines


def test_lines_are_counted_and_bad_ones_named(monitor: Monitor) -> None:
    """202, how many lines were accepted, and of the others number, reason and text."""
    body = b"shop.orders 3 %d\nnonsense\n\nshop.paid 2.5\nrequests.x 1\n" % now()
    answer = send(monitor, body)
    assert answer.status == 202
    assert answer.json == {
        "accepted": 2,
        "rejected": 2,
        "errors": [
            {"line": 2, "reason": "fields", "text": "nonsense"},
            {"line": 5, "reason": "name_reserved", "text": "requests.x 1.0"},
        ],
    }
    assert latest(monitor, "shop.orders") == 3.0
    assert latest(monitor, "shop.paid") == 2.5


def test_at_most_ten_errors_are_named(monitor: Monitor) -> None:
    """All are counted, over the pieces that a long body is parsed in."""
    answer = send(monitor, b"good 1\n" + b"bad line that is refused\n" * 5_000)
    assert answer.status == 202
    assert answer.json["rejected"] == 5_000
    assert [error["line"] for error in answer.json["errors"]] == list(range(2, 12))


def test_a_body_of_bad_lines_only_is_the_clients_fault(monitor: Monitor) -> None:
    """400, with the same account."""
    answer = send(monitor, b"no\nno\n")
    assert answer.status == 400
    assert answer.json["rejected"] == 2
    assert [error["line"] for error in answer.json["errors"]] == [1, 2]


def test_what_was_accepted_is_on_disk_before_the_answer(monitor: Monitor) -> None:
    """Another process sees it, though the next flush is far away."""
    assert send(monitor, b"durable 7\n").status == 202
    from inapp_monitor.ground.guard import Guard
    from inapp_monitor.store.series import Store

    other = Store(
        monitor.settings.data_dir, monitor.settings, monitor.clock, Guard(), read_only=True
    )
    assert "durable" in [leaf.path for leaf in other.leaves()]


def test_joined_lines_are_told_from_lines(monitor: Monitor) -> None:
    """`curl -d @file` removes line ends: the answer says how to keep them."""
    form = "application/x-www-form-urlencoded"
    answer = send(monitor, b"a.b 1 1700000000c.d 2.5 1700000000", CONTENT_TYPE=form)
    assert answer.status == 400
    assert "--data-binary" in answer.json["error"]
    assert send(monitor, b"a.b 1 %d\nc.d 2" % now(), CONTENT_TYPE=form).json["accepted"] == 2


def test_nothing_sent_is_an_error(monitor: Monitor) -> None:
    """An empty body is a client's mistake that must not pass unseen."""
    assert send(monitor, b"").status == 400
    assert send(monitor, b"\n \n").status == 400


def test_nan_is_no_value_and_no_fault(monitor: Monitor) -> None:
    """Clients send it for what they do not know."""
    answer = send(monitor, b"unknown nan %d\n" % now())
    assert answer.status == 202
    assert answer.json == {"accepted": 0, "rejected": 0, "errors": []}


@pytest.mark.parametrize("begin", [b"\xef\xbb\xbf", b""])
def test_a_byte_order_mark_belongs_to_no_name(monitor: Monitor, begin: bytes) -> None:
    """Editors of Windows write one."""
    assert send(monitor, begin + b"marked 1\n").json["accepted"] == 1
    assert latest(monitor, "marked") == 1.0


# -- how a body may come


def test_a_body_may_be_packed(monitor: Monitor) -> None:
    """gzip (several members, too) and deflate in both of its meanings."""
    lines = b"packed 1\nunpacked 2\n"
    deflate = zlib.compressobj(wbits=-15)
    for coding, body in (
        ("gzip", gzip.compress(lines, mtime=0)),
        ("gzip", gzip.compress(b"packed 1\n", mtime=0) + gzip.compress(b"unpacked 2\n", mtime=0)),
        ("deflate", zlib.compress(lines)),
        ("deflate", deflate.compress(lines) + deflate.flush()),
        ("identity", lines),
    ):
        answer = send(monitor, body, HTTP_CONTENT_ENCODING=coding)
        assert (answer.status, answer.json["accepted"]) == (202, 2), coding


@pytest.mark.parametrize(
    ("status", "body", "more"),
    [
        (413, b"a 1\n" * 300_000, {}),
        (413, gzip.compress(b"\0" * 60_000_000, mtime=0), {"HTTP_CONTENT_ENCODING": "gzip"}),
        (413, b"", {"CONTENT_LENGTH": "99999999999"}),
        (400, gzip.compress(b"a 1\n" * 100, mtime=0)[:-9], {"HTTP_CONTENT_ENCODING": "gzip"}),
        (400, b"a 1\n", {"HTTP_CONTENT_ENCODING": "gzip"}),
        (400, gzip.compress(b"a 1\n", mtime=0) * 101, {"HTTP_CONTENT_ENCODING": "gzip"}),
        (415, b"a 1\n", {"HTTP_CONTENT_ENCODING": "br"}),
        (415, b"a 1\n", {"HTTP_CONTENT_ENCODING": "gzip, gzip"}),
        (415, b"a 1\n", {"CONTENT_TYPE": "image/png"}),
        (415, "a 1\n".encode("utf-16"), {"CONTENT_TYPE": "text/plain; charset=utf-16"}),
        (411, b"a 1\n", {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": None}),
        (400, b"a 1\n", {"CONTENT_LENGTH": "-5"}),
        (400, b"a 1\n", {"CONTENT_LENGTH": "36, 36"}),
        (400, b"a 1\n", {"CONTENT_LENGTH": "0x24"}),
        (400, b"a 1\n", {"CONTENT_LENGTH": "40"}),
        (400, b"a 1\n", {"stream": Unread(b"a 1\n")}),
        (405, b"a 1\n", {"method": "PATCH"}),
        (405, b"", {"method": "GET"}),
        (404, b"a 1\n", {"path": "/ingest/nowhere"}),
    ],
)
def test_what_is_not_read_has_its_status(
    monitor: Monitor, status: int, body: bytes, more: dict[str, Any]
) -> None:
    """413 too long, 411 of unknown length, 415 unknown coding or type, 400 malformed."""
    answer = send(monitor, body, **more)
    assert answer.status == status, answer.body
    assert answer.json["error"]


def test_a_body_that_is_refused_whole_is_counted(monitor: Monitor) -> None:
    """Its sender may not look at answers: the Sources page shows it."""
    send(monitor, b"a.b 1 1c.d 2", CONTENT_TYPE="application/x-www-form-urlencoded")
    send(monitor, b"[", CONTENT_TYPE="application/json")
    send(monitor, b"x", path="/ingest/write", HTTP_CONTENT_ENCODING="br")
    sources = send(monitor, path="/sources.json", method="GET").json
    rejects = {row["address"]: row["rejects"] for row in sources["doors"]}
    assert rejects["/_metrics/ingest"]["body_400"]["count"] == 2
    assert "Content-Encoding" in rejects["/_metrics/ingest/write"]["body_415"]["text"]


def test_a_chunked_body_is_read_to_its_end(monitor: Monitor) -> None:
    """Its server says where that is; one byte too many is refused, not cut off."""
    chunked = {
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input_terminated": True,
        "CONTENT_LENGTH": None,
    }
    assert send(monitor, b"chunked 1\n" * 100, **chunked).json["accepted"] == 100
    exactly = b"chunked 1\n" * 104_857 + b"chunk\n"
    assert len(exactly) == 2**20
    assert send(monitor, exactly, **chunked).status == 202
    assert send(monitor, exactly + b"x", **chunked).status == 413


def test_a_file_of_a_form_is_its_body(monitor: Monitor) -> None:
    """`curl -F file=@lines.txt`."""
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="lines.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\nform.a 1\nform.b 2\n\r\n--x--\r\n"
    )
    answer = send(monitor, body, CONTENT_TYPE="multipart/form-data; boundary=x")
    assert answer.json["accepted"] == 2
    bad = send(monitor, b"--x\r\n" * 50_000, CONTENT_TYPE="multipart/form-data; boundary=x")
    assert bad.status in (400, 413)


# -- who may send


def test_closed_by_default(monitor: Monitor) -> None:
    """Without a token nothing is taken, and the number of tries is limited."""
    assert send(monitor, b"a 1\n", token="").status == 401
    statuses = {send(monitor, b"a 1\n", token=f"guess-number-{n}").status for n in range(40)}
    assert statuses == {401, 429}
    assert send(monitor, b"a 1\n", token=SENDER).status == 202


def test_the_senders_token_opens_nothing_else(monitor: Monitor) -> None:
    """It may write numbers, and read none."""
    assert send(monitor, b"a 1\n", token=SENDER).status == 202
    for path in ("/", "/metrics/index.json", "/render", "/status"):
        assert send(monitor, path=path, method="GET", token=SENDER).status == 401


@pytest.mark.parametrize("token", [TOKEN, SENDER])
def test_a_token_comes_as_programs_send_one(monitor: Monitor, token: str) -> None:
    """As Bearer, as InfluxDB's Token, as user or as password of Basic."""
    for text in (
        f"Bearer {token}",
        f"bearer {token}",
        f"Token {token}",
        "Basic " + base64.b64encode(f"{token}:".encode()).decode(),
        "Basic " + base64.b64encode(f"telegraf:{token}".encode()).decode(),
    ):
        answer = send(monitor, b"a 1\n", token="", HTTP_AUTHORIZATION=text)
        assert answer.status == 202, text
    for text in ("Basic ???", f"Digest {token}", "Bearer ", f"Bearer {token}x"):
        assert send(monitor, b"a 1\n", token="", HTTP_AUTHORIZATION=text).status in (401, 429), text


def test_an_authorizer_decides_unless_a_senders_token_is_set(make: Make) -> None:
    """A program cannot log in as people do: for it there is the token."""
    monitor = make(authorizer=lambda environ: environ.get("HTTP_X_USER"), ingest_token=SENDER)
    assert send(monitor, b"a 1\n", token="").status == 401
    assert send(monitor, b"a 1\n", token=SENDER).status == 202


def test_no_page_of_another_site_can_send_numbers(monitor: Monitor) -> None:
    """A session alone, without the token of a form, is not meant."""
    login = send(monitor, path="/", method="GET", token="", query=f"token={TOKEN}")
    cookie = login.headers["Set-Cookie"].partition(";")[0]
    assert send(monitor, b"a 1\n", token="", HTTP_COOKIE=cookie).status == 403


# -- what pushers speak


def test_json_in_the_shapes_of_pushers(monitor: Monitor) -> None:
    """Ours, OpenTSDB's, KairosDB's: the number of a refused object is said."""
    body = json.dumps(
        [
            {"path": "json.a", "value": 1, "timestamp": now(), "tags": {"host": "web1"}},
            {"value": 5},
            {"metric": "json.b", "value": "2.5", "timestamp": now() * 1000},
            {"name": "json.c", "datapoints": [[now() * 1000, 4]], "tags": ["dc:eu"]},
            {"name": "requests.c", "value": 1},
        ]
    ).encode()
    answer = send(monitor, body, CONTENT_TYPE="application/json")
    assert answer.json["accepted"] == 3
    assert [(e["line"], e["reason"]) for e in answer.json["errors"]] == [
        (2, "name"),
        (5, "name_reserved"),
    ]
    assert latest(monitor, "json.a;host=web1") == 1.0
    assert latest(monitor, "json.b") == 2.5
    assert latest(monitor, "json.c;dc=eu") == 4.0


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain; charset=utf-8", b"\ncpu,host=web\\ 1 idle=98.5\ncpu,host=web\\ 1 n=2i\n"),
        ("text/plain", b'{"cpu.idle", host="web_1"} 98.5\n{"cpu.n","host"="web_1"} 2\n'),
        ("text/plain", b"metric=cpu field=idle host=web_1  98.5 N\ncpu.n;host=web_1 2\n"),
        ("application/x-ndjson", b'{"name":"cpu.idle",'
         b'"value":98.5,"tags":{"host":"web_1"}}\n{"name":"cpu.n","value":2,'
         b'"tags":{"host":"web_1"}}\n'),
    ],
)  # fmt: skip
def test_lines_are_known_by_how_they_begin(monitor: Monitor, kind: str, body: bytes) -> None:
    """What Telegraf's output for HTTP sends in each of its formats, by the same type."""
    answer = send(monitor, body, CONTENT_TYPE=kind)
    assert answer.json["accepted"] == 2
    assert latest(monitor, "cpu.idle;host=web_1") == 98.5
    assert latest(monitor, "cpu.n;host=web_1") == 2.0


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b'{"value":' + b"9" * 5_000 + b"}",
        b'{"path":"a","value":NaN}',
        b'"text"',
        b"{",
    ],
)
def test_json_that_is_none_is_refused_whole(monitor: Monitor, body: bytes) -> None:
    """Too deep, too large a number, NaN, no object: 400."""
    answer = send(monitor, body, CONTENT_TYPE="application/json")
    assert answer.status == 400


def test_a_pushgateways_client_is_answered(monitor: Monitor) -> None:
    """PUT and POST store the samples with the group's labels; DELETE removes nothing stored."""
    for packet in corpus.capture("pypi-prometheus-pushgateway")["packets"]:
        head, _, body = bytes.fromhex(packet["hex"]).partition(b"\r\n\r\n")
        method, path, _ = head.split(b"\r\n")[0].decode().split()
        answer = send(
            monitor, body, path=f"/ingest{path}", method=method,
            CONTENT_TYPE="text/plain; version=0.0.4; charset=utf-8",
        )  # fmt: skip
        assert answer.status in (200, 202), answer.body
    assert latest(monitor, "jobs_total;job=batchA;k=a_b_c_d") == 3.0
    assert latest(monitor, "lat_seconds_bucket;instance=i/1;job=batch/A;le=+Inf") == 1.0
    infinite = b"lowest +Inf\nhighest -Inf\nnone NaN\nlast 7\n"
    assert send(monitor, infinite, path="/ingest/metrics/job/batchB").status == 200
    assert latest(monitor, "last;job=batchB") == 7.0
    assert latest(monitor, "lowest;job=batchB") is None
    assert send(monitor, b"x 1\n", path="/ingest/metrics/nojob/x").status == 400
    assert send(monitor, b"bad{ 1\n", path="/ingest/metrics/job/x").status == 400


def test_telegraf_is_answered_as_influxdb_would(monitor: Monitor) -> None:
    """204 for both versions of the write address; ping, and the creation of a database."""
    line = b'cpu,host=web1 usage=1.5,n=2i,on=true,text="a b, c" %d\n' % (now() * 10**9)
    for path, query in (
        ("/ingest/write", "db=telegraf"),
        ("/ingest/api/v2/write", "org=o&bucket=b&precision=ns"),
    ):
        answer = send(monitor, line, path=path, query=query)
        assert (answer.status, answer.body) == (204, b"")
    assert latest(monitor, "cpu.usage;host=web1") == 1.5
    assert latest(monitor, "cpu.on;host=web1") == 1.0
    assert send(monitor, path="/ingest/ping", method="GET").status == 204
    created = send(monitor, b"q=CREATE+DATABASE+telegraf", path="/ingest/query")
    assert created.json == {"results": [{"statement_id": 0}]}
    text = b"x\n" * 20_000  # longer than what is parsed at a time
    answer = send(monitor, b'log text="%b",size=7i\n' % text, path="/ingest/write")
    assert (answer.status, latest(monitor, "log.size")) == (204, 7.0)
    partly = send(monitor, line + b"bad\n", path="/ingest/write")
    assert partly.status == 400
    assert "partial write: line 2: fields" in partly.json["error"]
    assert send(monitor, line, path="/ingest/write", query="precision=y").status == 400


@pytest.mark.parametrize("name", CAPTURED)
def test_captured_requests_are_answered(make: Make, name: str) -> None:
    """What curl and collectd's write_http have really sent is accepted."""
    monitor = make(token=TOKEN, retention="10s:6h,1h:9y")  # the captures are of another year
    statuses = []
    for packet in corpus.capture(name)["packets"]:
        statuses.append(replay(monitor, bytes.fromhex(packet["hex"])).status)
    joined = [1] if name == "curl-http" else []
    letters = [7] if name == "curl-http" else []  # 2,000 letters are no line
    expected = [400 if n in joined + letters else 202 for n in range(len(statuses))]
    assert statuses == expected


def replay(monitor: Monitor, raw: bytes) -> Answer:
    """Send what a client has sent, as its server would hand it on."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    more: dict[str, Any] = {"CONTENT_TYPE": headers.get("content-type", "")}
    if "content-encoding" in headers:
        more["HTTP_CONTENT_ENCODING"] = headers["content-encoding"]
    if headers.get("transfer-encoding") == "chunked":
        body = body.partition(b"\r\n")[2].rpartition(b"\r\n0\r\n")[0]
        more |= {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    method, path, _ = first.split()
    return send(monitor, body, method=method, path=path.removeprefix("/_metrics"), **more)


def test_an_alert_becomes_a_mark(monitor: Monitor) -> None:
    """As collectd sends its notifications, and Alertmanager its alerts."""
    (first, *_) = corpus.capture("collectd-http-json")["packets"]
    assert replay(monitor, bytes.fromhex(first["hex"])).json["accepted"] == 1
    path, query = "/events/get_data", "from=20231101&until=now"
    found = send(monitor, path=path, method="GET", query=query).json
    assert [(event["what"], event["when"]) for event in found] == [
        ("WARNING: disk full", 1_700_000_000)
    ]
    assert "collectd_df" in found[0]["tags"]


# -- meant to break


@pytest.mark.parametrize("row", [r for r in rows() if r.path == "/ingest"], ids=lambda row: row.id)
def test_a_hostile_request_is_answered_as_stated(monitor: Monitor, row: Any) -> None:
    """An allowed status within a second of CPU, the headers of security, and the app goes on."""
    begin = time.process_time()
    more = {
        "CONTENT_TYPE" if k == "Content-Type" else "HTTP_" + k.upper().replace("-", "_"): text_of(v)
        for k, v in row.headers.items()
    }
    if "HTTP_CONTENT_LENGTH" in more:
        more["CONTENT_LENGTH"] = more.pop("HTTP_CONTENT_LENGTH")
    answer = send(monitor, bytes_of(row.body), method=row.method, **more)
    assert answer.status in row.allowed, answer.body[:300]
    assert time.process_time() - begin < 1.0
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert b"<script" not in answer.body
    assert send(monitor, b"", path="", token="", method="GET", PATH_INFO="/").status == 200
