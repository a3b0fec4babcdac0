"""`python -m demo_app`: the shop on a development server, visitors beside it, until it is stopped.

The server runs in this process, the visitors in another one. Ctrl-C, SIGTERM or the end of
`--seconds` stops the visitors first (they wait for the answers still under way and print how many
they got), then the server. Exit codes: 0 stopped, 2 the port is taken or an argument is wrong.
"""

from __future__ import annotations

import argparse
import logging.handlers
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from demo_app.application import build

_HOST = "127.0.0.1"
_PATIENCE_S = 40.0  # longer than a visitor waits for an answer


class _QuietHandler(WSGIRequestHandler):
    """Does not log every request: the dashboard shows them."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        del code, size


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m demo_app", description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="0: any free one")
    parser.add_argument("--seconds", type=float, default=None, help="stop by itself after this")
    parser.add_argument(
        "--linger", type=float, default=0.0, help="seconds the server outlives the traffic"
    )
    parser.add_argument("--rate", type=float, default=40.0, help="requests a second")
    parser.add_argument("--data-dir", type=Path, default=Path("demo-data"))
    parser.add_argument("--no-traffic", action="store_true", help="the shop alone")
    parser.add_argument(
        "--history", type=float, default=None, metavar="DAYS", help="begin with a made-up past"
    )
    parser.add_argument(
        "--fault",
        type=float,
        nargs="?",
        const=180.0,
        default=None,
        metavar="SECONDS",
        help="a bad deploy, so long after the start",
    )
    return parser.parse_args(argv)


def listen(port: int) -> socket.socket:
    """A listening socket on the loopback interface.

    Raises:
        OSError: the port is taken or not ours to use.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_HOST, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        raise OSError(getattr(error, "strerror", None) or str(error)) from None
    return listener


def start_server(
    listener: socket.socket, data_dir: Path, fault_after_s: float | None = None
) -> BaseWSGIServer:
    """The shop behind werkzeug's development server, serving in a thread."""
    data_dir.mkdir(parents=True, exist_ok=True)
    log = logging.handlers.RotatingFileHandler(data_dir / "shop.log", maxBytes=2**20, backupCount=1)
    logging.getLogger("demo_app.shop").addHandler(log)
    port = listener.getsockname()[1]
    server = make_server(
        _HOST,
        port,
        build(data_dir, fault_after_s),
        threaded=True,
        request_handler=_QuietHandler,
        fd=listener.fileno(),
    )
    threading.Thread(target=server.serve_forever, name="demo-server", daemon=True).start()
    return server


def start_traffic(port: int, rate: float, seconds: float | None) -> subprocess.Popen[bytes]:
    """The visitors, in a process (and a process group: Ctrl-C is passed on in order)."""
    command = [sys.executable, "-m", "demo_app.traffic", "--url", f"http://{_HOST}:{port}"]
    command += ["--rate", str(rate)]
    if seconds is not None:
        command += ["--seconds", str(seconds)]
    # A signal that comes while the other process still starts waits until it can be counted.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        return subprocess.Popen(command, start_new_session=True)  # noqa: S603 (our own command)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def report(text: str) -> None:
    """Print lines whole: `print` writes their end apart where output is unbuffered, and the
    monitor's log or the visitors may write in between.
    """
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def stop_traffic(traffic: subprocess.Popen[bytes]) -> None:
    """Ask the visitors to leave; they print their line first."""
    traffic.terminate()
    try:
        traffic.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        traffic.kill()
        traffic.wait()
        report("traffic: did not stop, ended it: its count is lost")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo until it is stopped; returns the exit code."""
    arguments = parse_arguments(argv)
    try:
        listener = listen(arguments.port)
    except OSError as error:
        where = f"{_HOST}:{arguments.port}"
        print(
            f"demo: cannot use {where} ({error}), try another port: make demo PORT=8765",
            file=sys.stderr,
        )
        return 2
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        # In a thread, because this one may hold the event's lock when the signal strikes.
        signal.signal(number, lambda *_: threading.Thread(target=stopped.set).start())
    period = "" if arguments.history else "?from=-15min"
    if arguments.history:
        port = listener.getsockname()[1]
        report(f"Writing {arguments.history:g} days of past ...")
        try:
            _write_past(arguments.data_dir, arguments.history, f"{_HOST}:{port}")
        except OSError as error:
            print(f"demo: {error}; remove it, or leave --history out", file=sys.stderr)
            return 2
    server = start_server(listener, arguments.data_dir, arguments.fault)
    url = f"http://{_HOST}:{server.port}"
    report(f"shop:      {url}/\ndashboard: {url}/_metrics/{period}")
    report("Open the dashboard in a browser. Ctrl-C stops the demo.")
    traffic = None
    if not arguments.no_traffic:
        traffic = start_traffic(server.port, arguments.rate, arguments.seconds)
    _wait(stopped, traffic, arguments.seconds)
    if traffic is not None:
        stop_traffic(traffic)
    stopped.wait(arguments.linger)
    server.shutdown()
    server.server_close()
    report("demo: stopped")
    return 0


def _write_past(data_dir: Path, days: float, site: str) -> None:
    from demo_app import history

    history.write(data_dir / "monitor", days=min(max(days, 0.1), 400.0), site=site)


def _wait(
    stopped: threading.Event, traffic: subprocess.Popen[bytes] | None, seconds: float | None
) -> None:
    """Until a signal comes or, where `seconds` are given, they and the traffic are over."""
    end = None if seconds is None else time.monotonic() + seconds
    while not stopped.wait(0.2):
        if end is not None and time.monotonic() >= end:
            return
        if end is not None and traffic is not None and traffic.poll() is not None:
            return


if __name__ == "__main__":
    sys.exit(main())
