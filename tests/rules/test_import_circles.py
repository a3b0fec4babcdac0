"""No module imports itself by way of others, counting imports for types and those in functions.

The contract `circles` of pyproject.toml says the same of rooms and of what stands in them; this one
includes the packages' own `__init__` modules.
"""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]


def imports(package: Path) -> dict[str, set[str]]:
    """By module of a package: the package's modules that it imports by name."""
    files = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        files[".".join(part for part in parts if part != "__init__")] = path
    found: dict[str, set[str]] = {}
    for module, path in files.items():
        targets = found[module] = set()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                targets |= {alias.name for alias in node.names} & files.keys()
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{path}:{node.lineno}: imports are absolute here"
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                modules = names & files.keys()
                targets |= modules
                if modules != names and node.module in files:
                    targets.add(node.module)
    return found


def circle(graph: dict[str, set[str]]) -> list[str]:
    """One circle, its first module again at its end; [] where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Neither between rooms nor within one."""
    assert circle(imports(ROOT / "inapp_monitor")) == []


def test_a_circle_is_found(tmp_path: Path) -> None:
    """The check can fail: through a package, through a function, through an import for types."""
    package = tmp_path / "made"
    (package / "room").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "room/__init__.py").write_text("import made.room.one\n")
    (package / "room/one.py").write_text("def late():\n    from made.room import two\n")
    (package / "room/two.py").write_text("from made.room import NAME\n")
    found = circle(imports(package))
    assert found[0] == found[-1]
    assert set(found) == {"made.room", "made.room.one", "made.room.two"}
    (package / "room/two.py").write_text("if TYPE_CHECKING:\n    from made.room.one import late\n")
    assert set(circle(imports(package))) == {"made.room.one", "made.room.two"}
    (package / "room/two.py").write_text("")
    assert circle(imports(package)) == []
