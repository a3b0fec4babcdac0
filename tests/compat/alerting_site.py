"""An app whose `/pay` fails while a file exists, for gunicorn: `alerting_site:application`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from inapp_monitor import Monitor

HERE = Path(os.environ["SITE"])


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    if environ["PATH_INFO"] == "/pay" and (HERE / "broken").exists():
        raise RuntimeError("the payment backend is gone")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"paid"]


application = Monitor(app, config=HERE / "monitor.toml")
