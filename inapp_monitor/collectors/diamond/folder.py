"""Finds Diamond's collectors in a folder and runs their files, without importing them for anybody.

A file is executed once, in a module of its own that is not in `sys.modules`; its imports are those
of Python 2 (`python2_modules`), files of the same folder, and then Python's.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from inapp_monitor.collectors.diamond import contract, python2_modules, python2_source
from inapp_monitor.collectors.diamond.config_file import Section, parse
from inapp_monitor.ground.exceptions import ConfigError

MAX_FILES = 2_000
MAX_FILE_BYTES = 2**20
_NOT_READ = frozenset(("tests", "test", "fixtures", "__pycache__"))
_BASES = frozenset(("Collector", "ProcessCollector", "SNMPCollector"))


class Found(NamedTuple):
    """A collector's class that was found and not run yet."""

    name: str
    path: Path


class Folder:
    """The collectors below a folder.

    Raises:
        ConfigError: there is no such folder.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise ConfigError(f"diamond_collectors = {str(path)!r}: there is no such folder")
        self._files = {file.stem: file for file in _files(path)}
        self._modules: dict[str, ModuleType] = {}

    def find(self) -> list[Found]:
        """The classes that derive from a collector, by name; nothing is run for it."""
        found: dict[str, Found] = {}
        for path in self._files.values():
            for name in _collector_classes(path):
                found.setdefault(name, Found(name, path))
        return [found[name] for name in sorted(found)]

    def load(self, found: Found) -> type[contract.Collector]:
        """Run its file and return the class.

        Raises:
            TypeError: the class is no collector. Exception: whatever the file raises.
        """
        kind = getattr(self._module(found.path.stem), found.name, None)
        if not (isinstance(kind, type) and issubclass(kind, contract.Collector)):
            raise TypeError(f"{found.name} of {found.path} is no collector of Diamond")
        return kind

    def _module(self, name: str) -> ModuleType:
        module = self._modules.get(name)
        if module is None:
            path = self._files[name]
            code = python2_source.compiled(_text(path), str(path))
            module = ModuleType(name)
            module.__dict__["__file__"] = str(path)
            names = {**python2_source.BUILTINS, "__import__": self._import}
            module.__dict__["__builtins__"] = names
            self._modules[name] = module
            try:
                exec(code, module.__dict__)  # noqa: S102  # the files that a setting names
            except BaseException:
                del self._modules[name]
                raise
        return module

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: tuple[str, ...] | None = (),
        level: int = 0,
    ) -> Any:
        first = name.partition(".")[0]
        if level == 0 and name in self._files and "." not in name:
            return self._module(name)
        found = python2_modules.module_of(name) if level <= 0 else None
        if found is None:
            return builtins.__import__(name, globals, locals, fromlist or (), max(level, 0))
        if fromlist or first == name:
            return found
        return python2_modules.module_of(first) or builtins.__import__(first)


def read_configuration(path: Path) -> Section:
    """A `diamond.conf`, with the files of its `collectors_config_path`.

    Raises:
        ConfigError: it cannot be read or understood.
    """
    config = _parsed(path)
    folder = str(config.get("server", {}).get("collectors_config_path", ""))
    sections = config.setdefault("collectors", Section())
    if folder and (path.parent / folder).is_dir():
        for file in sorted((path.parent / folder).glob("*.conf"))[:MAX_FILES]:
            sections.setdefault(file.stem, Section()).merge(_parsed(file))
    return config


def _parsed(path: Path) -> Section:
    try:
        return parse(_text(path), str(path))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _files(folder: Path) -> Iterator[Path]:
    """The files of a folder and those below it that may hold collectors."""
    seen = 0
    for path in sorted(folder.rglob("*.py")):
        inner = path.relative_to(folder).parts
        if _NOT_READ.intersection(inner) or path.name.startswith(("test", ".", "__")):
            continue
        seen += 1
        if seen > MAX_FILES:
            return
        yield path


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"{path} is larger than {MAX_FILE_BYTES} bytes")
    return data.decode("utf-8", "replace")


def _collector_classes(path: Path) -> list[str]:
    """Classes of a file whose base is named as a collector. A file that cannot be read has one, by
    its own name: loading it says why it does not run."""
    try:
        tree = python2_source.parsed(_text(path), str(path))
    except (SyntaxError, ValueError, OSError):
        return [path.stem.title().replace("_", "") + "Collector"]
    return [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        and node.name not in _BASES
        and any(ast.unparse(base).endswith("Collector") for base in node.bases)
    ]
