"""Rules of style that no linter knows: how long, how introduced, and what is never mentioned."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Set
from pathlib import Path

import pytest

from tests.each import each

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
LONGEST_MODULE = 450
#: Functions that may be longer. What every request calls are closures of these two: their names are
#: cells, which cost less inside an application than attributes of an object or of a module.
LONG_FUNCTIONS = {
    "inapp_monitor/request/middleware.py": {"_bound", "build"},
}


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


def too_long(source: str, allowed: Set[str] = frozenset()) -> dict[str, int]:
    """Functions of more lines than a screen has, by name; functions inside them count. Of those
    that share a name, as methods of two classes do, the longest."""
    lengths: dict[str, int] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            lengths[node.name] = max(length, lengths.get(node.name, 0))
    return {
        name: length
        for name, length in lengths.items()
        if length > LONGEST_FUNCTION and name not in allowed
    }


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


@each("path", modules(), ids=short)
def test_a_module_opens_with_what_it_is_for_and_fits_a_head(path: Path) -> None:
    """A docstring first; short modules of short functions."""
    source = path.read_text("utf-8")
    assert ast.get_docstring(ast.parse(source)), "no docstring"
    assert not too_long(source, LONG_FUNCTIONS.get(short(path), frozenset()))
    assert source.count("\n") <= LONGEST_MODULE


@pytest.mark.parametrize("inside", ["", "    def inner():\n", "    class Inner:\n"])
def test_what_is_inside_a_function_counts(inside: str) -> None:
    """A long function is found also where its lines are those of functions and classes in it."""
    body = "        pass\n" if inside else "    pass\n"
    source = "async def outer():\n" + inside + body * (LONGEST_FUNCTION - bool(inside))
    assert set(too_long(source)) == {"outer"}
    assert not too_long(source.removesuffix(body))
    assert not too_long(source, {"outer"})


@pytest.mark.parametrize("lengths", [(LONGEST_FUNCTION, 1), (1, LONGEST_FUNCTION)])
def test_each_of_two_functions_of_one_name_counts(lengths: tuple[int, int]) -> None:
    """A short one does not hide a long one, whichever comes first."""
    source = "".join(
        f"class Class{number}:\n    def __init__(self):\n" + "        pass\n" * length
        for number, length in enumerate(lengths)
    )
    assert too_long(source) == {"__init__": LONGEST_FUNCTION + 1}


def test_the_exceptions_are_needed() -> None:
    """A function that may be long and has become short is taken off the list."""
    for name, functions in LONG_FUNCTIONS.items():
        assert set(too_long((ROOT / name).read_text("utf-8"))) == functions


#: Where files are made by hand.
MAKE_FILES = {"inapp_monitor/ground/private_files.py"}


def makes_files_by_hand(source: str) -> bool:
    """Whether a module opens files for writing other than by `ground.private_files`."""
    return any(flag in source for flag in ("os.O_" + "NOFOLLOW", "os.O_" + "TRUNC", ", 0o600)"))


def test_private_files_are_made_in_one_place() -> None:
    """Mode, links, pipes and short writes are handled there and nowhere else."""
    found = {short(path) for path in modules() if makes_files_by_hand(path.read_text("utf-8"))}
    assert found == MAKE_FILES


def test_a_file_that_is_made_by_hand_is_noticed() -> None:
    """The check can fail."""
    assert makes_files_by_hand("fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)")
    assert not makes_files_by_hand("fd = private_files.open_for_update(path)")
