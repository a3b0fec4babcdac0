"""What agents send: collectd's packets, Ganglia's, InfluxDB's lines, Prometheus' text, JSON."""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inapp_monitor import ConfigError, Monitor
from inapp_monitor.ground.points import Method
from inapp_monitor.ingest.listeners.receiver import Receiver
from inapp_monitor.ingest.protocols import (
    carbon,
    collectd,
    collectd_putval,
    ganglia,
    influx,
    json_points,
    opentsdb,
    prometheus_text,
)
from inapp_monitor.ingest.protocols.parsed import Parsed, Point, RejectedError
from inapp_monitor.ingest.protocols.registry import PROTOCOLS
from tests.each import each
from tests.ingest import corpus
from tests.ingest.conftest import NOW, Hall

#: What carbon-relay accepted of the same values by write_graphite, without their times.
COLLECTD = [
    ("web1_example_com.app.gauge-queue", 42.0),
    ("web1_example_com.app-inst.gauge-queue_depth", 3.5),
    ("web1_example_com.app.counter-hits", 6.0),
    ("web1_example_com.interface-eth0.if_octets.rx", 200.0),
    ("web1_example_com.interface-eth0.if_octets.tx", 50.0),
    ("web1_example_com.load.load.shortterm", 0.5),
    ("web1_example_com.load.load.midterm", 0.4),
    ("web1_example_com.load.load.longterm", 0.3),
]


def packets(name: str) -> list[bytes]:
    return [bytes.fromhex(packet["hex"]) for packet in corpus.capture(name)["packets"]]


def bodies(name: str) -> list[bytes]:
    return [packet.partition(b"\r\n\r\n")[2] for packet in packets(name)]


def values(points: list[Point]) -> list[tuple[str, float]]:
    return [(name, value) for name, value, _, _ in points]


def reasons(parsed: Parsed) -> list[str]:
    return [reject.reason for reject in parsed.rejects]


# -- collectd


def test_all_plugins_of_collectd_make_the_same_series() -> None:
    """Binary packets, JSON and commands give what write_graphite gave a Carbon relay."""
    reference = corpus.capture("collectd-graphite-tcp")["reference"]["accepted"]
    assert [(name, value) for name, value, _ in reference] == COLLECTD
    packed = collectd.Receiver()
    found = {
        "packets": [packed.parse(each, NOW) for each in packets("collectd-network")],
        "json": [json_points.parse(each, NOW) for each in bodies("collectd-http-json")],
        "command": [json_points.parse(bodies("collectd-http-command")[0], NOW)]
        + [collectd_putval.parse(each, NOW) for each in bodies("collectd-http-command")[1:]],
    }
    for way, parsed in found.items():
        assert values([p for each in parsed for p in each.points]) == COLLECTD, way
        (event,) = [event for each in parsed for event in each.events]
        assert (event.title, event.timestamp) == ("WARNING: disk full", 1_700_000_000.0), way
        assert not any(each.rejects for each in parsed)


def test_times_of_packets_are_those_of_the_client() -> None:
    """In 2**-30 s; the first total of a counter has no rate."""
    (_, parsed) = [collectd.Receiver().parse(each, NOW) for each in packets("collectd-network")]
    assert {time for _, _, time, _ in parsed.points} == {1_795_390_656.0, 1_795_390_666.0}
    assert parsed.notes == {"no rate yet": 5, "nan": 1}
    assert parsed.lines == 14


def test_signed_packets_are_checked() -> None:
    """By the user's password; a changed byte, another password or no signature: refused."""
    signed = packets("collectd-network-signed")
    door = collectd.Receiver("sign", {"user": "secret"})
    assert values([p for each in signed for p in door.parse(each, NOW).points]) == COLLECTD
    changed = signed[1].replace(b"queue", b"quote", 1)
    assert reasons(door.parse(changed, NOW)) == ["signature"]
    other = collectd.Receiver("sign", {"user": "wrong"})
    assert reasons(other.parse(signed[1], NOW)) == ["signature"]
    stranger = collectd.Receiver("sign", {"somebody": "secret"})
    assert reasons(stranger.parse(signed[1], NOW)) == ["user"]
    plain = packets("collectd-network")[1]
    assert reasons(door.parse(plain, NOW)) == ["unsigned"]
    assert not door.parse(plain, NOW).points
    assert collectd.Receiver().parse(signed[1], NOW).points  # unchecked where no password is set


def encrypted(user: bytes, password: bytes, parts: bytes) -> bytes:
    """A packet as collectd encrypts it."""
    ciphers = pytest.importorskip("cryptography.hazmat.primitives.ciphers")
    start, plain = bytes(range(16)), hashlib.sha1(parts).digest() + parts
    cipher = ciphers.Cipher(
        ciphers.algorithms.AES(hashlib.sha256(password).digest()), ciphers.modes.ECB()
    ).encryptor()
    stream, block = b"", start
    while len(stream) < len(plain):
        block = cipher.update(block)
        stream += block
    hidden = bytes(a ^ b for a, b in zip(plain, stream, strict=False))
    body = struct.pack(">H", len(user)) + user + start + hidden
    return struct.pack(">HH", 0x210, 4 + len(body)) + body


def test_encrypted_packets_are_read() -> None:
    """With the password; another one is noticed."""
    packet = encrypted(b"web", b"pass", packets("collectd-network")[1])
    door = collectd.Receiver("encrypt", {"web": "pass"})
    assert values(door.parse(packet, NOW).points) == COLLECTD
    other = collectd.Receiver("encrypt", {"web": "other"})
    assert reasons(other.parse(packet, NOW)) == ["decryption"]
    assert reasons(door.parse(packets("collectd-network-signed")[1], NOW)) == ["user"]
    assert reasons(door.parse(packets("collectd-network")[1], NOW)) == ["unencrypted"]


def test_a_packet_that_cannot_be_decrypted_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the extra it is refused by name."""
    monkeypatch.setitem(__import__("sys").modules, "cryptography.hazmat.primitives.ciphers", None)
    body = struct.pack(">H", 1) + b"u" + bytes(16 + 20)
    packet = struct.pack(">HH", 0x210, 4 + len(body)) + body
    door = collectd.Receiver("none", {"u": "p"})
    assert reasons(door.parse(packet, NOW)) == ["encrypted_needs_cryptography"]


def part(kind: int, body: bytes) -> bytes:
    return struct.pack(">HH", kind, 4 + len(body)) + body


def total(kind: int, number: int, seconds: float) -> bytes:
    """A packet of one total."""
    texts = ((0, b"h\0"), (2, b"p\0"), (4, b"t\0"))
    return (
        b"".join(part(k, text) for k, text in texts)
        + part(8, struct.pack(">Q", int(seconds * 2**30)))
        + part(6, struct.pack(">HBQ", 1, kind, number % 2**64))
    )


def test_totals_become_rates() -> None:
    """A counter of 32 bits may wrap; what went back has begun anew and has no rate."""
    for kind, totals, rates in (
        (collectd.DERIVE, (100, 160, 10, 20), [6.0, 1.0]),
        (collectd.DERIVE, (-50, -20), [3.0]),
        (collectd.COUNTER, (100, 160, 0, 10), [6.0, 1.0]),
        (collectd.COUNTER, (2**32 - 10, 10), [2.0]),
        (collectd.ABSOLUTE, (50,), [5.0]),
    ):
        door = collectd.Receiver()
        found = [
            point[1]
            for number, each in enumerate(totals)
            for point in door.parse(total(kind, each, 1e9 + 10 * number), NOW).points
        ]
        assert found == rates, (kind, totals)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 500))
def test_no_packet_of_collectd_breaks_anything(noise: bytes, at: int) -> None:
    """Whatever is sent becomes points or a reason."""
    packet = packets("collectd-network")[1]
    door = collectd.Receiver("none", {"user": "secret"})
    for piece in (noise, packet[:at], packet[:at] + noise, packet[:at] + noise + packet[at:]):
        parsed = door.parse(piece, NOW)
        assert all(reject.reason for reject in parsed.rejects)
        assert len(parsed.points) <= parsed.lines


def test_a_command_names_what_is_wrong_with_it() -> None:
    """The lines beside a bad one are read."""
    lines = (
        b'PUTVAL "web1/a b/gauge-x" interval=10 N:1\n'
        b"PUTVAL web1/cpu 1:2\nPUTVAL web1/cpu/idle\nPUTVAL web1/cpu/idle 1795390642:x\nGETVAL a\n"
        b"PUTVAL web1/cpu/idle 1795390642:U\r\n\xff\n"
    )
    parsed = collectd_putval.parse(lines, NOW)
    assert values(parsed.points) == [("web1.a_b.gauge-x", 1.0)]
    assert reasons(parsed) == ["name", "fields", "value", "fields", "encoding"]
    assert parsed.notes == {"nan": 1}


# -- Ganglia


def test_gmetric_is_heard() -> None:
    """Values with the name of a spoofed host; texts are no numbers, totals stand as they are."""
    door = ganglia.Receiver()
    parsed = [door.parse(each, NOW) for each in packets("gmetric")]
    assert [point for each in parsed for point in each.points] == [
        ("web1.temp", 42.5, None, Method.AVERAGE),
        ("web1.hits", 7.0, None, Method.LAST),
        ("spoofed.neg", -3.0, None, Method.AVERAGE),
        ("web1.d", 1e-7, None, Method.AVERAGE),
    ]
    assert not any(each.rejects for each in parsed)
    described = door.description("127.0.0.1:web1", "temp")
    assert described == ganglia.Description("float", "C", "both", "app", "Title", "a description")


def gmond(kind: int, form: str, value: float) -> bytes:
    """A value as gmond itself sends it: a number of its own kind."""
    texts = b"".join(
        struct.pack(">I", len(text)) + text + bytes(-len(text) % 4)
        for text in (b"web2", b"load_one")
    )
    return struct.pack(">I", kind) + texts + struct.pack(">I", 0) + struct.pack(">I", 4) + b"%.2f" \
        + struct.pack(form, value)  # fmt: skip


@each(
    ("kind", "form", "value"),
    [
        (129, ">I", 7),
        (130, ">i", -7),
        (131, ">i", -7),
        (132, ">I", 7),
        (134, ">f", 0.5),
        (135, ">d", 0.1),
    ],
)
def test_gmonds_own_numbers_are_read(kind: int, form: str, value: float) -> None:
    """Short, int, float and double."""
    parsed = ganglia.Receiver().parse(gmond(kind, form, value), NOW)
    assert values(parsed.points) == [("web2.load_one", value)]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 120), st.integers(0, 9))
def test_no_packet_of_ganglia_breaks_anything(noise: bytes, at: int, which: int) -> None:
    """Whatever is sent becomes a point or a reason, and what is remembered is bounded."""
    packet = packets("gmetric")[which]
    door = ganglia.Receiver()
    for piece in (noise, packet[:at] + noise + packet[at:], packet[:at]):
        parsed = door.parse(piece, NOW)
        assert len(parsed.points) <= 1
        assert all(reject.reason for reject in parsed.rejects)


# -- InfluxDB


def test_lines_of_influxdb_keep_their_tags() -> None:
    """collectd's write_influxdb_udp: times in ms are known by their size."""
    parsed = influx.parse(packets("collectd-influx-udp")[0], NOW)
    assert [(name, value, time) for name, value, time, _ in parsed.points][:4] == [
        ("app;host=web1.example.com;type=gauge;type_instance=queue", 42.0, 1_795_390_673.0),
        (
            "app;host=web1.example.com;instance=inst;type=gauge;type_instance=queue_depth",
            3.5,
            1_795_390_673.0,
        ),
        ("app;host=web1.example.com;type=counter;type_instance=hits", 6.0, 1_795_390_683.0),
        ("interface.rx;host=web1.example.com;instance=eth0;type=if_octets", 200.0, 1_795_390_683.0),
    ]
    assert len(parsed.points) == 8


@each(
    ("line", "points"),
    [
        ("m value=1", [("m", 1.0, None)]),
        (
            "m f=1i,g=-2u 1795390642000000000",
            [("m.f", 1.0, 1_795_390_642.0), ("m.g", -2.0, 1_795_390_642.0)],
        ),
        (r"my\ m,a\,b=c\=d f\ 1=.5e1", [("my_m.f_1;a,b=c=d", 5.0, None)]),
        ('m s="a b, c=d",t="\\"",f=1', [("m.f", 1.0, None)]),
        ("m a=t,b=false", [("m.a", 1.0, None), ("m.b", 0.0, None)]),
        ("m f=1 1795390642", [("m.f", 1.0, 1_795_390_642.0)]),
        ("m f=1 1795390642000000", [("m.f", 1.0, 1_795_390_642.0)]),
        ("m=n f=1", [("m=n.f", 1.0, None)]),
        ('m,size=6" f=1,t="a b"', [('m.f;size=6"', 1.0, None)]),
    ],
)
def test_the_grammar_of_influxdb(line: str, points: list[tuple[str, float, float | None]]) -> None:
    """Escapes, texts, booleans, whole numbers, times of any unit."""
    parsed = influx.parse(line.encode(), NOW)
    assert [point[:3] for point in parsed.points] == points
    assert not parsed.rejects


@each(
    ("body", "paths", "rejected"),
    [
        ('m t="a\nb",f=1\nn f=2', ["m.f", "n.f"], 0),
        ('m t="a\n\n#b \\"c\n",f=1 1795390642\nn f=2\n', ["m.f", "n.f"], 0),
        ('m t="a\r\nb",f=1,u="c\nd"\nn f=2', ["m.f", "n.f"], 0),
        ('m t="a\nn f=2\no f=3', ["n.f", "o.f"], 1),
        ('m t="a\nn t="b",f=2\no f=3', ["n.f", "o.f"], 1),
        ('m,size=6" f=1\nm,size=7" f=2', ['m.f;size=6"', 'm.f;size=7"'], 0),
        ('#"\nm f=1\n#"\nn f=2', ["m.f", "n.f"], 0),
    ],
)
def test_texts_of_several_lines(body: str, paths: list[str], rejected: int) -> None:
    """A quoted text may hold line feeds; a quote that is missing costs only its own line."""
    parsed = influx.parse(body.encode(), NOW)
    assert [point[0] for point in parsed.points] == paths
    assert len(parsed.rejects) == rejected


def test_open_quotes_cost_no_more_than_their_lines() -> None:
    """Lines past some that are tried in vain are points of their own; none is lost."""
    lines = 30_000
    pieces = list(influx.pieces(b'm t="x\n' * lines))
    assert b"".join(pieces).count(b"\n") == lines
    assert max(map(len, pieces)) < 10_000


@pytest.mark.parametrize("at_once", [150, 3_000, 100_000])
def test_texts_of_influxdb_may_end_anywhere(hall: Hall, at_once: int) -> None:
    """A text of many lines comes in several reads, is cut nowhere, and costs nothing behind it; a
    quote that is missing costs its own line at once, not what follows it."""
    text = "\n".join(f'line {number} \\"of\\" a, log=' for number in range(150))
    body = f'# it\'s "\nlog,host=a t="{text}",n=1 {NOW:.0f}\nbad t="x,n=2\n' + "good n=3\n" * 600
    body += 'last t="1\n2",n=4\nopen t="x\ny'
    framing, receiver = (
        influx.PointFraming(),
        Receiver(hall.door, influx.parse, hall.intake, hall.clock, cut=influx.pieces),
    )

    def refuse(reason: str, text: bytes) -> None:
        receiver.refuse(reason, text, "")

    data = body.encode()
    for begin in range(0, len(data), at_once):
        for unit in framing.feed(data[begin : begin + at_once], refuse):
            receiver.receive(unit, "")
    assert [s.path for s in hall.scalars] == ["log.n;host=a", *["good.n"] * 600, "last.n"]
    framing.end(refuse)
    assert hall.door.rejects == {"value": 1, "truncated": 1}


@each(
    ("line", "reason"),
    [
        ("m", "fields"),
        ("m f", "fields"),
        ("m f=", "fields"),
        ("m,a= f=1", "tag"),
        ("m,a f=1", "tag"),
        (",a=b f=1", "name"),
        ("m f=x", "value"),
        ("m f=1.5i", "value"),
        ("m f=1_0", "value"),
        ("m f=inf", "nonfinite"),
        ("m f=1 x", "timestamp"),
        ("m f=1 1 1", "fields"),
        ('m f="', "value"),
    ],
)
def test_a_bad_line_of_influxdb_has_a_reason(line: str, reason: str) -> None:
    """And costs only itself."""
    parsed = influx.parse(f"{line}\nok value=1\n".encode(), NOW)
    assert reasons(parsed) == [reason]
    assert values(parsed.points) == [("ok", 1.0)]


def test_a_precision_is_taken_as_said() -> None:
    """Each unit; an unknown one is an error of the request."""
    for unit, number in (
        ("ns", 10**18),
        ("u", 10**15),
        ("ms", 10**12),
        ("s", 10**9),
        ("h", 277_777),
    ):
        (point,) = influx.parse(b"m f=1 %d" % number, NOW, unit).points
        assert point[2] == pytest.approx(1e9, rel=1e-5)
    with pytest.raises(RejectedError, match="precision"):
        influx.parse(b"m f=1", NOW, "y")


# -- OpenTSDB


def test_lines_of_opentsdb_keep_their_tags() -> None:
    """collectd's write_tsdb; a bad line costs only itself."""
    parsed = opentsdb.parse(packets("collectd-tsdb")[0], NOW)
    tags = ";fqdn=web1.example.com;status=production"
    assert [point[:3] for point in parsed.points][:2] == [
        (f"app.queue.gauge{tags}", 42.0, 1_795_390_668.0),
        (f"app.inst.gauge.queue_depth{tags}", 3.5, 1_795_390_668.0),
    ]
    assert (len(parsed.points), parsed.rejects) == (8, [])
    bad = opentsdb.parse(
        b"version\nput a 1 x\nput a x 1\nput a 1 2 b\nput a 1 nan\nput a 1 2\n", NOW
    )
    assert reasons(bad) == ["fields", "value", "timestamp", "tag"]
    assert values(bad.points) == [("a", 2.0)]


# -- Prometheus


def test_a_push_has_the_labels_of_its_address() -> None:
    """Also in base64, where a value has slashes or is empty."""
    first = packets("pypi-prometheus-pushgateway")[0].split()[1].decode()
    group = prometheus_text.group_of(first.removeprefix("/metrics/"))
    assert group == {"job": "batch/A", "empty": "", "instance": "i/1"}
    parsed = prometheus_text.parse(bodies("pypi-prometheus-pushgateway")[0], NOW, group)
    assert parsed.points[0] == (
        'jobs_total;instance=i/1;job=batch/A;k=a"b\\c_d',
        3.0,
        None,
        Method.LAST,
    )
    assert len(parsed.points) == 8
    bad_groups = ("", "job", "job/", "x/y", "job/a/b", "job/a/b-c/d", "job/a/job/b", "job/a/__b/c")
    for bad in (*bad_groups, "job@base64/!", "job@base64/Zm9v!!!!"):
        with pytest.raises(RejectedError, match="group"):
            prometheus_text.group_of(bad)


@each(
    ("line", "name", "value", "time"),
    [
        ("up 1", "up", 1.0, None),
        ("up{} 1 1795390642000", "up", 1.0, 1_795_390_642.0),
        ('a{b="c",d="}",} 2.5', "a;b=c;d=}", 2.5, None),
        ('a { b = "x y" } 3', "a;b=x_y", 3.0, None),
        ('a_bucket{le="+Inf"} 4 # {trace="x"} 0.5', "a_bucket;le=+Inf", 4.0, None),
        ('a{b="~x;y",c=""} 1e3', "a;b=x_y", 1_000.0, None),
        ('{"name with.dots", label="x"} 1', "name_with.dots;label=x", 1.0, None),
        ('{"a\\"b;c}"} 2 1795390642000', 'a"b_c_', 2.0, 1_795_390_642.0),
        ('{ "ü.x" , "a.label"="y", b="z", } 3', "ü.x;a.label=y;b=z", 3.0, None),
        ('a{"http.status=x"="200"} 4', "a;http.status_x=200", 4.0, None),
    ],
)
def test_samples_of_prometheus(line: str, name: str, value: float, time: float | None) -> None:
    """Labels, escapes, times in ms, exemplars."""
    (point,) = prometheus_text.parse(line.encode(), NOW).points
    assert point[:3] == (name, value, time)


@each(
    ("line", "reason"),
    [
        ("up", "fields"),
        ("1up 1", "fields"),
        ('up{a="b 1', "fields"),
        ("up{a=b} 1", "tag"),
        ("up x", "value"),
        ("up 1 2 3", "fields"),
        ("up 1 x", "timestamp"),
        ('{label="x"} 1', "name"),
        ("{} 1", "name"),
        ('up{"other"} 1', "name"),
        ('{"a","b"} 1', "tag"),
        ('{""} 1', "name"),
        ('{"a} 1', "fields"),
    ],
)
def test_a_bad_sample_has_a_reason(line: str, reason: str) -> None:
    """NaN and infinities are none: they are values there, of which no chart can be made."""
    parsed = prometheus_text.parse(f"{line}\nnone NaN\nlowest +Inf\n".encode(), NOW)
    assert reasons(parsed) == [reason]
    assert not parsed.points
    assert parsed.notes == {"nan": 1, "infinite": 1}


# -- JSON


def test_kairosdbs_datapoints_keep_their_tags() -> None:
    """As collectd's write_http sends them with `Format KAIROSDB`."""
    _, body = bodies("collectd-http-kairosdb")
    parsed = json_points.parse(body, NOW)
    assert len(parsed.points) == 8
    assert parsed.points[0][:3] == (
        "collectd.app;host=web1.example.com;type=gauge;type_instance=queue",
        42.0,
        1_795_390_646.0,
    )


@each(
    ("given", "reason"),
    [
        ({"value": 1}, "name"),
        ({"path": "a"}, "no_value"),
        ({"name": "a", "fields": {}}, "fields"),
        ({"name": "a", "fields": {"b": [1]}}, "value"),
        ({"path": 5, "value": 1}, "name"),
        ({"path": "a", "value": True}, "value"),
        ({"path": "a", "value": [1]}, "value"),
        ({"path": "a", "value": "x"}, "value"),
        ({"path": "a", "value": 10**400}, "nonfinite"),
        ({"path": "a", "value": 1, "timestamp": "soon"}, "timestamp"),
        ({"path": "a", "value": 1, "timestamp": 10**400}, "timestamp"),
        ({"path": "a", "value": 1, "tags": 5}, "tag"),
        ({"path": "a", "value": 1, "tags": {"a": {"b": 1}}}, "tag"),
        ({"name": "a", "datapoints": [[1]]}, "fields"),
        ({"plugin": "p", "values": []}, "value"),
        ({"plugin": "p", "values": [1]}, "name"),
        ({"labels": {}, "annotations": {}}, "name"),
        ({"labels": [], "annotations": {}}, "fields"),
    ],
)
def test_a_bad_object_has_a_reason(given: dict[str, Any], reason: str) -> None:
    """And costs only itself."""
    body = json.dumps([given, {"path": "ok", "value": 1}]).encode()
    parsed = json_points.parse(body, NOW)
    assert reasons(parsed) == [reason]
    assert values(parsed.points) == [("ok", 1.0)]


KEYS = [
    *("path", "name", "value", "timestamp", "tags", "values", "plugin", "host", "type"),
    *("datapoints", "labels", "annotations", "dsnames", "startsAt", "alertname", "time"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("parse", "body"),
    [
        (influx.parse, 'cpu,host=web1 idle=98.5,up=t,os="x",value=3i 1795391800000000000'),
        (
            carbon.parse,
            "metric=cpu field=idle host=web1  98.5 1795391800\n"
            "metric=cpu field=up host=web1  1 1795391800\nmetric=cpu host=web1  3 1795391800",
        ),
        (
            carbon.parse,
            "cpu.idle;host=web1 98.5 1795391800\ncpu.up;host=web1 1 1795391800\n"
            "cpu;host=web1 3 1795391800",
        ),
        (
            json_points.parse,
            '{"metrics": [{"fields": {"idle": 98.5, "up": true, "os": "x", "value": 3}, '
            '"name": "cpu", "tags": {"host": "web1"}, "timestamp": 1795391800}]}',
        ),
        (
            json_points.parse,
            '{"name": "cpu.idle", "value": 98.5, "tags": {"host": "web1"}, '
            '"timestamp": "2026-11-22T23:56:40Z"}\r\n\r\n'
            '{"name": "cpu.up", "value": 1, "tags": ["host=web1"], "timestamp": 1795391800}\r\n'
            '{"name": "cpu", "value": 3, "tags": ["host:web1"], "timestamp": 1795391800}\r\n',
        ),
    ],
    ids=["influx", "carbon2", "graphite", "json", "lines-of-json"],
)
def test_a_metric_is_the_same_series_in_every_format(
    parse: Callable[[bytes, float], Parsed], body: str
) -> None:
    """As Telegraf's outputs write it, and devices by hand: an object a line."""
    parsed = parse(body.encode(), NOW)
    assert [point[:3] for point in parsed.points] == [
        ("cpu.idle;host=web1", 98.5, 1795391800.0),
        ("cpu.up;host=web1", 1.0, 1795391800.0),
        ("cpu;host=web1", 3.0, 1795391800.0),
    ]
    assert not parsed.rejects


def test_a_bad_line_among_objects_costs_only_itself() -> None:
    """It is refused with its text."""
    parsed = json_points.parse(b'{"name":"a","value":1}\n{"name":\n7\n{"name":"b","value":2}', NOW)
    assert values(parsed.points) == [("a", 1.0), ("b", 2.0)]
    assert [(reject.reason, reject.text) for reject in parsed.rejects] == [
        ("json", '{"name":'),
        ("json", "7"),
    ]


@settings(max_examples=60, deadline=None)
@given(JSON)
def test_no_json_breaks_anything(given: object) -> None:
    """Whatever shape it has: points, reasons, or one error for the whole body."""
    try:
        parsed = json_points.parse(json.dumps(given, allow_nan=True).encode(), NOW)
    except json_points.MalformedError:
        return
    assert all(value - value == 0.0 for _, value, _, _ in parsed.points)


@settings(max_examples=60, deadline=None)
@given(st.text(st.sampled_from('ab,= "\\{}#;~.0179+-eiutI\n\t\x00é'), max_size=60))
@pytest.mark.parametrize(
    "parse",
    [influx.parse, prometheus_text.parse, collectd_putval.parse, opentsdb.parse, carbon.parse],
)
def test_no_line_breaks_anything(parse: Callable[[bytes, float], Parsed], text: str) -> None:
    """Every line that is not blank is a point, a note or a reason."""
    parsed = parse(text.encode(), NOW)
    assert len(parsed.rejects) <= parsed.lines


def test_signatures_cover_what_follows() -> None:
    """The one of the capture is that of its user's name and the rest of the packet."""
    packet = packets("collectd-network-signed")[1]
    expected = hmac.new(b"secret", packet[36:], hashlib.sha256).digest()
    assert packet[4:36] == expected


# -- addresses


def test_uwsgis_totals_are_counted_as_what_they_grew_by() -> None:
    """Each push repeats the total; a worker that was started anew begins at zero."""
    parse = PROTOCOLS["uwsgi"].parser({})
    grown: dict[str, float] = {}
    for packet in packets("uwsgi-statsd"):
        for kind, name, value, _ in parse(packet, NOW).samples:
            if kind == "c":
                grown[name] = grown.get(name, 0.0) + float(value)
    assert grown["myapp.worker.1.requests"] == 3.0  # pushed as 0, 3, 3 and 3: StatsD counts 9
    for total, expected in ((5, 2.0), (5, 0.0), (1, 1.0)):
        (sample,) = parse(b"myapp.worker.1.requests:%d|c" % total, NOW).samples
        assert sample[2] == expected
    (gauge,) = parse(b"myapp.core.idle_workers:4|g", NOW).samples
    assert gauge[2] == 4.0


def test_gunicorns_statistics_are_plain_statsd() -> None:
    """Every line of the capture is a sample."""
    parse = PROTOCOLS["gunicorn"].parser({})
    samples = [
        sample for packet in packets("gunicorn-statsd") for sample in parse(packet, NOW).samples
    ]
    assert sum(value for _, name, value, _ in samples if name == "myapp.gunicorn.requests") == 3.0  # type: ignore[misc]
    assert {kind for kind, *_ in samples} == {"c", "g", "ms"}


def test_collectds_users_come_from_a_file(make: Callable[..., Monitor], tmp_path: Path) -> None:
    """An option that cannot be kept is an error at the start, and no password is in the address."""
    users = tmp_path / "users"
    for options, why in (
        ("security=much", "expected one of"),
        ("security=sign", "needs auth_file"),
        (f"security=sign&auth_file={users}", "No such file"),
    ):
        with pytest.raises(ConfigError, match=why):
            make(listen=[f"collectd://127.0.0.1:1?{options}"])
    users.write_text("# users\nweb: a secret\n\n")
    assert collectd.parse_passwords(users.read_text()) == {"web": "a secret"}
    make(listen=[f"collectd://127.0.0.1:1?security=sign&auth_file={users}"])
