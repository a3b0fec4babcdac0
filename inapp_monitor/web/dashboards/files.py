"""Dashboards kept as files in the app's own repository: `dashboards_dir`. Read only, bounded.

`NAME.toml`, `NAME.json` and `NAME.graphite.json` are read when they are asked for and again when
they changed, so that a checkout is enough to change them. A file that cannot be understood
is shown with what is wrong instead of being left out silently.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.web.dashboards.format import (
    NAME,
    WRITERS,
    Document,
    read,
)

MAX_FILES = 200
MAX_FILE_BYTES = 2**20


class DashboardFile(NamedTuple):
    """One file.

    Attributes:
        path: Where it is.
        document: What it holds; None when it cannot be understood.
        problem: Why not, else "".
    """

    path: Path
    document: Document | None
    problem: str = ""


_State = tuple[int, int, int]


class DashboardFiles:
    """The files of one directory; no I/O before they are asked for."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._read: dict[Path, tuple[_State, DashboardFile]] = {}

    def all(self) -> dict[str, DashboardFile]:
        """The dashboards by name; of several files of a name the first one counts."""
        if self._directory is None:
            return {}
        try:
            paths = sorted(path for path in self._directory.iterdir() if _name(path))[:MAX_FILES]
        except OSError as error:
            problem = f"dashboards_dir cannot be read: {error.strerror or error}"
            return {"": DashboardFile(self._directory, None, problem)}
        found: dict[str, DashboardFile] = {}
        for path in paths:
            found.setdefault(_name(path), self._file(path))
        kept = {path: entry for path, entry in self._read.items() if path in paths}
        self._read = kept
        return found

    def _file(self, path: Path) -> DashboardFile:
        try:
            status = path.stat()
            state = (status.st_size, status.st_mtime_ns, status.st_ino)
            known = self._read.get(path)
            if known is not None and known[0] == state:
                return known[1]
            made = self._parsed(path, status.st_size)
            self._read[path] = (state, made)
        except OSError as error:
            return DashboardFile(path, None, f"{path.name}: {error.strerror or error}")
        return made

    def _parsed(self, path: Path, size: int) -> DashboardFile:
        if size > MAX_FILE_BYTES or not path.is_file():
            problem = f"{path.name}: no file of at most {MAX_FILE_BYTES} bytes"
            return DashboardFile(path, None, problem)
        try:
            return DashboardFile(path, read(path.read_text("utf-8")).document)
        except (QueryError, UnicodeDecodeError) as error:
            return DashboardFile(path, None, f"{path.name}: {error}")


def _name(path: Path) -> str:
    """The dashboard that a file is, "" when it is none."""
    for ending in sorted(WRITERS, key=len, reverse=True):
        name = path.name.removesuffix(f".{ending}")
        if name != path.name:
            return name if NAME.fullmatch(name) else ""
    return ""
