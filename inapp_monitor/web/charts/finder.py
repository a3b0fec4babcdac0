"""Mends what importing pygal leaves in `sys.meta_path`: the application must not pay for it.

pygal adds a finder that has `find_module` only, a protocol that Python 3.12 has dropped: whoever
walks `sys.meta_path` by the present one stumbles over it. The finder gets a `find_spec` that
answers the same. Nothing else of pygal may be touched here.
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


def mend() -> None:
    """Give pygal's finder the present protocol; again and again has no further effect."""
    for finder in sys.meta_path:
        kind = type(finder)
        if kind.__module__ == pygal.__name__ and not hasattr(kind, "find_spec"):
            setattr(kind, "find_spec", _find_spec)  # noqa: B010  # mypy knows no such method
