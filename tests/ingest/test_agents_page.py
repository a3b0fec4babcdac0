"""What docs/agents.md and docs/diamond.md tell people to type works as it stands there."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from inapp_monitor import Monitor
from inapp_monitor.collectors.discovery import given
from inapp_monitor.ingest.addresses import parse_address
from inapp_monitor.ingest.protocols.registry import usages
from inapp_monitor.testing import collected
from tests.ingest.conftest import until

DOCS = Path(__file__).parents[2] / "docs"
TOKEN = "the-token-of-the-page"


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text("utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def served(make: Callable[..., Monitor]) -> Iterator[tuple[Monitor, str]]:
    monitor = make(ingest_token=TOKEN)
    server = make_server("127.0.0.1", 0, monitor, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield monitor, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def filled(text: str, url: str) -> str:
    return (
        text.replace("http://127.0.0.1:8000", url)
        .replace('"TOKEN"', f'"{TOKEN}"')
        .replace("Bearer TOKEN", f"Bearer {TOKEN}")
    )


def series(monitor: Monitor) -> set[str]:
    monitor.refresh()
    return {leaf.path for leaf in monitor.store.leaves()}


def test_the_examples_in_python_run(served: tuple[Monitor, str], tmp_path: Path) -> None:
    """A push, a watched registry, an adopted client, a swapped import."""
    monitor, url = served
    space: dict[str, Any] = {"__name__": "page"}
    for block in blocks("agents.md", "python"):
        code = filled(block, url).replace(
            "Monitor(", f"Monitor(data_dir={str(tmp_path / 'd')!r}, app="
        )
        exec(code, space)
    assert "last_success;job=nightly" in series(monitor)
    other = space["monitor"]
    until(lambda: "orders" in series(other), "the adopted client's counter")
    other.close()


def test_the_examples_in_shell_run(served: tuple[Monitor, str]) -> None:
    """curl sends what the page shows."""
    monitor, url = served
    if shutil.which("curl") is None or shutil.which("sh") is None:
        pytest.skip("curl is not installed")
    (block,) = blocks("agents.md", "sh")
    done = subprocess.run(
        ["sh", "-e"], input=filled(block, url), capture_output=True, text=True, check=False
    )
    assert done.stdout.count('"rejected": 0') == 2, done
    assert {"jobs.done", "jobs.failed"} <= series(monitor)


def test_the_addresses_are_understood() -> None:
    """Every `listen` on the page."""
    text = (DOCS / "agents.md").read_text("utf-8")
    addresses = re.findall(r'listen = \["([^"]+)"\]', text)
    assert len(addresses) >= 7
    for address in addresses:
        assert parse_address(address, usages()).port


def test_a_collector_of_diamond_runs_as_written(tmp_path: Path) -> None:
    """The one of docs/diamond.md."""
    (block,) = blocks("diamond.md", "python")
    space: dict[str, Any] = {}
    exec(block.replace("Monitor(", f"Monitor(data_dir={str(tmp_path / 'd')!r}, app="), space)
    found = collected(given(space["queue"]).load())
    assert found["servers.web1.queue.length"] == 12.0
    space["monitor"].close()
