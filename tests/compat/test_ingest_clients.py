"""Real clients and servers of Carbon and StatsD, unmodified, send to a monitored app.

    npm install --prefix DIRECTORY statsd-client hot-shots     # COMPAT_NODE_DIRECTORY=DIRECTORY
    pip install carbon==1.1.10 whisper==1.1.10   # in an environment: COMPAT_CARBON_VENV=VENV

What is not installed is skipped. The Python clients are in tests/ingest/test_documented.py.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from inapp_monitor import Monitor
from tests.ingest.conftest import latest, make, total, until  # noqa: F401  # a fixture
from tests.ingest.test_listening import open_door
from tests.ports import number_of, reserve_port

pytestmark = [pytest.mark.compat, pytest.mark.peer]


def two_ports() -> tuple[int, int]:
    with reserve_port() as first, reserve_port() as second:
        return number_of(first), number_of(second)


def node(script: str) -> None:
    directory = os.environ.get("COMPAT_NODE_DIRECTORY")
    if not directory:
        pytest.skip("COMPAT_NODE_DIRECTORY is not set")
    subprocess.run(["node", "-e", textwrap.dedent(script)], cwd=directory, timeout=60, check=True)


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_npm_statsd_client_and_hot_shots(
    make: Callable[..., Monitor],  # noqa: F811
    port: int,
    protocol: str,
) -> None:
    """Counters, timers and tags of both; hot-shots over TCP as well."""
    address = f"statsd+{protocol}://127.0.0.1:{port}"
    monitor = make(listen=[address])
    open_door(monitor, address)
    if protocol == "udp":
        node(f"""
            const Client = require("statsd-client");
            const client = new Client({{host: "127.0.0.1", port: {port}, prefix: "npm"}});
            client.increment("orders", 3); client.timing("checkout", 12);
            setTimeout(() => client.close(), 300);
        """)
        until(lambda: total(monitor, "npm.orders") == 3.0)
    node(f"""
        const StatsD = require("hot-shots");
        const client = new StatsD({{host: "127.0.0.1", port: {port}, protocol: "{protocol}"}});
        client.increment("hot.orders", 2, {{shop: "berlin"}}); client.timing("hot.checkout", 7);
        setTimeout(() => client.close(() => {{}}), 300);
    """)
    until(lambda: total(monitor, "hot.orders;shop=berlin") == 2.0)
    assert not monitor.life.services.listening.doors[address].rejects


RELAY = """[relay]
USER =
LOG_DIR = {0}
STORAGE_DIR = {0}
PID_DIR = {0}
LINE_RECEIVER_INTERFACE = 127.0.0.1
LINE_RECEIVER_PORT = {1}
PICKLE_RECEIVER_INTERFACE = 127.0.0.1
PICKLE_RECEIVER_PORT = {2}
RELAY_METHOD = rules
DESTINATIONS = 127.0.0.1:{3}:a
DESTINATION_PROTOCOL = {4}
"""


@pytest.mark.parametrize(("protocol", "scheme"), [("pickle", "carbon+pickle"), ("line", "carbon")])
def test_carbon_relay_forwards(
    make: Callable[..., Monitor],  # noqa: F811
    port: int,
    tmp_path: Path,
    protocol: str,
    scheme: str,
) -> None:
    """A relay of an existing Graphite sends a copy here, also after this app was started anew."""
    venv = os.environ.get("COMPAT_CARBON_VENV")
    if not venv:
        pytest.skip("COMPAT_CARBON_VENV is not set")
    line, pickles = two_ports()
    config = RELAY.format(tmp_path, line, pickles, port, protocol)
    (tmp_path / "carbon.conf").write_text(config)
    rules = f"[all]\ndefault = true\ndestinations = 127.0.0.1:{port}:a\n"
    (tmp_path / "relay-rules.conf").write_text(rules)
    (tmp_path / "storage-schemas.conf").write_text("[all]\npattern = .*\nretentions = 10s:1h\n")
    address = f"{scheme}://127.0.0.1:{port}"
    monitor = make(listen=[address])
    open_door(monitor, address)
    program = Path(venv) / "bin" / "carbon-relay.py"
    options = ["--config", str(tmp_path / "carbon.conf"), "--nodaemon", "start"]
    command = [str(Path(venv) / "bin" / "python"), str(program), *options]
    environment = {**os.environ, "GRAPHITE_ROOT": str(tmp_path), "GRAPHITE_CONF_DIR": str(tmp_path)}
    with (tmp_path / "relay.log").open("wb") as log:
        relay = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        sent = send_until_it_listens(line, b"relayed.one 5 -1\n")
        assert sent, (tmp_path / "relay.log").read_text()
        until(lambda: latest(monitor, "relayed.one") == 5.0)
        monitor.close()
        again = make(listen=[address])
        open_door(again, address)

        def arrived() -> bool:
            send_until_it_listens(line, b"relayed.two 6 -1\n")
            return latest(again, "relayed.two") == 6.0

        until(arrived)
    finally:
        relay.terminate()
        relay.wait(20)


def send_until_it_listens(port: int, line: bytes) -> bool:
    for _ in range(100):
        try:
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(line)
            return True
        except OSError:
            time.sleep(0.1)
    return False


def test_graphyte_sends_lines(make: Callable[..., Monitor], port: int) -> None:  # noqa: F811
    """A client of Carbon from PyPI."""
    pytest.importorskip("graphyte")
    address = f"carbon://127.0.0.1:{port}"
    monitor = make(listen=[address])
    open_door(monitor, address)
    script = f"import graphyte; graphyte.init('127.0.0.1', {port}); graphyte.send('g.x', 4)"
    subprocess.run([sys.executable, "-c", script], timeout=30, check=True)
    until(lambda: latest(monitor, "g.x") == 4.0)
