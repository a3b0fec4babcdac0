"""Whose code a function is: the application's own ("in-app"), a library's or the monitor's."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Sequence

from inapp_monitor.issues.stack import is_own

_INSTALLED = ("site-packages", "dist-packages")
#: Names of the functions that dataclasses, attrs and the like write for a class.
_DUNDER = "__"


class CodePlaces:
    """Decides which code is the application's own by file, module and function name.

    Code in a folder of installed packages is a library's, unless it belongs to a package of the
    application. Code that was generated belongs to the module it was generated in; methods with two
    underscores, such as the `__init__` of a dataclass, are nobody's.

    Args:
        include: Module prefixes that are in-app wherever they are installed.
        exclude: Module prefixes that are not.
        packages: Packages of the application; like `include`, but after `exclude`.
    """

    def __init__(
        self,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        packages: Sequence[str] = (),
    ) -> None:
        self._include = tuple(include)
        self._exclude = tuple(exclude)
        self._packages = tuple(packages)
        self._by_file: dict[tuple[str, str, bool], bool] = {}
        paths = sysconfig.get_paths()
        kept = {paths[name] for name in ("stdlib", "platstdlib") if name in paths}
        kept |= {os.path.realpath(path) for path in kept}
        self._libraries = tuple(path + os.sep for path in kept)
        scripts = sysconfig.get_path("scripts")
        self._commands = {scripts, os.path.realpath(scripts)}

    def in_app(self, filename: str, module: str, function: str = "") -> bool:
        """Whether a frame of this file, module and function is the application's own."""
        generated = filename.startswith("<")
        key = (filename, module, generated and function.rpartition(".")[2].startswith(_DUNDER))
        known = self._by_file.get(key)
        if known is None:
            if len(self._by_file) > 5_000:
                self._by_file.clear()
            known = self._by_file[key] = self._decide(*key)
        return known

    def in_app_by_path(self, filename: str, module: str) -> bool:
        """What rule 1 of grouping took for the application's own."""
        if _has_prefix(module, self._include):
            return True
        if _has_prefix(module, self._exclude) or is_own(filename):
            return False
        if filename.startswith("<"):
            return not filename.startswith("<frozen ")
        if any(name in filename for name in _INSTALLED):
            return False
        return self._is_outside_libraries(filename)

    def _decide(self, filename: str, module: str, dunder: bool) -> bool:
        if _has_prefix(module, self._include):
            return True
        if _has_prefix(module, self._exclude) or is_own(filename):
            return False
        if filename.startswith("<"):
            return self._is_generated_by_app(filename, module, dunder)
        if _has_prefix(module, self._packages):
            return True
        if not set(_INSTALLED).isdisjoint(filename.replace("\\", "/").split("/")):
            return False
        return self._is_outside_libraries(filename)

    def _is_generated_by_app(self, filename: str, module: str, dunder: bool) -> bool:
        if filename.startswith("<frozen ") or not module:
            return False
        if module == "__main__":  # `python -c`
            return True
        if dunder:
            return False
        file = getattr(sys.modules.get(module), "__file__", None)
        if type(file) is not str or file.startswith("<"):
            return True  # what the application executes under a name of its own
        return self._decide(file, module, dunder=False)

    def _is_outside_libraries(self, filename: str) -> bool:
        if filename.rpartition(os.sep)[0] in self._commands:  # what pip made to start gunicorn
            return False
        return not filename.startswith(self._libraries)


def _has_prefix(module: str, prefixes: tuple[str, ...]) -> bool:
    return any(module == prefix or module.startswith(prefix + ".") for prefix in prefixes)
