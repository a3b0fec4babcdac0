"""A thousand clients that leave early, on five servers: sent must be counted, and nobody remain.

    make bench BENCH=impatient        or: python bench/impatient.py [--clients 1000] [SERVER...]

Each reads the beginning of an answer that takes a tenth of a second; half of them reset the
connection, the others close it. Five seconds later the counts are compared.
"""

from __future__ import annotations

import argparse
import json
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

TOKEN = "only-for-this-measurement"
AT_ONCE = 20
BODY = """
import time
from inapp_monitor import Monitor
def body():
    for _ in range(8):
        time.sleep(0.01)
        yield b"x" * 20_000
"""
FLASK = f"""{BODY}
import flask
app = flask.Flask("shop")
app.add_url_rule("/slow", view_func=lambda: app.response_class(body()))
app.wsgi_app = Monitor(app.wsgi_app, token="{TOKEN}")
"""
DJANGO = f"""{BODY}
import sys
from django.conf import settings
settings.configure(
    DEBUG=True, SECRET_KEY="x", ROOT_URLCONF="manage", WSGI_APPLICATION="manage.application"
)
sys.modules["manage"] = sys.modules[__name__]
import django
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import StreamingHttpResponse
from django.urls import path
urlpatterns = [path("slow", lambda request: StreamingHttpResponse(body()))]
application = Monitor(get_wsgi_application(), token="{TOKEN}")
execute_from_command_line(sys.argv)
"""
SERVERS = {
    "flask run": ("-m", "flask", "--app", "shop", "run", "-p", "{port}"),
    "runserver": ("manage.py", "runserver", "--noreload", "{port}"),
    "waitress": ("-m", "waitress", "--listen", "127.0.0.1:{port}", "--threads", "16", "shop:app"),
    "cheroot": ("-m", "cheroot", "--bind", "127.0.0.1:{port}", "shop:app"),
    "gunicorn": ("-m", "gunicorn", "-b", "127.0.0.1:{port}", "--threads", "16", "shop:app"),
}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def asked(port: int, path: str) -> Any:
    """A page's JSON."""
    url = f"http://127.0.0.1:{port}/_metrics/{path}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def visit(port: int, *, resets: bool) -> None:
    """Read the beginning of an answer, and leave."""
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        connection.recv(1_000)
        if resets:
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def wait_for(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise SystemExit("the server did not start")


def run(name: str, clients: int) -> bool:
    """Whether all were counted, and none is left."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "shop.py").write_text(FLASK, "utf-8")
        Path(folder, "manage.py").write_text(DJANGO, "utf-8")
        port = free_port()
        arguments = [each.format(port=port) for each in SERVERS[name]]
        server = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(port)
            return measure(name, port, clients)
        finally:
            server.terminate()
            server.wait(20)


def measure(name: str, port: int, clients: int) -> bool:
    def client(number: int) -> None:
        for visited in range(clients // AT_ONCE):
            visit(port, resets=(visited + number) % 2 == 0)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(5)
    sent = clients // AT_ONCE * AT_ONCE
    answer = asked(port, "render?target=sumSeries(requests.status.*)&from=-30min&format=json")
    counted = sum(value or 0 for series in answer for value, _ in series["datapoints"])
    under_way = asked(port, "runtime.json")["live_requests"]
    left = sum("/slow" in json.dumps(each) for each in under_way)
    print(f"{name:10} sent {sent}, counted {counted:g}, being answered after 5 s: {left}")
    return counted == sent and not left


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("servers", nargs="*", choices=[[], *SERVERS])
    parser.add_argument("--clients", type=int, default=1_000)
    given = parser.parse_args()
    results = [run(name, given.clients) for name in given.servers or SERVERS]
    if not all(results):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
