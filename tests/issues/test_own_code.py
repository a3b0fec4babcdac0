"""Our own code is recognised wherever the package is, so that no failure of ours is the app's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import inapp_monitor
from inapp_monitor.issues import stack, triage
from inapp_monitor.issues.grouping import v1

PACKAGE = Path(inapp_monitor.__file__).parent


@pytest.mark.parametrize("module", [inapp_monitor, triage, v1])
def test_every_depth_of_the_package_is_own(module: object) -> None:
    """The package itself, a room and a folder in a room."""
    assert stack.is_own(str(getattr(module, "__file__", "")))


def test_what_only_begins_like_it_is_not(tmp_path: Path) -> None:
    """A neighbour's name may begin with ours."""
    assert not stack.is_own(f"{PACKAGE}_plugin/module.py")
    assert not stack.is_own(str(tmp_path / "app.py"))


def test_a_package_behind_a_symbolic_link_is_own(tmp_path: Path) -> None:
    """Code names its file by the path of the import, not by that of the target."""
    (tmp_path / "inapp_monitor").symlink_to(PACKAGE, target_is_directory=True)
    code = (
        "from inapp_monitor.issues import stack, triage\n"
        "file = triage.Triage.resolve.__code__.co_filename\n"
        f"assert file.startswith({str(tmp_path)!r}), file\n"
        "assert stack.is_own(file)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, timeout=60)
