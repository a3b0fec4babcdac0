"""Completes the import finder that pygal leaves in `sys.meta_path`: it has no `find_spec`.

It stays, for an app that uses `pygal.maps` needs it; as it is, Python 3.11 warns at each import
that fails (an error under `-W error`), and code that walks `sys.meta_path` stumbles over it.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from typing import Any

import pygal


def _find_spec(finder: Any, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:  # noqa: ARG001
    loader = finder.find_module(name, path)
    return None if loader is None else spec_from_loader(name, loader)


def complete_pygals_finder() -> None:
    """Give pygal's finder the present protocol; again and again has no further effect."""
    for finder in sys.meta_path:
        kind = type(finder)
        if kind.__module__ == pygal.__name__ and not hasattr(kind, "find_spec"):
            setattr(kind, "find_spec", _find_spec)  # noqa: B010  # mypy knows no such method
