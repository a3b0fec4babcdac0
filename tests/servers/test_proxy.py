"""gunicorn behind nginx, as the page on deployment has it."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from .harness import Served, missing

CONFIG = """
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{behind};
      proxy_set_header X-Request-Start "t=${{msec}}";
    }}
  }}
}}
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
@pytest.mark.skipif(missing("gunicorn sync") != "", reason=missing("gunicorn sync"))
def test_queue_time_behind_nginx(port: int, tmp_path: Path) -> None:
    """The wait of requests for a free worker is told, in milliseconds, from nginx's header."""
    with Served("gunicorn sync", tmp_path, options="-w 1") as served:
        text = CONFIG.format(directory=tmp_path, port=port, behind=served.port)
        (tmp_path / "nginx.conf").write_text(text)
        proxy = subprocess.Popen(["nginx", "-c", tmp_path / "nginx.conf", "-e", tmp_path / "log"])
        try:
            served.port = port
            served.wait_until_open()
            waiting = [served.start_losing("/nap") for _ in range(4)]  # one after the other
            for client in waiting:
                client.join()
        finally:
            proxy.terminate()
            proxy.wait()
        served.stop(signal.SIGTERM)
    (queued,) = served.slots("requests.queue_time")
    assert queued.count == 4
    assert queued.minimum < 300
    # The last one waits for three naps of 0.3 s, less what it came later than the first.
    assert 500 < queued.maximum < 20_000
