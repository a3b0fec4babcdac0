"""The wheel: complete, typed, and nothing else in it."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """The wheel, built from this source without any network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    built = subprocess.run(
        [*command, "--directory", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (file,) = folder.glob("*.whl")
    with zipfile.ZipFile(file) as opened:
        yield opened


def test_it_holds_the_whole_package(wheel: zipfile.ZipFile) -> None:
    """Every module, template and static file, and the mark that it is typed."""
    source = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "inapp_monitor").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = {name for name in wheel.namelist() if name.startswith("inapp_monitor/")}
    assert held == source
    assert "inapp_monitor/py.typed" in held
    assert any(name.startswith("inapp_monitor/web/templates/") for name in held)
    assert any(name.startswith("inapp_monitor/web/static/") for name in held)


def test_it_installs_nothing_beside_the_package(wheel: zipfile.ZipFile) -> None:
    """No tests, no demo: one package and its metadata."""
    tops = {name.split("/")[0].split("-")[0] for name in wheel.namelist()}
    assert tops == {"inapp_monitor"}


def test_it_brings_the_command(wheel: zipfile.ZipFile) -> None:
    """`inapp-monitor` is on the path after installing."""
    (name,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "inapp-monitor = inapp_monitor.cli.command_line:main" in wheel.read(name).decode()


def test_the_index_shows_links_that_lead_somewhere(wheel: zipfile.ZipFile) -> None:
    """Links and pictures of the description are absolute; in the repository they are not."""
    (name,) = (name for name in wheel.namelist() if name.endswith("METADATA"))
    text = wheel.read(name).decode()
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert len(targets) > 20
    assert not [each for each in targets if not each.startswith(("https://", "http://", "#"))]
    assert "](https://raw.githubusercontent.com/" in text
    assert "](docs/" in (ROOT / "README.md").read_text("utf-8")
