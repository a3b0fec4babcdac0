"""Which slug stands for which route, shared by all workers and kept for good.

Two routes can have the same slug; the one written first keeps it, in every worker and after every
restart, so that one series never mixes two routes. The file `DATA_DIR/routes` has a line a route,
`slug<TAB>route`; lines are only ever appended, each by one write, and of two lines with the same
slug the first one counts. A file that holds anything else is damaged: it is set aside, and the next
one begins with what was sound in it. It must not know what a slug is used for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from inapp_monitor.ground import data_directory, private_files

FILE_NAME = "routes"
#: The file is not read or grown past this size: some 5,000 routes.
MAX_SIZE_BYTES = 2**20
#: A line, or the part of one that a killed process or a full disk left.
_MAYBE_TORN = re.compile(rb'[!-~]*(\t("[ -~]*)?)?', re.ASCII)


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """Routes by slug, as all workers have named them."""

    routes: Mapping[str, str] = field(default_factory=dict)


class RouteNames:
    """The file of one data directory, read and appended to by any number of processes.

    Attributes:
        is_damaged: Whether it holds what nobody has written, as of the last `load`.

    *Threads:* for one thread at a time.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE_NAME
        self._known: dict[str, str] = {}
        self._seen: tuple[int, int, int] = (0, 0, 0)  # size, and what tells another file
        self.is_damaged = False

    def load(self) -> dict[str, str]:
        """Slug to route, as all workers have written so far.

        Raises:
            OSError: the file is there and cannot be read.
        """
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._known, self._seen = {}, (0, 0, 0)
            return {}
        state = (status.st_size, status.st_mtime_ns, status.st_ino)
        if state != self._seen:
            data = private_files.read(self._path, MAX_SIZE_BYTES)
            self._known = _parse(data)
            self._seen = state
            self.is_damaged = not all(map(_MAYBE_TORN.fullmatch, data.split(b"\n")))
        return dict(self._known)

    def set_aside(self, now: float) -> str:
        """Put a damaged file away and begin another one with what is sound in it.

        Returns:
            The name that it has now; "" when it cannot be renamed.

        Raises:
            OSError: it cannot be read, or the other one cannot be written.
        """
        sound = self.load()
        moved = private_files.set_aside(self._path, now)
        if moved is None:
            return ""
        lines = b"".join(_line(slug, route) for slug, route in sound.items())
        private_files.replace(self._path, lines)
        self.load()
        return moved.name

    def is_there(self) -> bool:
        """Whether the file exists: somebody may have deleted it under us."""
        return self._path.exists()

    def save_new(self, slugs: Mapping[str, str]) -> dict[str, str]:
        """Append what is not written yet, and return what all workers agree on.

        Raises:
            OSError: the file cannot be written.
        """
        known = self.load()
        lines = b"".join(_line(slug, route) for slug, route in slugs.items() if slug not in known)
        if lines and self._seen[0] + len(lines) <= MAX_SIZE_BYTES:
            data_directory.prepare(self._path.parent)
            private_files.append_lines(self._path, lines)
            known = self.load()
        return known


def _line(slug: str, route: str) -> bytes:
    return f"{slug}\t{json.dumps(route)}\n".encode()


def _parse(data: bytes) -> dict[str, str]:
    """A line that is torn or garbled is passed over."""
    routes: dict[str, str] = {}
    for line in data.split(b"\n"):
        slug, _, text = line.partition(b"\t")
        try:
            route = json.loads(text)
            if isinstance(route, str):
                routes.setdefault(slug.decode("ascii"), route)
        except ValueError:
            continue
    return routes
