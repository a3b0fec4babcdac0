"""graphite-web itself in front of a server of ours: with `make compat` only, which installs it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.compat
ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "tests/data/graphite"
PEER = Path(__file__).parent / "graphite"
ENVIRONMENT = ROOT / ".venv-graphite"


@pytest.fixture(scope="module")
def graphite_web(request: pytest.FixtureRequest) -> Path:
    """The Python of an environment that has graphite-web 1.1.10."""
    if "compat" not in request.config.option.markexpr:
        pytest.skip("installs graphite-web: make compat")
    made = subprocess.run(
        ["sh", str(PEER / "venv.sh"), str(ENVIRONMENT), sys.executable],
        capture_output=True,
        text=True,
    )
    if made.returncode:
        pytest.skip(f"graphite-web cannot be installed here: {made.stderr[-200:]}")
    return ENVIRONMENT / "bin/python"


@pytest.fixture(scope="module")
def server(graphite_web: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `inapp-monitor serve` over the recorded files."""
    data = tmp_path_factory.mktemp("served")
    shutil.copytree(RECORDED / "whisper", data / "whisper")
    command = [sys.executable, "-m", "inapp_monitor", "serve", str(data), "--port", "0",
               "--token", "compat-token"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found is not None
            address = found[0].rstrip("/")
            names = json.loads((RECORDED / "setup.json").read_text("utf-8"))["setup"]["tags"]
            form = urllib.parse.urlencode([("path", name) for name in names]).encode()
            headers = {"Authorization": "Bearer compat-token"}
            request = urllib.request.Request(f"{address}/tags/tagMultiSeries", form, headers)
            urllib.request.urlopen(request, timeout=10).close()
            yield address
        finally:
            process.terminate()


def test_cluster_mode(graphite_web: Path, server: str) -> None:
    """Over our series graphite-web's functions give what they gave over its own files."""
    files = [str(RECORDED / name) for name in ("golden.jsonl", "golden_fuzz.jsonl")]
    command = [str(graphite_web), str(PEER / "cluster.py"),
               str(ENVIRONMENT / "graphite-web-1.1.10"), server, str(RECORDED / "setup.json"),
               *files]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert re.search(r"equal [0-9]{3,} different 0", done.stdout), done.stdout[-500:]
