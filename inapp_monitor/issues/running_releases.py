"""Which releases have run and since when, also those without an error: `DATA_DIR/releases`.

A release that runs well leaves no issue, and yet it must be known to be old when its first error
comes after a later release. So each process writes down its own when it begins to run: a line a
release, `first seen<TAB>name as JSON`. Lines are appended, each by one write; of two with the same
name the earlier time counts. A file and not a table: for a row, every process of a healthy app
would load SQLite.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from inapp_monitor.ground import data_directory, private_files

FILE_NAME = "releases"
#: The file is shortened to those first seen last when it grows past this size.
MAX_SIZE_BYTES = 2**17
MAX_KEPT = 500


class RunningReleases:
    """The file of one data directory, read and appended to by any number of processes.

    *Threads:* any; at worst a line is written twice.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE_NAME
        self._known: dict[str, float] = {}
        self._seen: tuple[int, int, int] | None = None

    def first_seen(self) -> Mapping[str, float]:
        """When each release was first seen running, seconds since 1970 UTC; none when the file
        cannot be read."""
        try:
            status = self._path.stat()
            state = (status.st_size, status.st_mtime_ns, status.st_ino)
            if state != self._seen:
                self._known = _parse(private_files.read(self._path, 2 * MAX_SIZE_BYTES))
                self._seen = state
        except OSError:
            self._known, self._seen = {}, None
        return self._known

    def record(self, release: str, now: float) -> None:
        """Note that a release runs, unless that is known. *Cost:* one `stat` when it is.

        Raises:
            OSError: the file cannot be written.
        """
        if not release or release in self.first_seen():
            return
        data_directory.prepare(self._path.parent)
        if self._seen is not None and self._seen[0] > MAX_SIZE_BYTES:
            kept = sorted(self._known.items(), key=lambda pair: pair[1])[-MAX_KEPT:]
            private_files.replace(self._path, b"".join(_line(*pair) for pair in kept))
        private_files.append_lines(self._path, _line(release, now))


def _line(release: str, first_seen: float) -> bytes:
    return f"{first_seen!r}\t{json.dumps(release)}\n".encode()


def _parse(data: bytes) -> dict[str, float]:
    """A line that is torn or garbled is passed over."""
    found: dict[str, float] = {}
    for line in data.split(b"\n"):
        moment, _, text = line.partition(b"\t")
        try:
            release, first_seen = json.loads(text), float(moment)
        except ValueError:
            continue
        if isinstance(release, str) and math.isfinite(first_seen):
            found[release] = min(first_seen, found.get(release, first_seen))
    return found
