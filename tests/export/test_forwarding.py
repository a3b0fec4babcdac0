"""The forwarder: everything arrives once, whatever the peer does, and what is lost is counted."""

from __future__ import annotations

import json
import os
import pickle
import resource
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inapp_monitor import ConfigError, Monitor
from inapp_monitor.export import forwarding, portions
from inapp_monitor.export.carbon_connection import CarbonConnection
from inapp_monitor.export.carbon_lines import Naming, as_lines, as_pickles, points_of
from inapp_monitor.export.carbon_sender import CarbonSender
from inapp_monitor.export.channel import Channel, Work
from inapp_monitor.export.exporting import Exporting
from inapp_monitor.export.forwarding import Forwarder
from inapp_monitor.export.identity import Identity
from inapp_monitor.export.metrics_channel import MetricsChannel
from inapp_monitor.export.otlp_sender import OtlpSender
from inapp_monitor.ground.destination import parse, parse_destinations
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Batch, Distribution, Method, Scalar
from inapp_monitor.store.series import Store
from inapp_monitor.testing import FakeClock
from tests.each import each
from tests.export.conftest import visit
from tests.export.peers import Carbon, Posts, black_hole, door_slammer


@pytest.fixture
def carbon() -> Iterator[Carbon]:
    peer = Carbon()
    peer.start()
    yield peer
    peer.stop()


@pytest.fixture
def posts() -> Iterator[Posts]:
    peer = Posts()
    yield peer
    peer.stop()


class Relay:
    """A forwarder whose rounds the test makes itself."""

    def __init__(self, channel: Channel, data_dir: Path, clock: FakeClock) -> None:
        self.channel = channel
        self.clock = clock
        self.failures: list[Exception] = []
        self.written: list[OSError | None] = []
        self.forwarder = Forwarder(
            lambda: channel,
            data_dir / "export" / "peer",
            clock,
            "test",
            self.failures.append,
            self.written.append,
        )
        self.forwarder.step(channel)

    def run(self) -> None:
        """Rounds until nothing is left to do now."""
        while self.forwarder.step(self.channel):
            pass


def relay_of(store: Store, address: str, data_dir: Path, clock: FakeClock) -> Relay:
    destination = parse(address)
    identity = Identity("shop", "production", "1.0", data_dir, "0.1")
    sender: Any = (
        CarbonSender(destination)
        if destination.kind == "carbon"
        else OtlpSender(destination, identity, clock)
    )
    return Relay(MetricsChannel(store, sender), data_dir, clock)


def ten_seconds(store: Store, clock: FakeClock, value: float) -> None:
    """What happens in one interval."""
    moment = int(clock.now)
    scalars = [
        Scalar("orders", moment, value, Method.SUM),
        Scalar("queue.size", moment, value / 2, Method.LAST),
    ]
    store.add(Batch(scalars, [Distribution("pay", moment, Histogram.of([value, 2 * value]))]))
    store.flush()
    clock.advance(10.0)


def eventually_complete(carbon: Carbon, count: int) -> list[tuple[str, float, int]]:
    """The lines once so many have come: the peer's system has them, its program reads them."""
    for _ in range(200):
        if carbon.received.count(b"\n") >= count:
            break
        threading.Event().wait(0.01)
    return carbon.points()


def test_every_closed_interval_arrives_once(
    store: Store, carbon: Carbon, data_dir: Path, clock: FakeClock
) -> None:
    """Sums, gauges and the statistics of timers, at the time at which their interval begins."""
    relay = relay_of(store, f"carbon://127.0.0.1:{carbon.port}?prefix=shop", data_dir, clock)
    for number in range(1, 9):
        ten_seconds(store, clock, float(number))
        relay.run()
    clock.advance(30.0)
    relay.run()
    points = eventually_complete(carbon, 8 * 15)
    assert len(points) == len(set(points)) == 8 * 15
    begin = 1_800_000_010
    orders = [(value, at) for path, value, at in points if path == "shop.orders"]
    assert sorted(orders) == [(float(n), begin + 10 * (n - 1)) for n in range(1, 9)]
    sums = {value for path, value, _ in points if path == "shop.pay.sum"}
    assert sums == {3.0 * n for n in range(1, 9)}
    progress = relay.forwarder.progress()
    assert (progress.sent, progress.dropped, progress.waiting_s) == (8 * 3, 0, 0.0)


def test_a_peer_that_is_away_for_an_hour_misses_nothing(
    store: Store, carbon: Carbon, data_dir: Path, clock: FakeClock
) -> None:
    """The store is the queue; the pauses between attempts grow, and a new process goes on."""
    address = f"carbon://127.0.0.1:{carbon.port}"
    relay = relay_of(store, address, data_dir, clock)
    carbon.stop()
    for number in range(120):
        ten_seconds(store, clock, 1.0 + number)
        clock.advance(20.0)
        relay.run()
    progress = relay.forwarder.progress()
    assert 40 <= progress.failures <= 80
    assert progress.waiting_s >= 3_500
    assert "refused" in progress.last_error.lower()
    carbon.start()
    restarted = relay_of(store, address, data_dir, clock)
    clock.advance(60.0)
    restarted.run()
    points = eventually_complete(carbon, 118 * 15)
    orders = sorted(value for path, value, _ in points if path == "orders")
    assert orders == [1.0 + n for n in range(120)]
    counts = [value for path, value, _ in points if path == "pay.count"]
    # Timers are kept in steps of ten seconds for an hour: the minute that was begun is cut.
    assert 2 * 120 - 2 * 2 <= sum(counts) <= 2 * 120
    assert restarted.forwarder.progress().dropped == 0


def test_what_is_older_than_what_is_kept_is_dropped_and_counted(
    store: Store, carbon: Carbon, data_dir: Path, clock: FakeClock
) -> None:
    """A peer that is away for longer than the finest archive loses the beginning."""
    relay = relay_of(store, f"carbon://127.0.0.1:{carbon.port}", data_dir, clock)
    ten_seconds(store, clock, 1.0)
    clock.advance(8 * 3_600.0)
    ten_seconds(store, clock, 2.0)
    clock.advance(30.0)
    relay.run()
    points = eventually_complete(carbon, 15)
    assert [value for path, value, _ in points if path == "orders"] == [2.0]
    assert relay.forwarder.progress().dropped == pytest.approx(2 * 360, abs=10)
    assert relay.forwarder.dropped == relay.forwarder.progress().dropped


def test_a_peer_that_never_reads_takes_nothing(
    store: Store, data_dir: Path, clock: FakeClock
) -> None:
    """What fits into its system's buffer does not count as sent unless that confirms it."""
    with black_hole() as port:
        connection = CarbonConnection("127.0.0.1", port, timeout_s=0.2)
        with pytest.raises(OSError, match="timed out"):
            connection.send([b"x" * 2**22])
    with door_slammer() as port:
        relay = relay_of(store, f"carbon://127.0.0.1:{port}", data_dir, clock)
        ten_seconds(store, clock, 1.0)
        clock.advance(30.0)
        for _ in range(5):  # the first bytes into a connection that is closed are confirmed
            relay.run()
            clock.advance(120.0)
        assert relay.forwarder.progress().failures or relay.forwarder.progress().sent


class _Hangs:
    """A channel whose peer does not answer for a while."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.seen: list[float] = []
        self.watch: Any = None

    def beginning(self, now: float) -> int:
        return int(now)

    def next(self, position: int, now: float) -> Work | None:
        return Work(position + 1, 1, "something")

    def send(self, payload: object) -> int:
        self.clock.advance(60.0)
        self.seen.append(self.watch())
        return 0

    def waiting(self, position: int, now: float) -> tuple[float, int]:
        return 0.0, 0

    def close(self) -> None: ...


def test_a_peer_that_is_waited_for_is_shown(data_dir: Path, clock: FakeClock) -> None:
    """While a call hangs, the delay that people see grows; afterwards it is over."""
    channel = _Hangs(clock)
    forwarder = Forwarder(lambda: channel, data_dir / "x", clock, "test", lambda _: None)
    channel.watch = lambda: (forwarder.progress().waiting_s, forwarder.hangs_s())
    forwarder.step(channel)
    assert channel.seen == [(60.0, 60.0)]
    assert (forwarder.progress().waiting_s, forwarder.hangs_s()) == (0.0, 0.0)


def test_a_full_disk_does_not_stop_the_relay(
    store: Store, carbon: Carbon, data_dir: Path, clock: FakeClock
) -> None:
    """The position stays in memory; it is shown, and nothing is sent twice while it runs."""
    relay = relay_of(store, f"carbon://127.0.0.1:{carbon.port}", data_dir, clock)
    ten_seconds(store, clock, 1.0)
    clock.advance(30.0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        relay.run()
        relay.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert any(relay.written)
    assert len(eventually_complete(carbon, 15)) == 15
    ten_seconds(store, clock, 2.0)
    clock.advance(30.0)
    relay.run()
    assert relay.written[-1] is None


def test_otlp_arrives_once_in_both_encodings(
    store: Store, posts: Posts, data_dir: Path, clock: FakeClock
) -> None:
    """Deltas with their interval; 503 and 429 are tried again when the peer says, 400 never."""
    answers = {0: (503, {"Retry-After": "7"}, b""), 1: (200, {}, b""), 2: (400, {}, b"no")}
    posts.answer = lambda number: answers.get(number, (200, {}, b""))
    relay = relay_of(store, f"otlp://127.0.0.1:{posts.port}?encoding=json", data_dir, clock)
    ten_seconds(store, clock, 3.0)
    clock.advance(20.0)
    relay.run()
    clock.advance(6.0)
    relay.run()
    assert len(posts.bodies) == 1  # it was asked for seven seconds
    clock.advance(2.0)
    relay.run()
    ten_seconds(store, clock, 5.0)
    clock.advance(20.0)
    relay.run()
    progress = relay.forwarder.progress()
    assert (progress.sent, progress.dropped, len(posts.bodies)) == (3, 3, 3)
    assert progress.last_error.startswith("HTTP 400")
    path, headers, body = posts.bodies[1]
    assert (path, headers["content-type"]) == ("/v1/metrics", "application/json")
    document = json.loads(body)["resourceMetrics"][0]
    metrics = {m["name"]: m for m in document["scopeMetrics"][0]["metrics"]}
    point = metrics["orders"]["sum"]["dataPoints"][0]
    assert point["asDouble"] == 3.0
    assert int(point["timeUnixNano"]) - int(point["startTimeUnixNano"]) == 10 * 10**9
    assert metrics["pay"]["exponentialHistogram"]["dataPoints"][0]["count"] == "2"


def test_a_partial_success_is_a_partial_loss(
    store: Store, posts: Posts, data_dir: Path, clock: FakeClock
) -> None:
    """Points that the collector rejected are counted as dropped; the portion is not repeated."""
    posts.answer = lambda _: (
        200,
        {"Content-Type": "application/json"},
        b'{"partialSuccess": {"rejectedDataPoints": "2"}}',
    )
    relay = relay_of(store, f"otlp://127.0.0.1:{posts.port}", data_dir, clock)
    ten_seconds(store, clock, 3.0)
    clock.advance(30.0)
    relay.run()
    relay.run()
    assert len(posts.bodies) == 1
    assert (relay.forwarder.progress().sent, relay.forwarder.progress().dropped) == (1, 2)


def test_an_error_arrives_as_an_envelope(data_dir: Path, posts: Posts) -> None:
    """Scrubbed, with its stack, by the running monitor; the peer is asked once an event."""
    address = f"http://public-key@127.0.0.1:{posts.port}/sub/7"
    monitor = Monitor(
        _fails, data_dir=data_dir, token="0123456789", collect_process=False, collect_host=False,
        forward=[address], flush_interval_s=0.05,
    )  # fmt: skip
    try:
        visit(monitor, "/first")
        _wait_for(lambda: (data_dir / "export").is_dir() and any((data_dir / "export").iterdir()))
        visit(monitor, "/second")
        _wait_for(lambda: posts.bodies)
    finally:
        monitor.close()
    path, headers, body = posts.bodies[-1]
    assert path == "/sub/api/7/envelope/"
    assert "sentry_key=public-key" in headers["x-sentry-auth"]
    head, item, event = map(json.loads, body.splitlines())
    assert (item["type"], head["event_id"]) == ("event", event["event_id"])
    assert item["length"] == len(body.splitlines()[2])
    raised = event["exception"]["values"]
    assert [each["type"] for each in raised] == ["KeyError", "ValueError"]
    frame = raised[-1]["stacktrace"]["frames"][-1]
    assert frame["context_line"].strip().startswith("raise ValueError")
    assert "hunter2" not in body.decode()
    assert frame["vars"]["password"]
    assert event["request"]["url"].endswith(("/first", "/second"))
    assert len(posts.bodies) == len({json.loads(b.splitlines()[0])["event_id"]
                                     for _, _, b in posts.bodies})  # fmt: skip


def _fails(environ: Any, start_response: Any) -> list[bytes]:
    password = "hunter2" * len(environ["PATH_INFO"][:1])
    try:
        {}["nothing"]
    except KeyError as error:
        raise ValueError("not to be had", len(password)) from error
    return []


def _wait_for(condition: Any) -> None:
    for _ in range(500):
        if condition():
            return
        threading.Event().wait(0.02)
    raise AssertionError("it did not happen")


def test_the_app_does_not_feel_a_peer_that_hangs(data_dir: Path) -> None:
    """A black hole holds up the forwarder's thread alone; the end of the process waits for none."""
    with black_hole() as port:
        monitor = Monitor(
            lambda environ, start: [b""], data_dir=data_dir, token="0123456789",
            forward=[f"carbon://127.0.0.1:{port}", f"otlp://127.0.0.1:{port}"],
            collect_process=False, collect_host=False, flush_interval_s=0.05,
        )  # fmt: skip
        visit(monitor, "/")
        _wait_for(lambda: any(t.name == "inapp-monitor-otlp" for t in threading.enumerate()))
        monitor.close()
    _wait_for(lambda: not any(t.name == "inapp-monitor-otlp" for t in threading.enumerate()))


def test_a_child_process_forwards_nothing_until_it_leads(
    store: Store, data_dir: Path, clock: FakeClock
) -> None:
    """Threads and connections of the parent are not touched in a forked child."""
    from inapp_monitor.database.file import Database
    from inapp_monitor.ground import config
    from inapp_monitor.ground.guard import Guard

    given = {"data_dir": data_dir, "forward": "carbon://127.0.0.1:1"}
    settings = config.load(given, None, {}).settings
    database = Database(data_dir, settings, clock, Guard())
    exporting = Exporting(settings, store, database, clock, Guard())
    exporting.tick(is_leader=True)
    child = os.fork()
    if not child:
        exporting.forked()
        exporting.tick(is_leader=False)
        os._exit(0 if threading.active_count() == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    exporting.stop()


def test_a_peer_that_stays_away_is_a_fault_until_it_is_back(
    store: Store,
    carbon: Carbon,
    data_dir: Path,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Shown on the overview after some failures in a row; the leader's series say the same."""
    from inapp_monitor.database.file import Database
    from inapp_monitor.ground import config
    from inapp_monitor.ground.guard import Guard

    monkeypatch.setattr(forwarding, "POLL_S", 0.02)
    carbon.stop()
    given = {"data_dir": data_dir, "forward": f"carbon://127.0.0.1:{carbon.port}"}
    settings = config.load(given, None, {}).settings
    guard = Guard()
    exporting = Exporting(settings, store, Database(data_dir, settings, clock, guard), clock, guard)
    exporting.tick(is_leader=True)
    try:
        part = f"export to carbon://127.0.0.1:{carbon.port}"

        def has_fault(wanted: bool) -> bool:
            store.add(Batch([Scalar("n", int(clock.now), 1.0, Method.SUM)], []))
            store.flush()
            clock.advance(70.0)
            exporting.scalars(int(clock.now))
            return (part in guard.faults) is wanted

        _wait_for(lambda: has_fault(True))
        names = {scalar.path.rpartition(".")[2] for scalar in exporting.scalars(int(clock.now))}
        assert names == {"lag_s", "failures", "sent"}
        carbon.start()
        _wait_for(lambda: has_fault(False))
        _wait_for(lambda: exporting.rows()[0]["state"] == "ok")  # not amid a send
    finally:
        exporting.stop()


@each(
    "bad",
    [
        "carbon://", "ftp://host", "carbon://host:99999", "carbon://host/path", "https://host/1",
        "https://key@host", "https://key@host/shop", "carbon://h?protocol=xml", "otlp://h?what=1",
        "carbon://h,carbon://h", "otlp://[::1", "otlp://h?bearer=key@\u20ac", "otlp://h/\u20ac",
        "https://key@x%0aHost:y@host/1", "prometheus://h/a b",
    ],
)  # fmt: skip
def test_a_bad_address_is_named_at_the_start(bad: str, data_dir: Path) -> None:
    """It is an error of the configuration, and says what was expected; keys are not repeated."""
    with pytest.raises(ConfigError, match="forward") as caught:
        Monitor(_fails, data_dir=data_dir, forward=bad)
    assert "key@" not in str(caught.value)


def test_no_secret_is_shown() -> None:
    """Labels, names of series and representations carry neither key nor password."""
    for text in (
        "https://abcdef@host/1",
        "otlp://user:abcdef@host",
        "otlp://h?bearer=abcdef",
        "prometheuss://host/abcdef/api/v1/push",
        "otlps://host/v1/otlp/abcdef",
        "https://key@host/abcdef/1",
    ):
        destination = parse(text)
        assert "abcdef" not in destination.label + destination.node + repr(destination)
    assert parse("prometheus://h/api/v1/write").node == "prometheus_h_9090_api_v1_write"
    assert parse("prometheus://h/api/v1/write").label == "prometheus://h:9090/api/v1/write"
    assert parse("prometheus://h/abcdef/push").label == "prometheus://h:9090/…/push"
    assert parse("prometheus://h/abcdef/push").node != parse("prometheus://h/abcdeg/push").node
    assert parse_destinations("carbon://a, carbon://b:1") == ("carbon://a", "carbon://b:1")


_NUMBERS = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=30)


@settings(max_examples=30)
@given(_NUMBERS)
def test_both_protocols_of_carbon_say_the_same(values: list[float]) -> None:
    """Lines and pickles hold the same points, and floats as they are."""
    portion = portions.Portion(0, 10)
    portion.counted.append(portions.Counted("t;a=b", 0, 10, Histogram.of(values)))
    portion.numbers += [
        portions.Number(f"n{i}/x", Method.SUM, 10 * i, 10, v) for i, v in enumerate(values)
    ]
    points = list(points_of(portion, Naming("p")))
    lines = b"".join(as_lines(points)).decode().splitlines()
    read = [(path, int(at), float(value)) for path, value, at in map(str.split, lines)]
    messages = b"".join(as_pickles(points))
    unpickled = []
    while messages:
        (size,) = struct.unpack("!L", messages[:4])
        unpickled += [(p, at, v) for p, (at, v) in pickle.loads(messages[4 : 4 + size])]
        messages = messages[4 + size :]
    assert read == points == unpickled
    assert ("p.t.count;a=b", 0, float(len(values))) in points


def test_statsd_names() -> None:
    """Those of StatsD's graphite back end."""
    portion = portions.Portion(0, 10)
    portion.numbers.append(portions.Number("orders", Method.SUM, 0, 10, 5.0))
    portion.numbers.append(portions.Number("size", Method.LAST, 0, 10, 5.0))
    portion.counted.append(portions.Counted("pay", 0, 10, Histogram.of([4.0])))
    points = {path: value for path, _, value in points_of(portion, Naming(statsd=True))}
    assert points["stats.counters.orders.count"] == 5.0
    assert points["stats.counters.orders.rate"] == 0.5
    assert points["stats.gauges.size"] == 5.0
    assert points["stats.timers.pay.upper_90"] == 4.0
    assert points["stats.timers.pay.count_ps"] == 0.1


def test_a_worker_with_nothing_to_forward_loads_nothing_for_it(data_dir: Path) -> None:
    """But for what the status page is told."""
    script = """
import sys
from inapp_monitor import Monitor
monitor = Monitor(lambda environ, start: [], data_dir=sys.argv[1], token="t" * 20)
monitor.tick()
print(*(name for name in sys.modules if name.startswith("inapp_monitor.export.")))
monitor.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(data_dir)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["inapp_monitor.export.facts"]
