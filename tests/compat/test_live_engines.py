"""Real engines take what goes on leaving: scrapes, an alert, remote write, OTLP over `kill -9`.

With `make compat` only. Debian's packages `prometheus` and `victoria-metrics`; a collector that is
made of `opentelemetry-proto`.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest

from inapp_monitor import Monitor
from inapp_monitor.export.forwarding import Forwarder
from inapp_monitor.export.identity import Identity
from inapp_monitor.export.metrics_channel import MetricsChannel
from inapp_monitor.export.progress_file import Progress
from inapp_monitor.export.remote_write_sender import RemoteWriteSender
from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.ground.destination import parse
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Batch, Distribution, Method, Scalar
from inapp_monitor.testing import FakeClock
from tests.compat.test_engines import COMMAND, get, get_text, program, run, running
from tests.export.conftest import TOKEN, application, open_store, visit
from tests.export.peers import Posts
from tests.ports import number_of, reserve_port

pytestmark = [pytest.mark.compat, pytest.mark.peer]

_SCRAPE = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: shop
    metrics_path: /_metrics/prometheus
    authorization: {{credentials: {token}}}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
_RULES = """
groups:
  - name: shop
    rules:
      - alert: Failing
        expr: http_request_errors_total > 2
"""


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None: ...


@contextmanager
def serving(app: Monitor) -> Iterator[int]:
    """The application at a free port."""
    server: WSGIServer = make_server("127.0.0.1", 0, app, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def eventually(condition: Callable[[], object], limit_s: float = 90.0) -> None:
    """Until it holds."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.2)


def value_of(address: str, query: str, **parameters: str) -> float | None:
    """The value of a query that has one series."""
    result = get(f"{address}/api/v1/query", query=query, **parameters)["data"]["result"]
    return float(result[0]["value"][1]) if result else None


@contextmanager
def monitored(data_dir: Path, **settings: Any) -> Iterator[Monitor]:
    """The application that answers /ok and fails on anything else."""
    monitor = Monitor(
        application, data_dir=data_dir, token=TOKEN, collect_process=False, collect_host=False,
        flush_interval_s=0.1, **settings,
    )  # fmt: skip
    try:
        yield monitor
    finally:
        monitor.close()


def test_prometheus_scrapes_and_alerts(tmp_path: Path, port: int) -> None:
    """Its numbers are ours, promtool has no complaint, and a rule over them fires."""
    prometheus, promtool = program("prometheus"), program("promtool")
    with monitored(tmp_path / "data") as monitor, serving(monitor) as app_port:
        visit(monitor, *["/ok"] * 20, *["/fails"] * 3)
        for hostile in ('ключ "\\\n{}', "a{b}", "9lives", "__name__", "up", "le", "x_total", "x"):
            monitor.incr(hostile.replace("\n", "_"))
        text = _SCRAPE.format(token=TOKEN, port=app_port)
        (tmp_path / "prometheus.yml").write_text(text)
        (tmp_path / "rules.yml").write_text(_RULES)
        address = f"http://127.0.0.1:{port}"
        command = [
            prometheus, f"--config.file={tmp_path}/prometheus.yml",
            f"--storage.tsdb.path={tmp_path}/tsdb", f"--web.listen-address=127.0.0.1:{port}",
        ]  # fmt: skip
        with running(command, lambda: get(f"{address}/api/v1/status/buildinfo")):
            query = 'http_responses_total{status="2xx"}'
            eventually(lambda: value_of(address, query) == 20.0)
            eventually(lambda: value_of(address, "http_request_errors_total") == 3.0)
            count = "http_request_duration_seconds_count"
            assert value_of(address, count) == 23.0
            assert value_of(address, "up") == 1.0
            alerts = f"{address}/api/v1/alerts"
            eventually(lambda: [a["state"] for a in get(alerts)["data"]["alerts"]] == ["firing"])
        shown = monitor_text(app_port)
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=shown, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_victoriametrics_scrapes_and_has_a_door_for_carbon(tmp_path: Path, port: int) -> None:
    """The same requests by both ways: the total that was scraped, and the intervals of the relay.

    Every line of the relay is there, and no interval twice.
    """
    server = program("victoria-metrics")
    with reserve_port() as reserved:
        door = number_of(reserved)
    forward = f"carbon://127.0.0.1:{door}"
    with monitored(tmp_path / "data", forward=forward) as monitor, serving(monitor) as app_port:
        text = _SCRAPE.format(token=TOKEN, port=app_port).replace("rule_files: [rules.yml]\n", "")
        text = text.replace(", evaluation_interval: 1s", "")
        (tmp_path / "scrape.yml").write_text(text)
        address = f"http://127.0.0.1:{port}"
        command = [
            server, f"-storageDataPath={tmp_path}/vm", f"-httpListenAddr=127.0.0.1:{port}",
            f"-graphiteListenAddr=127.0.0.1:{door}", f"-promscrape.config={tmp_path}/scrape.yml",
            "-search.latencyOffset=0s",
        ]  # fmt: skip
        with running(command, lambda: get_text(f"{address}/health")):
            visit(monitor, "/ok")
            eventually((tmp_path / "data" / "export").is_dir)
            time.sleep(2.0)
            visit(monitor, *["/ok"] * 19)
            eventually(lambda: value_of(address, 'http_responses_total{status="2xx"}') == 20.0)
            relayed = 'sum_over_time({__name__="requests.status.2xx"}[10m])'
            eventually(lambda: (value_of(address, relayed) or 0.0) >= 19.0)
            assert value_of(address, relayed) in (19.0, 20.0)  # the first may be in a settled one


def monitor_text(port: int) -> str:
    """What is scraped."""
    import urllib.request

    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/_metrics/prometheus", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read().decode()


@pytest.mark.parametrize("engine", ["prometheus", "victoria-metrics"])
def test_remote_write_arrives_once_over_an_outage(tmp_path: Path, port: int, engine: str) -> None:
    """The engine is away for ten of forty minutes; then its counters are what was recorded."""
    server, clock = program(engine), FakeClock(SYSTEM.wall() // 60 * 60 - 3_000.0)
    address = f"http://127.0.0.1:{port}"
    (tmp_path / "empty.yml").write_text("global: {}\n")
    command = {
        "prometheus": [
            f"--config.file={tmp_path}/empty.yml", f"--storage.tsdb.path={tmp_path}/tsdb",
            f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver",
        ],
        "victoria-metrics": [
            f"-storageDataPath={tmp_path}/vm", f"-httpListenAddr=127.0.0.1:{port}",
            "-search.latencyOffset=0s",
        ],
    }[engine]  # fmt: skip
    path = "/-/ready" if engine == "prometheus" else "/health"
    data_dir = tmp_path / "data"
    store = open_store(data_dir, clock)
    identity = Identity("shop", "", "", data_dir, "1")
    sender = RemoteWriteSender(parse(f"prometheus://127.0.0.1:{port}"), identity, store, clock)
    channel = MetricsChannel(store, sender)
    forwarder = Forwarder(lambda: channel, data_dir / "x", clock, "test", lambda _: None)
    forwarder.step(channel)

    def minutes(count: int) -> None:
        for number in range(count):
            timer = Distribution("pay", int(clock.now), Histogram.of([40.0, 3.0]))
            orders = Scalar("orders", int(clock.now), 1.0 + number % 3, Method.SUM)
            store.add(Batch([orders], [timer]))
            store.flush()
            clock.advance(60.0)
            while forwarder.step(channel):
                pass

    ready = lambda: get_text(address + path)  # noqa: E731
    with running([server, *command], ready):
        minutes(15)
    minutes(10)  # nobody is there
    assert forwarder.progress().failures
    with running([server, *command], ready):
        clock.advance(61.0)
        minutes(15)
        if engine == "victoria-metrics":
            get_text(f"{address}/internal/force_flush")
        at = str(clock.now)
        orders = 2 * 15 * 2.0 + 3 * (1 + 2 + 3) + 1.0
        eventually(lambda: value_of(address, "orders_total", time=at) == orders)
        assert value_of(address, "pay_seconds_count", time=at) == 2 * 40
        assert value_of(address, 'pay_seconds_bucket{le="0.005"}', time=at) == 40
        assert value_of(address, "resets(orders_total[1h])", time=at) == 0
    assert forwarder.progress().dropped == 0
    store.close()


def test_prometheus_gets_a_portion_once_more(tmp_path: Path, port: int) -> None:
    """After `kill -9` before its answer: Prometheus refuses what it has already, in whole, and its
    counter neither falls nor stays behind."""
    server, clock = program("prometheus"), FakeClock(SYSTEM.wall() // 60 * 60 - 1_500.0)
    address, data_dir = f"http://127.0.0.1:{port}", tmp_path / "data"
    (tmp_path / "empty.yml").write_text("global: {}\n")
    command = [
        server, f"--config.file={tmp_path}/empty.yml", f"--storage.tsdb.path={tmp_path}/tsdb",
        f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver",
    ]  # fmt: skip
    store = open_store(data_dir, clock)
    identity, destination = (
        Identity("shop", "", "", data_dir, "1"),
        parse(f"prometheus://127.0.0.1:{port}"),
    )
    with running(command, lambda: get_text(f"{address}/-/ready")):
        progress = Progress()
        for number in range(4):
            sender = RemoteWriteSender(destination, identity, store, clock)
            channel = MetricsChannel(store, sender)
            forwarder = Forwarder(
                lambda c=channel: c, data_dir / "x", clock, "test", lambda _: None
            )
            forwarder.step(channel)
            before = {p: p.read_bytes() for p in (data_dir / "x", *(data_dir / "export").glob("*"))
                      if p.is_file()}  # fmt: skip
            for _ in range(24):
                store.add(Batch([Scalar("orders", int(clock.now), 1.0, Method.SUM)], []))
                store.flush()
                clock.advance(10.0)
            clock.advance(60.0)
            while forwarder.step(channel):
                pass
            progress = forwarder.progress()
            if number == 1:  # what it has noted since is lost
                for path, data in before.items():
                    path.write_bytes(data)
        at = str(clock.now)
        assert value_of(address, "orders_total", time=at) == 4 * 24
        assert value_of(address, "resets(orders_total[1h])", time=at) == 0
        assert progress.dropped > 0
    store.close()


def test_victoriametrics_takes_the_past_by_remote_write(tmp_path: Path, port: int) -> None:
    """A day of a counter, as its total grew."""
    server, clock = program("victoria-metrics"), FakeClock(SYSTEM.wall() - 86_400.0)
    data_dir, address = tmp_path / "data", f"http://127.0.0.1:{port}"
    store = open_store(data_dir, clock)
    for _ in range(24 * 12 - 2):
        store.add(Batch([Scalar("orders", int(clock.now), 2.0, Method.SUM)], []))
        store.flush()
        clock.advance(300.0)
    store.close()
    command = [
        server, f"-storageDataPath={tmp_path}/vm", f"-httpListenAddr=127.0.0.1:{port}",
        "-search.latencyOffset=0s",
    ]  # fmt: skip
    with running(command, lambda: get_text(f"{address}/health")):
        target = f"{address}/api/v1/write"
        run([*COMMAND, "export", "--remote-write", target, "--data-dir", str(data_dir)])
        get_text(f"{address}/internal/force_flush")
        assert value_of(address, "last_over_time(orders_total[2d])") == 2.0 * (24 * 12 - 2)
        assert value_of(address, "min_over_time(orders_total[2d])") == 0.0


_APP = """
import logging, sys, time
from inapp_monitor import Monitor

def app(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]

data_dir, address, first, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
monitor = Monitor(app, data_dir=data_dir, token="0123456789", forward=address,
                  collect_process=False, collect_host=False, flush_interval_s=0.1, log_level="INFO")
from werkzeug.test import create_environ
b"".join(monitor(create_environ("/"), lambda *_: None))
log = logging.getLogger("shop")
log.setLevel(logging.INFO)
time.sleep(3.0)  # the forwarders have their positions
for number in range(first, first + count):
    monitor.incr("orders")
    monitor.timing("pay", 40.0)
    log.info("paid %d", number)
    time.sleep(0.01)
print("done", flush=True)
time.sleep(600.0)
"""


def test_a_collector_gets_each_number_once_over_kill_9(tmp_path: Path) -> None:
    """Totals and log records of an app that is killed while its peer holds its requests."""
    metrics_pb2 = pytest.importorskip(
        "opentelemetry.proto.collector.metrics.v1.metrics_service_pb2"
    )
    logs_pb2 = pytest.importorskip("opentelemetry.proto.collector.logs.v1.logs_service_pb2")
    posts = Posts()
    address = f"otlp://127.0.0.1:{posts.port}?temporality=cumulative"
    each = 200

    def started(first: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", _APP, str(tmp_path / "data"), address, str(first)]
        process = subprocess.Popen([*command, str(each)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        return process

    def records() -> list[str]:
        bodies = [body for path, _, body in list(posts.bodies) if path == "/v1/logs"]
        requests = [logs_pb2.ExportLogsServiceRequest.FromString(body) for body in bodies]
        return [
            record.body.string_value
            for request in requests
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
            if record.body.string_value.startswith("paid")
        ]

    def totals(name: str) -> list[tuple[int, float]]:
        bodies = [body for path, _, body in list(posts.bodies) if path == "/v1/metrics"]
        found = []
        for body in bodies:
            request = metrics_pb2.ExportMetricsServiceRequest.FromString(body)
            for metric in request.resource_metrics[0].scope_metrics[0].metrics:
                if metric.name == name and metric.WhichOneof("data") == "sum":
                    points = metric.sum.data_points
                    found += [(p.time_unix_nano, p.as_double or p.as_int) for p in points]
                elif metric.name == name:
                    points = metric.histogram.data_points
                    found += [(p.time_unix_nano, float(p.count)) for p in points]
        return found

    first = started(0)
    try:
        eventually(lambda: totals("orders") and max(v for _, v in totals("orders")) == each)
        eventually(lambda: len(set(records())) == each)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait(10)
    second = started(each)
    try:
        eventually(lambda: max(v for _, v in totals("orders")) == 2 * each)
        eventually(lambda: max(v for _, v in totals("pay")) == 2 * each)
        eventually(lambda: len(set(records())) == 2 * each)
    finally:
        second.send_signal(signal.SIGKILL)
        second.wait(10)
        posts.stop()
    assert sorted(set(records())) == sorted(f"paid {n}" for n in range(2 * each))
    assert len(records()) == 2 * each
    values = [value for _, value in sorted(totals("orders"))]
    assert values == sorted(values)
