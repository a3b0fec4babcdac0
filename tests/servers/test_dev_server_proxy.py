"""Development servers behind a proxy that cannot be seen: real nginx, `flask run`, runserver.

nginx speaks HTTP/1.1 to them, rewrites Host to their loopback address and adds no header; a tunnel
hands bytes on. Their requests look like those of a local browser: none is let in without a token.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.ports import number_of, reserve_port

from .harness import ROOT

pytestmark = [
    pytest.mark.compat,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed"),
]

NGINX = """
daemon off;
pid {directory}/nginx.pid;
events {{}}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  upstream site {{ server 127.0.0.1:{behind}; keepalive 4; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://site;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host 127.0.0.1:{behind};
    }}
  }}
}}
"""

FLASK = """
from flask import Flask
from inapp_monitor import Monitor
app = Flask(__name__)
app.wsgi_app = Monitor(app.wsgi_app, data_dir="data", collect_host=False)
@app.get("/")
def index():
    return "hello"
"""

DJANGO = """
import sys
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse
from django.urls import path
settings.configure(
    SECRET_KEY="x", DEBUG=True, ALLOWED_HOSTS=["*"], ROOT_URLCONF="site_wsgi",
    WSGI_APPLICATION="site_wsgi.application",
)
urlpatterns = [path("", lambda request: HttpResponse("hello"))]
def application(environ, start_response):
    global application
    from django.core.wsgi import get_wsgi_application
    from inapp_monitor import Monitor
    application = Monitor(get_wsgi_application(), data_dir="data", collect_host=False)
    return application(environ, start_response)
if __name__ == "__main__":
    sys.modules["site_wsgi"] = sys.modules["__main__"]
    execute_from_command_line(["site_wsgi.py", "runserver", "--noreload", sys.argv[1]])
"""


COMMANDS = {
    "flask run": ["flask", "--app", "site_flask.py", "run", "--port", "PORT"],
    "flask run, reloader": ["flask", "--app", "site_flask.py", "run", "--debug", "--port", "PORT"],
    "runserver": ["site_django.py", "PORT"],
}


@contextmanager
def served(name: str, directory: Path) -> Iterator[tuple[int, Path]]:
    """A development server's port, and the file of its output."""
    (directory / "site_flask.py").write_text(FLASK)
    (directory / "site_django.py").write_text(DJANGO)
    reserved = reserve_port()
    port, output = number_of(reserved), directory / "output"
    first, *others = [str(port) if word == "PORT" else word for word in COMMANDS[name]]
    command = [sys.executable, *(["-m", first] if first == "flask" else [first]), *others]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=directory, env=environ, stdout=file, stderr=file, start_new_session=True
        )
        try:
            until(lambda: is_open(port), name)
            yield port, output
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def nginx(behind: int, directory: Path) -> Iterator[int]:
    """The port of nginx in front of a server."""
    port = number_of(reserve_port())
    text = NGINX.format(directory=directory, port=port, behind=behind)
    (directory / "nginx.conf").write_text(text)
    process = subprocess.Popen(["nginx", "-c", directory / "nginx.conf", "-e", directory / "log"])
    try:
        until(lambda: is_open(port), "nginx")
        yield port
    finally:
        process.terminate()
        process.wait()


@contextmanager
def tunnel(behind: int, _: Path) -> Iterator[int]:
    """The port of what hands bytes on, as `ssh -R` or `socat` do."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", behind)) as there:
                back = threading.Thread(target=pump, args=(there, self.request), daemon=True)
                back.start()
                pump(self.request, there)
                back.join()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()


def pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(condition: Callable[[], object], what: str) -> None:
    for _ in range(300):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError(f"waited for {what}")


def ask(port: int, path: str, **headers: str) -> tuple[int, http.client.HTTPMessage, str]:
    """What a visitor of the world gets, whose Host says loopback where that helps them."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={"Accept": "text/html", **headers})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("proxy", "name"),
    [
        *((nginx, "flask run"), (tunnel, "flask run, reloader"), (tunnel, "runserver")),
        pytest.param(nginx, "flask run, reloader", marks=pytest.mark.peer),
        pytest.param(nginx, "runserver", marks=pytest.mark.peer),
        pytest.param(tunnel, "flask run", marks=pytest.mark.peer),
    ],
)
def test_the_world_is_not_let_in_and_the_developer_by_one_click(
    proxy: Callable[[int, Path], Any], name: str, tmp_path: Path
) -> None:
    """401 through proxy and directly; the link in the terminal opens, at each start."""
    for start in range(2):
        with served(name, tmp_path) as (port, output), proxy(port, tmp_path) as outside:
            assert ask(outside, "/")[0] == 200
            for path in ("/_metrics/", "/_metrics/status.json", "/_metrics/render?target=a"):
                assert ask(outside, path, Host=f"127.0.0.1:{port}")[0] == 401
                assert ask(port, path)[0] == 401
            assert "terminal" in ask(port, "/_metrics/")[2]
            until(lambda out=output: b"?token=" in out.read_bytes(), "the link")  # type: ignore[misc]
            links = re.findall(r"open the dashboard at (\S+\?token=[\w-]+)", output.read_text())
            assert len(links) == 1, f"start {start}"
            assert links[0].startswith((f"http://127.0.0.1:{port}/", f"http://localhost:{port}/"))
            path = links[0].partition(str(port))[2]
            status, headers, _ = ask(port, path)
            assert status == 303
            cookie = headers["Set-Cookie"].partition(";")[0]
            assert ask(port, "/_metrics/status", Cookie=cookie)[0] == 200
