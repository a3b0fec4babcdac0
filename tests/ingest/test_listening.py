"""Doors of a running monitor: real sockets, real clients' bytes."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from inapp_monitor import ConfigError, Monitor
from inapp_monitor.ingest.doors import Door
from inapp_monitor.ingest.listeners import loop
from tests.ingest.conftest import app, latest, total, until
from tests.ports import number_of, reserve_port


def open_door(monitor: Monitor, address: str) -> Door:
    """The door's counts, once it is open."""
    door = monitor.life.services.listening.doors[address]
    until(lambda: door.state == "open", f"{address} to open")
    return door


def test_a_line_over_tcp_and_one_over_udp(make: Callable[..., Monitor], port: int) -> None:
    """`nc` and any Carbon client are heard; a bad line is counted and costs only itself."""
    tcp, udp = f"carbon://127.0.0.1:{port}", f"carbon+udp://127.0.0.1:{port}"
    monitor = make(listen=[tcp, udp])
    open_door(monitor, tcp)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"garbage\nshop.orders 7\nshop.ha")
        client.sendall(b"lf 8\n")
    open_door(monitor, udp)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"shop.visits 3", ("127.0.0.1", port))
    for path, value in (("shop.orders", 7.0), ("shop.half", 8.0), ("shop.visits", 3.0)):
        until(lambda path=path, value=value: latest(monitor, path) == value, path)
    door = open_door(monitor, tcp)
    assert (door.lines, door.points, door.connections) == (3, 2, 1)
    assert door.rejects == {"fields": 1}
    assert door.last_rejected["fields"].text == "garbage"
    assert door.last_client.startswith("127.0.0.1:")


def test_statsd_over_udp_tcp_and_unix_sockets(make: Callable[..., Monitor], tmp_path: Path) -> None:
    """One counter, sent in every way that StatsD's and DogStatsD's clients have."""
    with reserve_port() as first, reserve_port() as second:
        udp, tcp = (number_of(each) for each in (first, second))
    stream, datagram = tmp_path / "stream.sock", tmp_path / "datagram.sock"
    addresses = [
        f"statsd://127.0.0.1:{udp}",
        f"statsd+tcp://127.0.0.1:{tcp}",
        f"statsd+unixstream://{stream}",
        f"statsd+unix://{datagram}",
    ]
    monitor = make(listen=addresses)
    for address in addresses:
        open_door(monitor, address)
    line = b"jobs.done:1|c|#queue:mail"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(line, ("127.0.0.1", udp))
    with socket.create_connection(("127.0.0.1", tcp)) as client:
        client.sendall(line + b"\n")
    for prefix in (b"", struct.pack("<L", len(line))):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(stream))
            client.sendall(prefix + line + b"\n" * (not prefix))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.sendto(line, str(datagram))
    until(lambda: total(monitor, "jobs.done;queue=mail") == 5.0)
    assert stat.S_IMODE(datagram.stat().st_mode) == 0o660
    monitor.close()
    assert not stream.exists()
    assert not datagram.exists()


def test_names_of_statsd(make: Callable[..., Monitor], port: int) -> None:
    """An existing dashboard finds what StatsD would have sent to Graphite."""
    address = f"statsd://127.0.0.1:{port}?names=statsd&flushInterval=300&legacyNamespace=false"
    monitor = make(listen=[address])
    open_door(monitor, address)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"shop.orders:3|c\nshop.t:10|ms\nshop.t:30|ms", ("127.0.0.1", port))
    until(lambda: total(monitor, "stats.counters.shop.orders.count") == 3.0)
    assert open_door(monitor, address).last_point == "shop.t 30"
    until(lambda: latest(monitor, "stats.timers.shop.t.upper_90") == 30.0)
    monitor.close()


def test_a_taken_port_and_a_missing_directory_are_said_and_retried(
    make: Callable[..., Monitor], tmp_path: Path
) -> None:
    """The app goes on; the door opens once it can."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    port = taken.getsockname()[1]
    directory = tmp_path / "later"
    tcp, unix = f"carbon://127.0.0.1:{port}", f"statsd+unix://{directory}/s.sock"
    monitor = make(listen=[tcp, unix])
    doors = monitor.life.services.listening.doors
    until(lambda: "in use" in doors[tcp].state)
    until(lambda: "No such file" in doors[unix].state)
    assert {f"listening at {tcp}", f"listening at {unix}"} <= set(monitor.guard.faults)
    taken.close()
    directory.mkdir()
    open_door(monitor, tcp)
    open_door(monitor, unix)
    until(lambda: not any(name.startswith("listening") for name in monitor.guard.faults))


def test_a_socket_left_behind_by_a_dead_process(
    make: Callable[..., Monitor], tmp_path: Path
) -> None:
    """Its file is replaced; that of a live one is not."""
    path = tmp_path / "s.sock"
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    dead.bind(str(path))
    dead.close()
    address = f"statsd+unixstream://{path}"
    monitor = make(listen=[address])
    open_door(monitor, address)
    other = make(listen=[address], data_dir=tmp_path / "other")
    doors = other.life.services.listening.doors
    until(lambda: "in use" in doors[address].state)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("carbn://127.0.0.1:2003", "unknown protocol"),
        ("carbon://example.org:2003", "no IP address"),
        ("statsd+fax://127.0.0.1:1", "does not come by 'fax'"),
        ("statsd://127.0.0.1:8125?names=other", "names=other"),
        ("statsd://127.0.0.1:8125?colour=red", "unknown option 'colour'"),
        ("statsd+unix://run/s.sock", "expected statsd\\+unix:///path"),
        ("lines://127.0.0.1", "the port is missing"),
        ("unix:///run/s.sock?mode=rw", "expected permissions"),
        ("statsd://127.0.0.1:8125?names=statsd&percentThreshold=x", "percentThreshold=x"),
        ("carbon://127.0.0.1:99999", "ange"),
    ],
)
def test_a_bad_address_is_an_error_when_the_monitor_is_made(
    tmp_path: Path, address: str, problem: str
) -> None:
    """It names the address and what was expected."""
    with pytest.raises(ConfigError, match=problem) as caught:
        Monitor(app, data_dir=tmp_path, listen=[address])
    assert address in str(caught.value)


def sockets() -> set[str]:
    """The sockets that this process has open."""
    links = Path("/proc/self/fd").iterdir()
    found = {str(link.readlink()) for link in links if link.is_symlink()}
    return {name for name in found if name.startswith("socket:")}


def test_doors_are_open_after_the_first_tick(tmp_path: Path, port: int) -> None:
    """Of the worker that was elected in it: the next one may be a flush interval away."""
    address = f"carbon://127.0.0.1:{port}"
    monitor = Monitor(app, data_dir=tmp_path, listen=[address], collect_host=False)
    try:
        monitor.tick()  # no thread ticks before the first request
        assert monitor.life.ticker is None
        assert monitor.life.services.listening.is_open
        open_door(monitor, address)
    finally:
        monitor.close()


def test_the_next_tick_of_another_worker_opens_the_doors_of_a_killed_one(
    tmp_path: Path, port: int
) -> None:
    """Two ticks after the end of their holder at most they are open again."""
    address = f"carbon://127.0.0.1:{port}"
    script = f"""
import time
from inapp_monitor import Monitor

monitor = Monitor(lambda environ, start_response: [], data_dir={str(tmp_path)!r},
                  listen=[{address!r}], collect_host=False, enabled=True)
monitor.tick()
(door,) = monitor.life.services.listening.doors.values()
while door.state != "open":
    time.sleep(0.01)
print("open", flush=True)
time.sleep(300)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as holder:
        monitor = Monitor(app, data_dir=tmp_path, listen=[address], collect_host=False)
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"open\n"
            monitor.tick()
            assert not monitor.life.services.listening.is_open
            holder.kill()
            holder.wait()
            monitor.tick()
            assert monitor.life.services.listening.is_open
            open_door(monitor, address)
        finally:
            holder.kill()
            monitor.close()


def test_a_fork_leaves_the_doors_to_the_parent(make: Callable[..., Monitor], port: int) -> None:
    """A child has none of the sockets, and what is sent still reaches the parent."""
    before = sockets()
    address = f"carbon://127.0.0.1:{port}"
    monitor = make(listen=[address])
    open_door(monitor, address)
    assert sockets() - before
    pid = os.fork()
    if pid == 0:
        os._exit(len(sockets() - before))
    assert os.waitpid(pid, 0)[1] == 0
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"shop.after 1\n")
    until(lambda: latest(monitor, "shop.after") == 1.0)


def test_a_fifo(make: Callable[..., Monitor], tmp_path: Path) -> None:
    """Shells write lines of both kinds; a writer never waits to open it, half a line of one that
    died counts when nothing follows, and the FIFO outlives its reader."""
    path = tmp_path / "metrics"
    monitor = make(listen=[f"fifo://{path}"])
    open_door(monitor, f"fifo://{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    script = f"echo 'backups:1|c' > {path}; printf 'disk.free 7\\nbackups:2|c' > {path}"
    subprocess.run(["sh", "-c", script], timeout=20, check=True)
    until(lambda: total(monitor, "backups") == 3.0)
    assert latest(monitor, "disk.free") == 7.0
    monitor.close()
    assert path.is_fifo()


def test_a_spool_file(make: Callable[..., Monitor], tmp_path: Path) -> None:
    """Appended, rotated and written while nobody reads: each line counts once."""
    path = tmp_path / "spool"
    address = f"spool://{path}"
    monitor = make(listen=[address])
    open_door(monitor, address)

    def append(text: str) -> None:
        with path.open("a") as file:
            file.write(text)

    append("jobs:1|c\njobs:10|")
    until(lambda: total(monitor, "jobs") == 1.0)
    append("c\n")
    until(lambda: total(monitor, "jobs") == 11.0)
    append("jobs:100|c")
    path.rename(tmp_path / "spool.1")
    append("jobs:1000|c\n")
    until(lambda: total(monitor, "jobs") == 1111.0)
    monitor.close()
    append("jobs:10000|c\n")
    again = make(listen=[address])
    until(lambda: total(again, "jobs") == 11111.0)


@pytest.mark.parametrize("transport", ["fifo", "spool"])
def test_a_link_that_another_user_has_put_there(
    make: Callable[..., Monitor], tmp_path: Path, transport: str
) -> None:
    """Is not followed: lines of a file that only this process may read would be on a page."""
    path, private = tmp_path / "metrics", tmp_path / "private"
    if transport == "fifo":
        os.mkfifo(private)
    else:
        private.write_text("jobs:1|c\nsecret of root\n")
    path.symlink_to(private)
    try:
        os.chown(path, 12_345, 12_345, follow_symlinks=False)
    except PermissionError:
        pytest.skip("only root gives files away")
    address = f"{transport}://{path}"
    monitor = make(listen=[address])
    door = monitor.life.services.listening.doors[address]
    until(lambda: "link of another user" in door.state)
    assert not door.lines
    os.chown(path, os.geteuid(), -1, follow_symlinks=False)
    open_door(monitor, address)
    if transport == "spool":
        until(lambda: door.lines == 2)


def test_what_is_no_fifo_and_no_file_is_not_opened(
    make: Callable[..., Monitor], tmp_path: Path
) -> None:
    """A device or a directory in their place is named in the door's state."""
    (tmp_path / "device").symlink_to("/dev/null")
    (tmp_path / "directory").mkdir()
    addresses = [
        f"{transport}://{tmp_path}/{name}"
        for transport in ("fifo", "spool")
        for name in ("device", "directory")
    ]
    doors = make(listen=addresses).life.services.listening.doors
    for address in addresses:
        until(lambda address=address: "is no fi" in doors[address].state.lower(), address)


def test_a_reader_of_a_spool_file_that_is_killed(
    make: Callable[..., Monitor], tmp_path: Path
) -> None:
    """What it had read and not stored is read again by the next one, and what it had stored not."""
    path = tmp_path / "spool"
    path.write_text("jobs:1|c\n")
    script = f"""
import os, signal, time
from inapp_monitor import Monitor

monitor = Monitor(lambda environ, start_response: [], data_dir={str(tmp_path / "data")!r},
                  listen=["spool://{path}"], flush_interval_s=60, enabled=True)
monitor.refresh()
(door,) = monitor.life.services.listening.doors.values()
while door.lines < 1:
    time.sleep(0.01)
monitor.refresh()
with open({str(path)!r}, "a") as file:
    file.write("jobs:10|c\\n")
while door.lines < 2:
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    monitor = make(listen=[f"spool://{path}"])
    until(lambda: total(monitor, "jobs") == 11.0)


def test_pickles_over_tcp(make: Callable[..., Monitor], port: int) -> None:
    """What carbon-relay forwards, split anywhere; a late point is stored where it belongs."""
    address = f"carbon+pickle://127.0.0.1:{port}"
    monitor = make(listen=[address])
    open_door(monitor, address)
    now = int(time.time())
    points = [("relay.a", (now - 3_600, 1.5)), ("relay.a", (now, 2.5)), ("relay.b", (now + 600, 1))]
    frame = pickle.dumps(points, 2)
    data = struct.pack(">L", len(frame)) + frame
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(data[:7])
        client.sendall(data[7:])
    until(lambda: latest(monitor, "relay.a") == 2.5)
    (series,) = monitor.store.fetch(["relay.a"], now - 3_620, now - 3_580, now)
    assert 1.5 in list(series.values)
    assert open_door(monitor, address).rejects == {"timestamp_range": 1}


def test_a_client_that_sends_half_a_line_and_stays(
    make: Callable[..., Monitor], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of connections is bounded; the one that was silent longest goes."""
    monkeypatch.setattr(loop, "MAX_CONNECTIONS", 8)
    address = f"carbon://127.0.0.1:{port}"
    monitor = make(listen=[address])
    door = open_door(monitor, address)
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    for client in clients:
        client.sendall(b"half.a.li")
    until(lambda: door.connections == 20)
    with socket.create_connection(("127.0.0.1", port)) as last:
        last.sendall(b"shop.whole 1\n")
        until(lambda: latest(monitor, "shop.whole") == 1.0)
    assert door.refused_connections == 13
    for client in clients:
        client.close()
    until(lambda: door.rejects["truncated"] + 12 >= 20)
