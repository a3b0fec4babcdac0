"""The frames of a stack as people read them: runs of library frames are one row each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

#: A shorter run is shown frame by frame.
_SHORTEST_RUN = 3
_PACKAGE = re.compile(r"(?:site|dist)-packages[/\\]([A-Za-z0-9_]+)")
_STANDARD = re.compile(r"[/\\]python3\.\d+[/\\]([A-Za-z0-9_]+)")


def runs_of(frames: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Frames, the innermost first, as runs: `{title, frames}`; the title is empty where they are
    shown one by one."""
    runs: list[dict[str, Any]] = []
    for is_own, group in groupby(reversed(frames), lambda frame: bool(frame.get("in_app", True))):
        run = list(group)
        folded = not is_own and len(run) >= _SHORTEST_RUN
        runs.append({"title": _title(run) if folded else "", "frames": run})
    return runs


def _title(run: Sequence[Mapping[str, Any]]) -> str:
    packages = list(dict.fromkeys(filter(None, map(_package, run))))
    shown = ", ".join(packages[:4]) + (", …" if len(packages) > 4 else "")
    return f"{len(run)} frames" + (f" of {shown}" if shown else "")


def _package(frame: Mapping[str, Any]) -> str:
    """Whose frame it is: a package's name, as its path or its module has it."""
    file = str(frame.get("file") or "")
    found = _PACKAGE.search(file) or _STANDARD.search(file)
    return found[1] if found else str(frame.get("module") or "").partition(".")[0][:40]
