"""The application that the server tests run: `application`, monitored, over DATA_DIR.

`python served_site.py SERVER PORT` serves it by a server that has no command of its own.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

from inapp_monitor import Monitor
from inapp_monitor.signals import datapoint

BIG = Path(os.environ["DATA_DIR"]) / "big.bin"


def site(environ: dict[str, Any], start_response: Any) -> Any:
    path = environ["PATH_INFO"]
    if path == "/boom":
        raise RuntimeError("a bug of the application")
    headers = [("Content-Type", "text/plain")]
    if path == "/file" and "wsgi.file_wrapper" in environ:
        start_response("200 OK", [*headers, ("Content-Length", str(BIG.stat().st_size))])
        return environ["wsgi.file_wrapper"](BIG.open("rb"))
    if path == "/stream":
        start_response("200 OK", headers)
        return (b"%d " % os.getpid() for _ in range(3))
    if path == "/endless":
        start_response("200 OK", headers)
        return (b"x" * 65_536 for _ in range(10_000))
    if path == "/slow":
        time.sleep(30)
    if path == "/nap":
        time.sleep(0.3)
    if path == "/deaf":  # to all that can be refused
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))
        time.sleep(30)
    if path == "/hang":  # after a while no other thread or greenlet runs
        time.sleep(1.5)
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))
        ctypes.PyDLL(None).sleep(30)
    while path == "/busy":  # other threads run, but no other greenlet
        pass
    if path == "/ctrl-c":
        datapoint.connect(press_ctrl_c)
    if path == "/ctrl-c-while-loading":
        sys.meta_path.insert(0, CtrlCAtImport())
    if path == "/fork":
        body = fork_and_count()
    else:
        body = str(os.getpid()).encode() if path == "/pid" else b"hello"
    start_response("200 OK", [*headers, ("Content-Length", str(len(body)))])
    return [body]


def press_ctrl_c(_sender: object, **_facts: object) -> None:
    """Ctrl-C in the middle of a flush; once."""
    datapoint.disconnect(press_ctrl_c)
    os.kill(os.getpid(), signal.SIGINT)


class CtrlCAtImport(MetaPathFinder):
    """Ctrl-C in the middle of a late import of the monitor's; once."""

    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname == "inapp_monitor.store.writer":
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)


def fork_and_count() -> bytes:
    """A child that uses the monitor and ends. Returns how many descriptors it held then."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            application.incr("child.calls")
            application.refresh()
            os.write(writing, str(len(list(Path("/proc/self/fd").iterdir()))).encode())
            application.close()
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        held = answer.read()
    os.waitpid(child, 0)
    return held


if not os.environ.get("BARE"):
    flush_s = float(os.environ.get("FLUSH_S", "0.5"))
    settings: dict[str, Any] = {"flush_interval_s": flush_s, "dev_access": False}
    application: Any = Monitor(site, data_dir=Path(os.environ["DATA_DIR"]) / "data", **settings)
else:
    application = site


def main(server: str, port: int) -> None:
    """Serve until a signal ends it."""
    if server == "wsgiref":
        from wsgiref.simple_server import make_server

        make_server("127.0.0.1", port, application).serve_forever()
    elif server == "werkzeug":
        from werkzeug.serving import run_simple

        run_simple("127.0.0.1", port, application, threaded=True)
    elif server == "werkzeug reloader":
        from werkzeug.serving import run_simple

        (Path(os.environ["DATA_DIR"]) / "watched.py").touch()
        watched = [os.environ["DATA_DIR"] + "/watched.py"]
        options: dict[str, Any] = {"use_reloader": True, "extra_files": watched}
        run_simple("127.0.0.1", port, application, threaded=True, **options)
    elif server == "werkzeug processes":
        from werkzeug.serving import run_simple

        run_simple("127.0.0.1", port, application, processes=4)
    elif server == "waitress":
        import waitress

        waitress.serve(application, host="127.0.0.1", port=port, threads=4)
    elif server == "cheroot":
        from cheroot.wsgi import Server

        Server(("127.0.0.1", port), application).safe_start()
    elif server == "gevent":
        from gevent import monkey

        monkey.patch_all()
        from gevent.pywsgi import WSGIServer

        WSGIServer(("127.0.0.1", port), application, log=None).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
