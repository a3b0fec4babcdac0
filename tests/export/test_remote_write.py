"""Remote write: what arrives is what was meant, read by the letter of the two formats."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from inapp_monitor.export import progress_file, remote_write
from inapp_monitor.export.forwarding import Forwarder
from inapp_monitor.export.handing_over import hand_over
from inapp_monitor.export.identity import Identity
from inapp_monitor.export.metrics_channel import MetricsChannel
from inapp_monitor.export.past_to_prometheus import RemoteWrite
from inapp_monitor.export.remote_write_sender import RemoteWriteSender
from inapp_monitor.ground.destination import parse, parse_url
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Batch, Distribution, Method, Scalar
from inapp_monitor.store.series import Store
from inapp_monitor.testing import FakeClock
from tests.export.peers import Posts

_Series = tuple[dict[str, str], list[tuple[float, int]]]


def number(data: bytes, at: int) -> tuple[int, int]:
    """A varint, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def unframed(block: bytes) -> bytes:
    """Snappy's block format, as far as literals of it go."""
    size, at = number(block, 0)
    data = b""
    while at < len(block):
        tag = block[at]
        assert tag & 3 == 0, "a copy, which is none of a literal's tags"
        length, at = tag >> 2, at + 1
        if length >= 60:
            more = length - 59
            length, at = int.from_bytes(block[at : at + more], "little"), at + more
        data += block[at : at + length + 1]
        at += length + 1
    assert len(data) == size
    return data


def fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """The fields of a message of Protocol Buffers."""
    at = 0
    while at < len(data):
        key, at = number(data, at)
        if key & 7 == 2:
            length, at = number(data, at)
            value: bytes | int = data[at : at + length]
            at += length
        elif key & 7 == 1:
            value, at = data[at : at + 8], at + 8
        else:
            assert key & 7 == 0
            value, at = number(data, at)
        yield key >> 3, value
    assert at == len(data)


def requested(data: bytes) -> list[_Series]:
    """The series of a `WriteRequest`."""
    found = []
    for field, one in fields(data):
        assert field == 1
        assert isinstance(one, bytes)
        labels: list[tuple[str, str]] = []
        samples: list[tuple[float, int]] = []
        for kind, part in fields(one):
            assert isinstance(part, bytes)
            both = dict(fields(part))
            first, second = both[1], both[2]
            assert isinstance(first, bytes)
            if kind == 1:
                assert isinstance(second, bytes)
                labels.append((first.decode(), second.decode()))
            else:
                assert isinstance(second, int)
                samples.append((struct.unpack("<d", first)[0], second))
        assert labels == sorted(labels), "the specification wants them sorted"
        found.append((dict(labels), samples))
    return found


@settings(max_examples=20)
@given(
    st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True), st.text()),
    st.lists(st.tuples(st.floats(allow_nan=False), st.integers(0, 2**40)), max_size=5),
    st.integers(0, 3),
)
def test_any_series_is_read_back(
    labels: dict[str, str], samples: list[tuple[float, int]], many: int
) -> None:
    """Labels, values and moments, in blocks of any length."""
    labels.pop("__name__", None)
    moments = remote_write.timestamps([time for _, time in samples])
    values = [value for value, _ in samples]
    one = remote_write.series("orders_total", tuple(labels.items()), values, moments)
    times = many * 70_000 // len(one) + 1
    found = requested(unframed(remote_write.framed(one * times)))
    texts = {name: text.encode("utf-8", "replace").decode() for name, text in labels.items()}
    meant = ({"__name__": "orders_total", **texts}, [(v, t * 1_000) for v, t in samples])
    assert found == [meant] * times


def test_the_past_arrives_once_and_grows(store: Store, data_dir: Path, clock: FakeClock) -> None:
    """Counters and histograms as totals, gauges as they were, by the headers of the protocol."""
    for n in range(5):
        moment = int(clock.now)
        numbers = [Scalar("orders", moment, 2.0, Method.SUM), Scalar("q", moment, n, Method.LAST)]
        store.add(Batch(numbers, [Distribution("pay", moment, Histogram.of([40.0]))]))
        store.flush()
        clock.advance(60.0)
    clock.advance(300.0)
    posts = Posts()
    try:
        receiver = RemoteWrite(parse_url(f"http://127.0.0.1:{posts.port}/api/v1/write"), {})
        hand_over(store, receiver, data_dir / "s", int(clock.now), lambda *_: None)
    finally:
        posts.stop()
    ((path, headers, body),) = posts.bodies
    assert path == "/api/v1/write"
    assert headers["content-encoding"] == "snappy"
    assert headers["x-prometheus-remote-write-version"] == "0.1.0"
    found = {(s["__name__"], s.get("le", "")): samples for s, samples in requested(unframed(body))}
    assert found["orders_total", ""][-1][0] == 10.0
    assert [value for value, _ in found["q", ""]] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert found["pay_seconds_bucket", "0.05"][-1][0] == found["pay_seconds_count", ""][-1][0] == 5
    assert found["pay_seconds_bucket", "0.025"][-1][0] == 0
    for samples in found.values():
        assert [time for _, time in samples] == sorted({time for _, time in samples})


def test_live_counters_grow_over_outages_refusals_and_kills(
    store: Store, data_dir: Path, clock: FakeClock
) -> None:
    """Each moment once, as totals that miss nothing, whenever the process was killed."""
    posts = Posts()
    destination = parse(f"prometheus://127.0.0.1:{posts.port}")
    identity = Identity("shop", "", "", data_dir, "1")
    place = data_dir / "export" / "peer"

    def begun() -> tuple[Forwarder, MetricsChannel]:
        sender = RemoteWriteSender(destination, identity, store, clock)
        channel = MetricsChannel(store, sender)
        return Forwarder(lambda: channel, place, clock, "test", lambda _: None), channel

    forwarder, channel = begun()
    forwarder.step(channel)
    taken: list[bytes] = []
    try:
        for n in range(30):
            moment = int(clock.now)
            timer = Distribution("pay", moment, Histogram.of([40.0]))
            store.add(Batch([Scalar("orders", moment, 2.0, Method.SUM)], [timer]))
            store.flush()
            clock.advance(70.0)
            is_down = n % 7 == 3
            posts.answer = lambda _, down=is_down: (503 if down else 204, {}, b"")  # type: ignore[misc]
            before = progress_file.load(place)
            while forwarder.step(channel):
                pass
            taken += [] if is_down else [body for _, _, body in posts.bodies]
            posts.bodies.clear()
            if n % 5 == 4:  # killed after the peer had it, before the position was noted
                progress_file.save(place, before)
                forwarder, channel = begun()
    finally:
        posts.stop()
    found: dict[tuple[str, str], list[tuple[float, int]]] = {}
    for body in taken:
        for labels, samples in requested(unframed(body)):
            found.setdefault((labels["__name__"], labels.get("le", "")), []).extend(samples)
    for samples in found.values():
        times = [time for _, time in samples]
        assert times == sorted(set(times))
        assert [value for value, _ in samples] == sorted(value for value, _ in samples)
    assert found["orders_total", ""][0][0] == 0.0
    assert found["orders_total", ""][-1][0] == 60.0
    assert found["pay_seconds_bucket", "0.05"][-1][0] == found["pay_seconds_count", ""][-1][0] == 30
