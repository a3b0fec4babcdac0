"""What `/metrics/find` answers about series that are held in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from werkzeug.test import Client

from inapp_monitor.cli.serving import stored_backend
from inapp_monitor.query.memory_source import MemorySource
from inapp_monitor.web.app import WebApp


def find_rows(names: list[str], query: str, **parameters: Any) -> list[tuple[str, dict[str, Any]]]:
    """(id, row) of each row of the tree."""
    return [(row["id"], row) for row in _found(names, query, parameters)]


def find_paths(names: list[str], query: str) -> list[str]:
    """The paths of what is found."""
    return [row["path"] for row in _found(names, query, {"format": "json"})]


def _found(names: list[str], query: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as directory:
        backend = stored_backend(Path(directory), may_write=False)
        backend.source = MemorySource([(name, 0, 60, [1.0]) for name in names])
        client = Client(WebApp(backend, authorizer=lambda environ: True))
        answer = client.get("/metrics/find", query_string={"query": query, **parameters})
        assert answer.status_code == 200, answer.get_data(as_text=True)
        rows: list[dict[str, Any]] = answer.get_json()
        return rows
