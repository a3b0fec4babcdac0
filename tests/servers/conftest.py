"""For the server tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A directory that a server's other user can reach; pytest's own are below a private one."""
    path = Path(tempfile.mkdtemp(prefix="inapp-monitor-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)
