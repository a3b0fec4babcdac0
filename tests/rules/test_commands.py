"""The commands of the project: what is promised exists, and bad circumstances are said plainly."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


#: What a `make` that runs this very suite hands on to one that a test starts.
HANDED_ON = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "JOBS", "ARGS", "PYTHON"}


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in HANDED_ON}
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_each_target_explains_itself() -> None:
    """`make` alone lists every target with a line about it."""
    targets = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.M)
    assert targets is not None
    explained = re.findall(r"^(\w+): ## .+$", MAKEFILE, re.M)
    assert sorted(targets[1].split()) == sorted(explained)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_documented_make_targets_exist(page: str) -> None:
    """A reader can type what the pages say."""
    named = set(re.findall(r"(?:`|\$ )make (\w+)", (ROOT / page).read_text("utf-8")))
    assert named
    assert named <= set(re.findall(r"^(\w+): ##", MAKEFILE, re.M))


def test_arguments_go_to_pytest() -> None:
    """After our own, so that they win: `JOBS=0`, as pytest's own `-n0`, is for debuggers."""
    shown = run("make", "--dry-run", "test", "ARGS=-k store -x").stdout
    own = "pytest -n 2 --dist loadscope -m 'not peer'"
    assert shown.splitlines()[-1] == f".venv/bin/python -m {own} -k store -x"
    shown = run("make", "--dry-run", "test", "JOBS=0", "ARGS=--pdb").stdout
    assert shown.splitlines()[-1].endswith("pytest -n 0 --dist loadscope -m 'not peer' --pdb")


@pytest.mark.parametrize("script", [".ci/run", ".ci/venv.sh"])
def test_scripts_are_well_formed(script: str) -> None:
    """Their shell accepts them."""
    shell = "bash" if script == ".ci/run" else "sh"
    assert run(shell, "-n", script).returncode == 0


def fake_python(folder: Path, version: str) -> Path:
    """Something that calls itself Python of that version and can do nothing."""
    file = folder / "python of old"
    file.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "Python {version}"\nexit 0\n')
    file.chmod(0o755)
    return file


def test_a_python_that_is_too_old_is_refused_in_one_line(tmp_path: Path) -> None:
    """And no environment is made with it."""
    old = fake_python(tmp_path, "3.9.18")
    answer = run("sh", str(ROOT / ".ci" / "venv.sh"), str(old), "demo", cwd=tmp_path)
    assert answer.returncode == 1
    assert answer.stderr.splitlines() == [
        f"make: PYTHON={old} is Python 3.9.18: inapp-monitor needs Python 3.11 or newer"
    ]
    assert not (tmp_path / ".venv").exists()


def test_a_python_that_is_not_there_is_said(tmp_path: Path) -> None:
    """By its name."""
    answer = run("sh", str(ROOT / ".ci" / "venv.sh"), "no-such-python", "demo", cwd=tmp_path)
    assert answer.returncode == 1
    assert answer.stderr == "make: PYTHON=no-such-python is not there\n"


def test_no_python_at_all_is_said(tmp_path: Path) -> None:
    """With an empty PATH there is nothing to find."""
    shell = shutil.which("sh")
    assert shell is not None
    answer = subprocess.run(
        [shell, str(ROOT / ".ci" / "venv.sh"), "", "demo"],
        cwd=tmp_path,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert "no Python 3.11 or newer found" in answer.stderr


def test_the_lowest_dependencies_are_those_of_the_project() -> None:
    """One constraint each; an upper bound is no part of it."""
    answer = run(sys.executable, ".ci/lowest.py")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert answer.stdout.split() == [
        row.partition(",")[0].replace(">=", "==") for row in project["dependencies"]
    ]
