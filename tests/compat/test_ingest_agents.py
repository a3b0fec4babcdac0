"""Real agents, unmodified, send to a monitored app, or are asked by it.

    apt install collectd-core libyajl2 munin-node ganglia-monitor curl uwsgi-plugin-python3
    pip install prometheus-client diamond

What is not installed is skipped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from inapp_monitor import Monitor

pytestmark = [pytest.mark.compat, pytest.mark.peer]
TOKEN = "the-token-of-all"
SENDER = "only-for-sending"
PATIENCE_S = 40.0


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def program(name: str) -> str:
    """The path of an installed program."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


class Served:
    """A monitored app behind a real server."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor
        self._server = make_server("127.0.0.1", 0, monitor, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/_metrics"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.monitor.close()

    @property
    def are_doors_open(self) -> bool:
        doors = self.monitor.life.services.listening.doors.values()
        return all(door.state == "open" for door in doors)

    def series(self) -> dict[str, list[float]]:
        """All series and their values of the last hour."""
        now = int(time.time())
        self.monitor.refresh()
        found = {}
        for leaf in self.monitor.store.leaves():  # of distributions there are no ranges
            for each in self.monitor.store.fetch([leaf.path], now - 3_600, now + 20, now):
                found[leaf.path] = [v for v in each.values if v is not None and v == v]
        return found

    def until(self, found: Callable[[dict[str, list[float]]], Any], what: str) -> Any:
        """Wait for series."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            series = self.series()
            with contextlib.suppress(KeyError, IndexError):
                if result := found(series):
                    return result
            time.sleep(0.3)
        raise AssertionError(f"waited in vain for {what}: {sorted(self.series())}")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    served: list[Served] = []

    def serve_one(**settings: Any) -> Served:
        monitor = Monitor(
            app,
            data_dir=tmp_path / "data",
            token=TOKEN,
            ingest_token=SENDER,
            flush_interval_s=0.2,
            **{"collect_host": False, "collect_process": False, **settings},
        )
        monitor.life.attach_if_needed()
        served.append(Served(monitor))
        return served[-1]

    yield serve_one
    for each in served:
        each.close()


@contextlib.contextmanager
def running(command: list[str], **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A program that is ended at the end."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, **more
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


# -- collectd

LOADS = [f"web1_example_com.load.load.{term}" for term in ("shortterm", "midterm", "longterm")]


def collectd(tmp_path: Path, plugin: str) -> list[str]:
    """The command of a collectd that samples load and CPU each second."""
    (tmp_path / "collectd.conf").write_text(
        f'Hostname "web1.example.com"\nFQDNLookup false\nInterval 1\nBaseDir "{tmp_path}"\n'
        f'PIDFile "{tmp_path}/pid"\nTypesDB "/usr/share/collectd/types.db"\n'
        f"LoadPlugin load\nLoadPlugin cpu\n{plugin}\n"
    )
    return [program("collectd"), "-f", "-C", str(tmp_path / "collectd.conf")]


def has_load(series: dict[str, list[float]]) -> bool:
    return all(series[path] for path in LOADS)


def test_collectd_by_write_graphite(serve: Callable[..., Served], tmp_path: Path) -> None:
    """Carbon's lines over TCP."""
    port = free_port(socket.SOCK_STREAM)
    served = serve(listen=[f"carbon://127.0.0.1:{port}"])
    plugin = (
        "LoadPlugin write_graphite\n<Plugin write_graphite>\n<Node a>\n"
        f'Host "127.0.0.1"\nPort "{port}"\n</Node>\n</Plugin>'
    )
    with running(collectd(tmp_path, plugin)):
        served.until(has_load, "load by write_graphite")


@pytest.mark.parametrize("form", ["JSON", "Command"])
def test_collectd_by_write_http(serve: Callable[..., Served], tmp_path: Path, form: str) -> None:
    """JSON and commands, with the sender's token as password."""
    served = serve()
    plugin = (
        "LoadPlugin write_http\n<Plugin write_http>\n<Node a>\n"
        f'URL "{served.url}/ingest"\nUser "collectd"\nPassword "{SENDER}"\nFormat "{form}"\n'
        "StoreRates true\nBufferSize 4096\n</Node>\n</Plugin>"
    )
    with running(collectd(tmp_path, plugin)):
        served.until(has_load, f"load by write_http, {form}")
        served.until(lambda series: series["web1_example_com.cpu-0.cpu-idle"], "rates of cpu")


@pytest.mark.parametrize("security", ["None", "Sign", "Encrypt"])
def test_collectd_by_its_network_protocol(
    serve: Callable[..., Served], tmp_path: Path, security: str
) -> None:
    """Plain, signed and encrypted packets; counters become rates."""
    if security == "Encrypt":
        pytest.importorskip("cryptography")
    port = free_port(socket.SOCK_DGRAM)
    (tmp_path / "users").write_text("web: a secret\n")
    served = serve(
        listen=[
            f"collectd://127.0.0.1:{port}?security={security.lower()}&auth_file={tmp_path}/users"
        ]
    )
    plugin = (
        f'LoadPlugin network\n<Plugin network>\n<Server "127.0.0.1" "{port}">\n'
        f'SecurityLevel {security}\nUsername "web"\nPassword "a secret"\n</Server>\n</Plugin>'
    )
    with running(collectd(tmp_path, plugin)):
        served.until(has_load, f"load by the network protocol, {security}")
        idle = served.until(lambda s: s["web1_example_com.cpu-0.cpu-idle"], "rates of cpu")
        assert 0.0 <= idle[-1] <= 110.0  # jiffies a second of one processor


# -- Munin, Ganglia


def test_munin_node_is_polled(serve: Callable[..., Served], tmp_path: Path) -> None:
    """Its own plugins run, over its own protocol."""
    port = free_port(socket.SOCK_STREAM)
    if not Path("/etc/munin/plugins/load").exists():
        pytest.skip("munin-node has no plugins here")
    (tmp_path / "munin-node.conf").write_text(
        f"log_file {tmp_path}/log\npid_file {tmp_path}/pid\nbackground 0\nsetsid 0\nuser root\n"
        f"group root\nhost_name web1.example.com\nallow ^127\\.0\\.0\\.1$\nhost 127.0.0.1\n"
        f"port {port}\n"
    )
    command = [program("munin-node"), "--config", f"{tmp_path}/munin-node.conf"]
    with running(command):
        served = serve(munin=[f"127.0.0.1:{port}"], munin_interval_s=5)
        load = served.until(lambda s: s["munin.web1_example_com.load.load"], "Munin's load")
        assert load[-1] >= 0.0


def test_gmetric_is_heard(serve: Callable[..., Served], tmp_path: Path) -> None:
    """Values and spoofed hosts, as Ganglia's own command sends them."""
    port = free_port(socket.SOCK_DGRAM)
    served = serve(listen=[f"ganglia://127.0.0.1:{port}"])
    served.until(lambda s: served.are_doors_open, "the door")
    (tmp_path / "gmond.conf").write_text(
        "globals { }\ncluster { name = x }\n"
        f"udp_send_channel {{ host = 127.0.0.1 port = {port} }}\n"
    )
    for more in (
        ["--name=temp", "--value=42.5", "--type=float", "--units=C", "--spoof=10.0.0.9:web9"],
        ["--name=note", "--value=a text", "--type=string", "--spoof=10.0.0.9:web9"],
    ):
        command = [program("gmetric"), "-c", str(tmp_path / "gmond.conf"), *more]
        subprocess.run(command, check=True, capture_output=True)
    assert served.until(lambda s: s["web9.temp"], "gmetric's value") == [42.5]
    assert "web9.note" not in served.series()


# -- HTTP


def test_curl_sends_lines(serve: Callable[..., Served], tmp_path: Path) -> None:
    """As documentation and dashboard show it."""
    served = serve()
    url, header = f"{served.url}/ingest", f"Authorization: Bearer {SENDER}"
    (tmp_path / "lines").write_text("curl.a 1\ncurl.b 2\n")
    for more in (
        ["-d", "curl.one 1"],
        ["--data-binary", f"@{tmp_path}/lines"],
        ["-T", f"{tmp_path}/lines"],
        ["-F", f"file=@{tmp_path}/lines"],
        ["-H", "Content-Type: application/json", "-d", '{"name": "curl.json", "value": 3}'],
        ["-H", "Transfer-Encoding: chunked", "-T", f"{tmp_path}/lines"],
    ):
        done = subprocess.run(
            [program("curl"), "-sf", "-H", header, *more, url], capture_output=True, check=False
        )
        assert done.returncode == 0, (more, done.stdout)
    assert {"curl.one", "curl.a", "curl.b", "curl.json"} <= set(served.series())


def test_prometheus_client_pushes(serve: Callable[..., Served]) -> None:
    """`push_to_gateway`, `pushadd_to_gateway`, `delete_from_gateway`, with a token in a handler."""
    client = pytest.importorskip("prometheus_client")
    from prometheus_client.exposition import basic_auth_handler

    served = serve()
    registry = client.CollectorRegistry()
    client.Gauge("last_success", "d", registry=registry).set(5)
    client.Counter("jobs", "d", ["queue"], registry=registry).labels("mail").inc(3)

    def handler(url: str, method: str, timeout: float, headers: Any, data: bytes) -> Any:
        return basic_auth_handler(url, method, timeout, headers, data, "push", SENDER)

    gateway = f"{served.url}/ingest"
    key = {"instance": "web/1"}
    client.push_to_gateway(gateway, "nightly", registry, grouping_key=key, handler=handler)
    client.pushadd_to_gateway(gateway, "nightly", registry, handler=handler)
    client.delete_from_gateway(gateway, "nightly", handler=handler)
    series = served.series()
    assert series["last_success;job=nightly"] == [5.0]
    assert series["jobs_total;instance=web/1;job=nightly;queue=mail"] == [3.0]


# -- servers that count


def test_gunicorn_sends_its_statistics(serve: Callable[..., Served], tmp_path: Path) -> None:
    """`--statsd-host`: requests, statuses and durations."""
    port, http = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM)
    served = serve(listen=[f"gunicorn://127.0.0.1:{port}"])
    served.until(lambda s: served.are_doors_open, "the door")
    (tmp_path / "shop.py").write_text(
        "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'x']\n"
    )
    command = [sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{http}", "shop:app"]
    command += ["--statsd-host", f"127.0.0.1:{port}", "--statsd-prefix", "shop"]
    with running(command, cwd=tmp_path):
        for _ in range(100):
            try:
                with socket.create_connection(("127.0.0.1", http), 1) as client:
                    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    client.recv(100)
                break
            except OSError:
                time.sleep(0.1)
        served.until(lambda s: sum(s["shop.gunicorn.requests"]) == 1.0, "gunicorn's requests")
        assert sum(served.series()["shop.gunicorn.request.status.200"]) == 1.0


def test_uwsgi_pushes_its_totals(serve: Callable[..., Served], tmp_path: Path) -> None:
    """Debian's plugin: the same totals each second, of which only what is new is counted."""
    plugins = Path("/usr/lib/uwsgi/plugins")
    if not (plugins / "stats_pusher_statsd_plugin.so").exists():
        pytest.skip("uwsgi-core is not installed")
    port, http = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM)
    served = serve(listen=[f"uwsgi://127.0.0.1:{port}"])
    served.until(lambda s: served.are_doors_open, "the door")
    (tmp_path / "shop.py").write_text(
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [])\n    return [b'x']\n"
    )
    command = [program("uwsgi"), "--plugin-dir", str(plugins), "--plugin", "python3"]
    command += ["--plugin", "stats_pusher_statsd", "--http-socket", f"127.0.0.1:{http}"]
    command += ["--wsgi-file", str(tmp_path / "shop.py"), "--master"]
    command += ["--stats-push", f"statsd:127.0.0.1:{port},shop", "--stats-pusher-default-freq", "1"]
    with running(command, cwd=tmp_path):
        served.until(lambda s: s["shop.worker.1.requests"], "uWSGI's first push")
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", http), 5) as client:
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                client.recv(100)
        served.until(lambda s: sum(s["shop.worker.1.requests"]) == 5.0, "five requests")
        time.sleep(3)  # further pushes of the same total
        assert sum(served.series()["shop.worker.1.requests"]) == 5.0


# -- Diamond

UNMODIFIED = {
    "CPUCollector": "cpu.total.user",
    "MemoryCollector": "memory.MemTotal",
    "LoadAverageCollector": "loadavg.01",
    "SockstatCollector": "sockets.used",
    "UptimeCollector": "uptime.minutes",
}


def test_diamonds_own_collectors_run(serve: Callable[..., Served], tmp_path: Path) -> None:
    """Five of those that Diamond 4.0.515 brings, as they are on PyPI."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "diamond==4.0.515"]
    subprocess.run([*command, "-d", str(tmp_path)], check=False, capture_output=True, timeout=120)
    wheels = list(tmp_path.glob("diamond-*.whl"))
    if not wheels:
        pytest.skip("diamond cannot be downloaded here")
    zipfile.ZipFile(wheels[0]).extractall(tmp_path / "wheel")
    (folder,) = (tmp_path / "wheel").glob("*.data/data/share/diamond/collectors")
    sections = "".join(f"[[{name}]]\nenabled = True\n" for name in UNMODIFIED)
    config = tmp_path / "diamond.conf"
    config.write_text(f"[collectors]\n[[default]]\nhostname = web1\ninterval = 1\n{sections}")
    served = serve(diamond_collectors=folder, diamond_config=config)
    for path in UNMODIFIED.values():
        found = served.until(lambda s, path=path: s[f"servers.web1.{path}"], path)
        assert found[-1] >= 0.0
