"""The contracts on imports can fail: each one is broken in a copy of the package, and says where.

That the package itself keeps them is for `make lint`.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("importlinter", reason="comes with the extra `lint`")

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
CONTRACTS = [contract["id"] for contract in PROJECT["tool"]["importlinter"]["contracts"]]
LINTER = "from importlinter.cli import lint_imports_command as main; main()"

#: Contract, modules that are added to the copy with their source, and what the report names.
BROKEN: list[tuple[str, dict[str, str], str]] = [
    ("layers", {"ground/upward": "import inapp_monitor.web.app"}, "ground.upward -> "),
    ("layers", {"query/sideways": "import inapp_monitor.store.lock"}, "query.sideways -> "),
    ("layers", {"utils": ""}, "utils"),
    ("time", {"store/timed": "from time import sleep"}, "store.timed -> time"),
    (
        "werkzeug",
        {
            "issues/typed": "from typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    import werkzeug.wrappers"
        },
        "issues.typed -> werkzeug",
    ),
    ("jinja2", {"cli/page": "import jinja2"}, "cli.page -> jinja2"),
    ("jinja2", {"cli/page": "import markupsafe"}, "cli.page -> markupsafe"),
    ("pygal", {"web/pages/drawn": "import pygal"}, "web.pages.drawn -> pygal"),
    ("numpy", {"store/fast": "def late():\n    import numpy"}, "store.fast -> numpy"),
    ("sqlite", {"issues/rows": "import sqlite3"}, "issues.rows -> sqlite3"),
    ("sqlite", {"issues/rows": "import sqlite_utils"}, "issues.rows -> sqlite_utils"),
    ("blinker", {"issues/sent": "import blinker"}, "issues.sent -> blinker"),
    ("psutil", {"monitor/measured": "import psutil"}, "monitor.measured -> psutil"),
    ("click", {"web/asked": "import click"}, "web.asked -> click"),
    ("regex", {"web/asked": "import regex"}, "web.asked -> regex"),
    ("pure", {"query/functions/waiting": "import threading"}, "waiting -> threading"),
    (
        "pure",
        {
            "issues/grouping/v9": "import inapp_monitor.issues.opened",
            "issues/opened": "import os.path",
        },
        "issues.opened -> os",
    ),
    (
        "circles",
        {
            "recorder/there": "import inapp_monitor.recorder.back",
            "recorder/back": "def late():\n    import inapp_monitor.recorder.there",
        },
        "inapp_monitor.recorder",
    ),
    (
        "circles",
        {
            "web/pages/there": "import inapp_monitor.web.frame.back",
            "web/frame/back": "import inapp_monitor.web.pages.elsewhere",
            "web/pages/elsewhere": "",
        },
        "inapp_monitor.web",
    ),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package and its contracts."""
    folder = tmp_path_factory.mktemp("copy")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "inapp_monitor", folder / "inapp_monitor", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def report(folder: Path, contract: str) -> str:
    """What the linter says of one contract in a folder."""
    command = [sys.executable, "-c", LINTER, "--no-cache", "--contract", contract]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


@pytest.mark.parametrize(("contract", "added", "named"), BROKEN)
def test_a_contract_can_be_broken(
    copy: Path, contract: str, added: dict[str, str], named: str
) -> None:
    """The report of this contract, and of no other, names the module that was added."""
    paths = [copy / "inapp_monitor" / f"{module}.py" for module in added]
    try:
        for path, source in zip(paths, added.values(), strict=True):
            path.write_text(source + "\n")
        said = report(copy, contract)
    finally:
        for path in paths:
            path.unlink(missing_ok=True)
    assert "0 kept, 1 broken" in said
    assert named in said.partition("Broken contracts")[2]


def test_the_copy_keeps_what_is_broken_in_it(copy: Path) -> None:
    """Without the added modules nothing is reported: the tests above mean what they add."""
    kept = report(copy, "circles") + report(copy, "pure")
    assert kept.count("1 kept, 0 broken") == 2


def test_each_contract_is_tried() -> None:
    """Whoever adds one adds how it is broken."""
    assert {contract for contract, _, _ in BROKEN} == set(CONTRACTS)


def claims_to_be_pure(docstring: str) -> bool:
    """Whether a module's docstring says so."""
    return re.search(r"\bPure\b", docstring) is not None


def test_a_module_that_says_pure_is_held_to_it() -> None:
    """It is in the list of the contract, itself or with its package."""
    (contract,) = (c for c in PROJECT["tool"]["importlinter"]["contracts"] if c["id"] == "pure")
    held = contract["source_modules"]
    claims = []
    for path in sorted((ROOT / "inapp_monitor").rglob("*.py")):
        if claims_to_be_pure(ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""):
            claims.append(".".join(path.relative_to(ROOT).with_suffix("").parts))
    assert len(claims) > 10
    assert [m for m in claims if not any(f"{m}.".startswith(f"{each}.") for each in held)] == []
