"""Libraries that count already: live clients are adopted, registries watched, imports swapped."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
import time
import weakref
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import datadog.dogstatsd
import prometheus_client
import pytest
import statsd

from inapp_monitor import ConfigError, Monitor
from inapp_monitor.collectors.prometheus_registry import PrometheusRegistry
from inapp_monitor.compat import statsd as compat
from inapp_monitor.ingest.adopted import Adopted, AdoptedSocket
from inapp_monitor.testing import collected
from tests.ingest.conftest import latest, until

Make = Callable[..., Monitor]


@pytest.fixture
def monitor(make: Make) -> Monitor:
    return make(flush_interval_s=30)


def total(monitor: Monitor, path: str) -> float:
    monitor.refresh()
    now = int(time.time())
    ranges = monitor.store.fetch([path], now - 3_600, now + 20, now)
    return sum(v for each in ranges for v in each.values if v is not None and v == v)


def doors(monitor: Monitor) -> dict[str, Any]:
    monitor.refresh()
    return monitor.life.services.listening.doors


# -- adopted clients


class Short:
    """A client of a library that makes one for each use."""

    __module__ = "a_library_that_no_other_test_adopts"

    def __init__(self) -> None:
        self.udp_sock: Any = None


def test_clients_that_come_and_go(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of them stays, and a fork does no more for a thousand than for one."""
    hooks: list[dict[str, Callable[[], object]]] = []
    monkeypatch.setattr(os, "register_at_fork", lambda **hook: hooks.append(hook))
    kept = monitor.adopt(Short())
    sockets = []
    for _ in range(1_000):
        client = monitor.adopt(Short())
        sockets.append(weakref.ref(client.udp_sock))
    client.udp_sock = None
    del client
    assert [each for each in sockets if each() is not None] == []
    kept.udp_sock = None  # as a client does it that opens its socket anew in the child
    (hook,) = hooks
    hook["after_in_child"]()
    assert isinstance(kept.udp_sock, AdoptedSocket)


def test_a_client_of_statsd_is_adopted(monitor: Monitor) -> None:
    """All its verbs, timers and pipelines, with no server anywhere."""
    client = monitor.adopt(statsd.StatsClient(prefix="shop"))
    client.incr("orders", 2)
    client.decr("orders")
    client.gauge("stock", 7)
    client.gauge("stock", 3, delta=True)
    client.set("visitors", "anna")
    with client.timer("render"):
        pass
    with client.pipeline() as pipe:
        pipe.incr("orders")
        pipe.timing("render", timedelta(milliseconds=5))
    assert total(monitor, "shop.orders") == 2.0
    assert latest(monitor, "shop.stock") == 10.0
    assert total(monitor, "shop.visitors") == 1.0
    assert doors(monitor)["adopted clients (statsd)"].points == 8


def test_a_stream_client_of_statsd_is_adopted(monitor: Monitor) -> None:
    """It would connect, and wait for ever for a server that is busy."""
    client = monitor.adopt(statsd.TCPStatsClient(host="192.0.2.1"))
    client.incr("streamed")
    assert total(monitor, "streamed") == 1.0


def test_a_client_of_datadog_is_adopted(monitor: Monitor) -> None:
    """Tags, signed gauges that are set, histograms, events; its own buffering goes on."""
    client = monitor.adopt(
        datadog.dogstatsd.DogStatsd(disable_telemetry=True, constant_tags=["env:test"])
    )
    client.increment("jobs", tags=["queue:mail"])
    client.gauge("temperature", -7)
    client.histogram("size", 5)
    client.event("deploy", "release 7")
    client.flush()
    until(lambda: total(monitor, "jobs;env=test;queue=mail") == 1.0, "datadog's counter")
    assert latest(monitor, "temperature;env=test") == -7.0
    assert not doors(monitor)["adopted clients (dogstatsd)"].rejects


def test_a_socket_for_clients_that_take_one(monitor: Monitor) -> None:
    """It behaves as a connected socket, raises nothing, and what is no line is counted."""
    made = monitor.socket()
    made.connect(("nowhere", 1))
    made.settimeout(1)
    assert made.send(b"plain:1|c") == 9
    assert made.sendto(b"plain:2|c\nnonsense", ("nowhere", 1)) == 18
    made.sendall(b"plain:1|c\n")
    made.close()
    assert total(monitor, "plain") == 4.0
    assert sum(doors(monitor)["adopted clients (statsd)"].rejects.values()) == 1


def test_what_no_tick_reads_is_bounded_and_counted() -> None:
    """A client that sends faster than the monitor reads costs bounded memory."""
    adopted = Adopted(lambda: None)
    made = AdoptedSocket(adopted, "statsd")
    for _ in range(20_005):
        made.send(b"fast:1|c")
    made.send(b"x" * 70_000)
    assert adopted.dropped == 6
    assert len(adopted.take()) == 20_000


def test_adoption_survives_a_fork(monitor: Monitor) -> None:
    """datadog's client drops its socket in a child; what the parent had sent is not sent twice."""
    client = monitor.adopt(datadog.dogstatsd.DogStatsd(disable_telemetry=True))
    made = client.socket
    monitor.socket().send(b"parents:1|c")
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        told = b"adopted" if client.socket is made else b"lost"
        os.write(writing, told)
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reading, 20) == b"adopted"
    os.close(reading)
    os.close(writing)
    assert total(monitor, "parents") == 1.0


def test_nothing_else_is_adopted(monitor: Monitor, make: Make) -> None:
    """An error that names it; a monitor that is switched off keeps nothing."""
    with pytest.raises(TypeError, match="object is no client"):
        monitor.adopt(object())
    off = make(enabled=False)
    client = off.adopt(statsd.StatsClient())
    client.incr("ignored")
    idle = Adopted(None)
    AdoptedSocket(idle, "statsd").send(b"ignored:1|c")
    assert idle.take() == []


# -- watched registries


def registry() -> Any:
    return prometheus_client.CollectorRegistry()


def test_a_registry_becomes_series(monitor: Monitor) -> None:
    """Labels as tags; counters, counts and sums as what they grew by; gauges as they are."""
    given = registry()
    counter = prometheus_client.Counter("http_requests", "d", ["method"], registry=given)
    gauge = prometheus_client.Gauge("queue", "d", registry=given)
    histogram = prometheus_client.Histogram("lat", "d", buckets=(0.1, 1.0), registry=given)
    prometheus_client.Info("build", "d", registry=given).info({"version": "1"})
    enum = prometheus_client.Enum("state", "d", states=["up", "down"], registry=given)
    counter.labels("GET").inc(5)
    collector = PrometheusRegistry(given)
    first = collected(collector)
    assert first["http_requests_total;method=GET"] == 0.0
    counter.labels("GET").inc(3)
    counter.labels("a b/é").inc(2)
    gauge.set(4)
    histogram.observe(0.5)
    enum.state("down")
    assert collected(collector) == {
        "http_requests_total;method=GET": 3.0,
        "http_requests_total;method=a_b/é": 2.0,  # appeared later: all of it is new
        "queue": 4.0,
        "lat_count": 1.0,
        "lat_sum": 0.5,
        "lat_bucket;le=0.1": 0.0,
        "lat_bucket;le=1.0": 1.0,
        "lat_bucket;le=+Inf": 1.0,
        "state;state=up": 0.0,
        "state;state=down": 1.0,
    }
    counter.clear()
    counter.labels("GET").inc(1)
    assert collected(collector)["http_requests_total;method=GET"] == 1.0


def test_a_registry_is_watched_by_a_monitor(make: Make) -> None:
    """One line; the default registry, too, and a second one beside it."""
    monitor = make(collect_interval_s=1)
    given = registry()
    gauge = prometheus_client.Gauge("watched", "d", registry=given)
    gauge.set(9)
    monitor.watch(given, prefix="shop")
    monitor.watch(prometheus_client.REGISTRY)
    until(lambda: latest(monitor, "shop.watched") == 9.0, "the registry's gauge")
    until(lambda: latest(monitor, "python_info") is None, "no texts")
    with pytest.raises(ConfigError, match="collect"):
        monitor.watch(object())


def test_a_registry_of_many_children_is_bounded() -> None:
    """Labels that grow without end cost a bounded number of series."""
    given = registry()
    gauge = prometheus_client.Gauge("many", "d", ["n"], registry=given)
    counter = prometheus_client.Counter("more", "d", ["n"], registry=given)
    for number in range(5_200):
        gauge.labels(number).set(1)
        counter.labels(number).inc()
    collector = PrometheusRegistry(given)
    assert len(collected(collector)) <= 5_000


# -- swapped imports


@pytest.mark.parametrize("name", ["StatsClient", "TCPStatsClient", "UnixSocketStatsClient"])
def test_signatures_are_those_of_statsd(name: str) -> None:
    """Every public method of the original, with the same arguments and defaults."""
    theirs, ours = getattr(statsd, name), getattr(compat, name)
    for method, original in inspect.getmembers(theirs, inspect.isfunction):
        if method.startswith("_") and method != "__init__":
            continue
        wanted = inspect.signature(original).parameters
        offered = inspect.signature(getattr(ours, method)).parameters
        assert [(p.name, p.default) for p in wanted.values()] == [
            (p.name, p.default) for p in offered.values()
        ], method


def test_a_swapped_import_counts_in_this_process(monitor: Monitor) -> None:
    """Verbs, prefix, timer by hand, decorator, async, pipeline."""
    client = compat.StatsClient("nowhere.invalid", 8125, prefix="swap")
    client.incr("a", 2)
    client.decr("a")
    client.gauge("g", -7)
    client.gauge("g", 2, delta=True)
    client.set("s", "x")
    client.timing("t", timedelta(milliseconds=20))

    @client.timer("t")
    def work() -> int:
        return 5

    @client.timer("t")
    async def wait() -> int:
        return 6

    assert (work(), asyncio.run(wait())) == (5, 6)
    timer = client.timer("t").start()
    timer.stop(send=False)
    timer.send()
    assert timer.ms is not None
    with pytest.raises(RuntimeError, match="Already sent"):
        timer.send()
    with pytest.raises(RuntimeError, match="not started"):
        client.timer("x").stop()
    with pytest.raises(RuntimeError, match="No data"):
        client.timer("x").send()
    with client.pipeline() as pipe, pipe.pipeline() as inner:
        pipe.incr("a")
        inner.incr("a")
        with inner.timer("t"):
            pass
    client.incr(None, "no number")  # type: ignore[arg-type]  # statsd raises here
    client.close()
    assert total(monitor, "swap.a") == 3.0
    assert latest(monitor, "swap.g") == -5.0
    assert total(monitor, "swap.s") == 1.0


def test_ready_made_clients(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """`from statsd.defaults.env import statsd`, with its prefix."""
    monkeypatch.setenv("STATSD_PREFIX", "ready")
    import importlib

    from inapp_monitor.compat.statsd.defaults import env

    importlib.reload(env).statsd.incr("made", 4)
    assert total(monitor, "ready.made") == 4.0


def test_one_timer_in_several_threads(monitor: Monitor) -> None:
    """Each call is measured by itself, where statsd's object mixes them up."""
    client = compat.StatsClient()
    timer = client.timer("threads")

    def measure() -> None:
        for _ in range(50):
            with timer:
                pass

    threads = [threading.Thread(target=measure) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    monitor.refresh()
    now = int(time.time())
    found = monitor.store.fetch_distribution("threads", now - 100, now + 20, now)
    assert found is not None
    assert sum(slot.count for slot in found.slots if slot is not None) == 200
