"""The demo for any WSGI server: `gunicorn -w 2 demo_app.wsgi:application`.

`DEMO_DATA_DIR` names the directory of its data; default `demo-data`.
"""

from __future__ import annotations

import os
from pathlib import Path

from demo_app.application import build

application = build(Path(os.environ.get("DEMO_DATA_DIR", "demo-data")))
