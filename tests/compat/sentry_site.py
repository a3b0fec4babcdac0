"""A shop for `test_sentry_sdks`: pages, a bundle, an address that fails, and the monitor around."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from inapp_monitor import Monitor

STATIC = Path(os.environ["SHOP_STATIC"])
PAGE = (
    '<!doctype html><title>shop</title><script id="settings" type="application/json">{}</script>'
    '<button id="buy">buy</button><script src="/static/app.min.js"></script>'
)


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """`/` with what the environment holds for it, `/static/...`, `/fail`."""
    path = environ["PATH_INFO"]
    if path == "/fail":
        raise ValueError("no price")
    if path.startswith("/static/") and (STATIC / path[8:]).is_file():
        start_response("200 OK", [("Content-Type", "text/javascript")])
        return [(STATIC / path[8:]).read_bytes()]
    start_response("200 OK", [("Content-Type", "text/html")])
    settings = {"dsn": os.environ["SHOP_DSN"]}
    if path == "/tunnelled":
        settings["tunnel"] = "/_metrics/sentry/tunnel"
    return [PAGE.format(json.dumps(settings)).encode()]


application = Monitor(
    app, data_dir=os.environ["SHOP_DATA"], token=os.environ["SHOP_TOKEN"], page_traces=True,
    source_maps=STATIC / "maps",
)  # fmt: skip
