"""ARCHITECTURE.md names only what is there.

Its backticked words are checked against the source: paths, `module.name`, `Class.member`, class
names, and a plain name that stands right after the path of its file.
"""

from __future__ import annotations

import ast
import builtins
import re
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "inapp_monitor"
PAGE = ROOT / "ARCHITECTURE.md"

PATH = re.compile(r"[\w.-]+(?:/[\w.*-]+)*/?")
DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
CLASS = re.compile(r"[A-Z][a-z]+\w*")
FILE_ENDINGS = (".py", ".md", ".toml", ".css", ".js", ".html")


@cache
def names_of(module: Path) -> dict[str, set[str] | None]:
    """Top-level names of a module: a class with its members, other definitions with an empty
    set (what they hold is not known), imported names with None (they are defined elsewhere)."""
    found: dict[str, set[str] | None] = {}
    for node in ast.parse(module.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = members_of(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[node.name] = set()
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.update({(alias.asname or alias.name): None for alias in node.names})
        else:
            found.update({name: set() for name in assigned(node)})
    return found


def members_of(node: ast.ClassDef) -> set[str]:
    """Methods, attributes of the class, and what methods assign to self."""
    found = {
        inner.name
        for inner in ast.walk(node)  # also those that only type checkers see
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    for inner in ast.walk(node):
        found |= assigned(inner)
        if (
            isinstance(inner, ast.Attribute)
            and isinstance(inner.ctx, ast.Store)
            and isinstance(inner.value, ast.Name)
            and inner.value.id == "self"
        ):
            found.add(inner.attr)
    return found


def assigned(node: ast.AST) -> set[str]:
    """Plain names that an assignment binds."""
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return {target.id for target in targets if isinstance(target, ast.Name)}


@cache
def modules() -> dict[str, Path]:
    """All modules by dotted name inside the package: `web.auth`, `store`, `clock`."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


def is_there(dotted: str) -> bool:
    """Whether `module`, `module.name`, `module.Class.member` or `Class.member` exists."""
    parts = dotted.removeprefix("inapp_monitor.").split(".")
    if parts[0] in sys.stdlib_module_names or hasattr(builtins, parts[0]):
        return True
    for length in range(len(parts), 0, -1):
        tail = ".".join(parts[:length])
        homes = [path for name, path in modules().items() if f".{name}".endswith(f".{tail}")]
        if any(length == len(parts) or has(path, parts[length:]) for path in homes):
            return True
    return any(has(path, parts) for path in modules().values())


def has(module: Path, parts: list[str]) -> bool:
    names = names_of(module)
    if parts[0] not in names:
        return False
    members = names[parts[0]]
    return len(parts) == 1 or (members is not None and (not members or parts[1] in members))


def wrong_names(text: str) -> list[str]:
    """The backticked words of a page that name something that is not there."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    wrong, file = [], None
    for match in re.finditer(r"`([^`\n]+)`", text):
        word, previous_file = match[1], file
        file = None
        if PATH.fullmatch(word) and ("/" in word or word.endswith(FILE_ENDINGS)):
            found = [path for path in (ROOT / word, PACKAGE / word) if path.exists()]
            found = found or list(PACKAGE.glob(f"*/{word}"))  # of the room that the line is about
            if found:
                file = found[0]
            elif not list(ROOT.glob(word)):
                wrong.append(word)
        elif DOTTED.fullmatch(word):
            if not is_there(word):
                wrong.append(word)
        elif CLASS.fullmatch(word):
            if not hasattr(builtins, word) and not is_there(word):
                wrong.append(word)
        elif (
            previous_file is not None
            and word.isidentifier()
            and previous_file.suffix == ".py"
            and text[match.start() - 2 : match.start()] == "` "
            and word not in names_of(previous_file)
        ):
            wrong.append(f"{word} in {previous_file.name}")
    return wrong


def test_the_page_names_only_what_is_there() -> None:
    """A renamed file or symbol is renamed here too."""
    assert wrong_names(PAGE.read_text("utf-8")) == []


#: What lies at the root of the package: a new room or module there is a decision.
ROOMS = {
    *("alerts", "cli", "collectors", "compat", "database", "export", "ground", "ingest"),
    *("integrations", "issues", "logs", "monitor", "query", "recorder", "request", "store"),
    *("traces", "web"),
}
ROOT_FILES = {
    *("__init__.py", "__main__.py", "diamond.py", "metrics.py", "signals.py", "testing.py"),
    "py.typed",
}


def test_the_root_of_the_package_holds_rooms_and_public_modules() -> None:
    """What is new belongs into one of the rooms, unless it is a room that is listed here and in
    ARCHITECTURE.md."""
    found = {path.name for path in PACKAGE.iterdir()} - {"__pycache__"}
    assert found == ROOMS | ROOT_FILES
    page = PAGE.read_text("utf-8")
    named = {f"{room}/" for room in ROOMS} | ROOT_FILES - {"__init__.py", "py.typed"}
    missing = {name for name in named if f"| `inapp_monitor/{name}`" not in page}
    assert missing == set()


def test_the_page_is_short_enough_to_be_read() -> None:
    """At most 200 lines."""
    assert PAGE.read_text("utf-8").count("\n") <= 200


@pytest.mark.parametrize(
    "text",
    [
        "`inapp_monitor/gone.py`",
        "`clock.Clok`",
        "`Clock.wal`",
        "`Clok`",
        "`nowhere.thing`",
        "`inapp_monitor/ground/clock.py` `gone`",
    ],
)
def test_a_name_that_is_gone_is_noticed(text: str) -> None:
    """The check can fail."""
    assert len(wrong_names(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "`inapp_monitor/ground/clock.py` `Clock`",
        "`clock.Clock.wall`",
        "`Clock`",
        "`README.md`",
        "`os.pwrite` `list.append` `OSError` `environ`",
        "`h[i] = h.get(i, 0) + 1`",
        "```\n`Gone`\n```",
    ],
)
def test_what_is_there_or_not_ours_passes(text: str) -> None:
    """Foreign words and code are left alone."""
    assert wrong_names(text) == []
