"""A munin-node that answers as a recorded one of Debian did, over a real socket."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Mapping

CONFIG = """graph_title My app requests
graph_category webserver
graph_vlabel req / ${graph_period}
graph_args --base 1000 -l 0
reqs.label requests
reqs.type DERIVE
reqs.min 0
reqs.warning 100
reqs.critical 50:200
errs.label errors
errs.type GAUGE
errs.draw AREA
.
"""


class MuninNode(socketserver.ThreadingTCPServer):
    """Serves `answers` by command on a free port; `port` tells which."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(
        self, answers: Mapping[str, str], banner: str = "# munin node at web1.example.com\n"
    ):
        self.answers = dict(answers)
        self.banner = banner
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        node = self.server
        assert isinstance(node, MuninNode)
        self.wfile.write(node.banner.encode())
        for line in self.rfile:
            command = line.decode().strip()
            if command in ("quit", "."):
                return
            answer = node.answers.get(command, "# Unknown service\n.\n")
            self.wfile.write(answer.encode())
