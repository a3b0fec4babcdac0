"""gunicorn's configuration in the tests: a worker leaves a file once it is ready.

Ready means that its own signal handlers stand. A worker that is still starting ignores SIGTERM,
goes on answering, and is killed when the master's patience ends.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def post_worker_init(worker: Any) -> None:
    """Called in a worker when it begins to listen."""
    Path(os.environ["DATA_DIR"], f"ready-{worker.pid}").touch()
