"""Whose code a function is, and where it stands, as people read it."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from types import CodeType
from typing import Final

from inapp_monitor.traces.call_site import short_file

APP: Final = "app"
LIBRARY: Final = "library"
STANDARD: Final = "standard library"
BUILTIN: Final = "builtin"

_OWN = f"{Path(__file__).absolute().parents[1]}{os.sep}"
_paths = sysconfig.get_paths()
_STANDARD = tuple(
    {f"{path}{os.sep}" for name in ("stdlib", "platstdlib") if (path := _paths.get(name))}
)
_INSTALLED = ("site-packages", "dist-packages")
_MAX_KNOWN = 10_000


class CodeOwners:
    """Names code objects; remembers what it has named.

    Args:
        packages: Packages of the application that may be installed like a library.
    """

    def __init__(self, packages: Sequence[str] = ()) -> None:
        self._packages = tuple(packages)
        self._known: dict[CodeType, tuple[str, str, str] | None] = {}

    def frame_of(self, code: CodeType | str) -> tuple[str, str, str] | None:
        """Function, place and owner; None for the monitor's own code."""
        if isinstance(code, str):
            return code, "", BUILTIN
        if code in self._known:
            return self._known[code]
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        found = self._known[code] = self._name(code)
        return found

    def _name(self, code: CodeType) -> tuple[str, str, str] | None:
        file = code.co_filename
        if file.startswith(_OWN):
            return None
        place = f"{short_file(file)}:{code.co_firstlineno}"
        return code.co_qualname[:120], place[:200], self._owner(file)

    def _owner(self, file: str) -> str:
        parts = file.replace("\\", "/").split("/")
        for folder in _INSTALLED:
            if folder in parts:
                package = parts[parts.index(folder) + 1].removesuffix(".py")
                return APP if package in self._packages else LIBRARY
        if file.startswith("<"):
            return LIBRARY
        return STANDARD if file.startswith(_STANDARD) else APP
