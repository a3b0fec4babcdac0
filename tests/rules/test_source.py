"""Rules of style that no linter knows: how long, how introduced, and what is never mentioned."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("inapp_monitor", "demo_app", "tests", "bench", "docs", ".ci")
TEXT = {".py", ".md", ".html", ".css", ".js", ".svg", ".sql", ".toml", ".sh", ""}
PACKAGES = ("inapp_monitor", "demo_app")

#: Words that tie the project to somebody's machine or leave work for later; written in two parts
#: so that this file passes its own test.
FORBIDDEN = (
    "/" + "work/",
    "/" + "root/",
    "/" + "home/",
    "shared" + "/reference",
    "shared" + "/corpus",
    "TO" + "DO",
    "FIX" + "ME",
    "XX" + "X:",
    "breakpoint" + "()",
)

LONGEST_FUNCTION = 60
LONGEST_MODULE = 600


def text_files() -> Iterator[Path]:
    """All source and documentation, recorded data left out."""
    top = (path for path in sorted(ROOT.glob("*")) if path.name != ".git")
    yield from (path for path in top if path.is_file() and path.suffix in TEXT)
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and path.suffix in TEXT and "data" not in path.parts:
                yield path


def modules() -> list[Path]:
    return [path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))]


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def own_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function, those of functions inside it left to these."""
    inner = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node is not function
    ]
    lines = set(range(function.lineno, (function.end_lineno or 0) + 1))
    for node in inner:
        lines -= set(range(node.lineno, (node.end_lineno or 0) + 1))
    return len(lines)


@pytest.mark.parametrize("word", FORBIDDEN)
def test_no_file_mentions(word: str) -> None:
    """Somebody's paths and left-over notes have no place in the project."""
    found = [
        f"{short(path)}:{number}"
        for path in text_files()
        if "__pycache__" not in path.parts
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1)
        if word in line
    ]
    assert not found


@pytest.mark.parametrize("path", modules(), ids=short)
def test_a_module_opens_with_what_it_is_for_and_fits_a_head(path: Path) -> None:
    """A docstring first; short modules of short functions."""
    source = path.read_text("utf-8")
    tree = ast.parse(source)
    assert ast.get_docstring(tree), "no docstring"
    assert source.count("\n") <= LONGEST_MODULE
    lengths = {
        node.name: own_lines(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert not {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION}
