"""Tests and benches use what is public: private names of the package are for itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Lines that may name something private, where no behaviour shows what must be known: locks that
#: are held while a process forks, and what is kept inside for speed.
MOST = 10
#: Private by their spelling only, or private to others: the standard library and frameworks.
FOREIGN = {
    *("_exit", "_getframe", "_replace", "_asdict", "_fields"),
    *("_cp_config", "_cptree", "_error_handlers", "_get_current_object", "_middleware"),
    *("_middleware_chain", "_plot", "_create_default_https_context"),
}


def is_private(name: str) -> bool:
    """Whether a name begins with one underscore."""
    return name.startswith("_") and not name.startswith("__") and name not in FOREIGN


def names_something_private(node: ast.AST) -> bool:
    """An attribute of another object, an import, or an attribute that is patched by its name."""
    if isinstance(node, ast.Attribute):
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        return is_private(node.attr) and owner not in ("self", "cls")
    if isinstance(node, ast.ImportFrom):
        own = (node.module or "").startswith("inapp_monitor")
        return own and any(is_private(alias.name) for alias in node.names)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        patched = node.args[1:2] if node.func.attr in ("setattr", "delattr") else []
        texts = [each.value for each in patched if isinstance(each, ast.Constant)]
        whole = [each.value for each in node.args[:1] if isinstance(each, ast.Constant)]
        last = [str(text).rpartition(".")[2] for text in whole if node.func.attr == "setattr"]
        return any(is_private(str(text)) for text in [*texts, *last])
    return False


def lines_of(source: str) -> set[int]:
    """The lines that name something private of another object."""
    nodes = ast.walk(ast.parse(source))
    return {node.lineno for node in nodes if names_something_private(node)}  # type: ignore[attr-defined]


def found() -> Iterator[str]:
    for folder in ("tests", "bench"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for line in sorted(lines_of(path.read_text("utf-8"))):
                yield f"{path.relative_to(ROOT)}:{line}"


def test_few_lines_name_something_private() -> None:
    """A test that knows the inside keeps it from changing, and says nothing to a reader."""
    lines = list(found())
    assert len(lines) <= MOST, "\n".join(lines)


def test_the_rule_sees_private_names() -> None:
    """Attributes, imports, and what is patched by name; not one's own, nor foreign ones."""
    for line in (
        "monitor._clock.wall()",
        "from inapp_monitor.web.frame.zones import _named",
        "monkeypatch.setattr(zones, '_DIRECTORY', 1)",
        "monkeypatch.setattr('inapp_monitor.web.frame.zones._DIRECTORY', 1)",
    ):
        assert lines_of(line) == {1}, line
    for line in ("self._clock", "os._exit(0)", "row._replace(a=1)", "monitor.__dict__"):
        assert lines_of(line) == set(), line
