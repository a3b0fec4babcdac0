"""The payment provider that the shop calls: a small HTTP server of its own beside the shop.

It answers at once, unless it has been told to be slow. Started with the first payment of a process,
so that a server which forks has one in each worker.
"""

from __future__ import annotations

import http.client
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_PATIENCE_S = 5.0


class PaymentProvider:
    """The provider and the shop's client of it.

    Attributes:
        slow_s: How long an answer takes.
    """

    def __init__(self) -> None:
        self.slow_s = 0.0
        self._pid = 0
        self._port = 0
        self._lock = threading.Lock()

    def accepts(self, receipt: str) -> bool:
        """Ask whether a payment is taken. Raises OSError when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self._started(), timeout=_PATIENCE_S)
        try:
            connection.request("GET", f"/payments/{receipt}")
            return connection.getresponse().status == 204
        finally:
            connection.close()

    def _started(self) -> int:
        with self._lock:
            if self._pid != os.getpid():
                provider = self

                class Answer(BaseHTTPRequestHandler):
                    def do_GET(self) -> None:
                        time.sleep(provider.slow_s)
                        self.send_response(204)
                        self.end_headers()

                    def log_message(self, *_: Any) -> None: ...

                server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
                server.daemon_threads = True
                threading.Thread(target=server.serve_forever, daemon=True).start()
                self._pid, self._port = os.getpid(), server.server_port
            return self._port
