"""The release of the application when no setting names it: the checked-out git revision.

To be asked when the code is loaded: later another revision may lie beside a running app.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """The release that runs, "" when none is known."""

    release: str = ""


def detect_release(directory: Path | None = None) -> str:
    """The first 12 digits of the revision checked out in a directory or above it, or "".

    Reads `.git` itself: no process is started.
    """
    try:
        start = directory if directory is not None else Path.cwd()
        for place in (start, *start.parents):
            git = place / ".git"
            if git.exists():
                return _revision(git)[:12]
    except (OSError, UnicodeDecodeError):
        pass
    return ""


def _revision(git: Path) -> str:
    if git.is_file():  # a worktree: the file names the real one
        git = git.parent / git.read_text("utf-8").partition("gitdir:")[2].strip()
    head = (git / "HEAD").read_text("utf-8").strip()
    if not head.startswith("ref:"):
        return head
    name = head[4:].strip()
    common = git / "commondir"
    roots = [git, git / common.read_text("utf-8").strip()] if common.exists() else [git]
    for root in roots:
        if (root / name).is_file():
            return (root / name).read_text("utf-8").strip()
        packed = root / "packed-refs"
        if packed.is_file():
            for line in packed.read_text("utf-8").splitlines():
                if line.endswith(f" {name}"):
                    return line.split(" ", 1)[0]
    return ""
