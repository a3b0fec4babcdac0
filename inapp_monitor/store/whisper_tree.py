"""Whisper files under `DATA_DIR/whisper/`, read where they are and never written.

A file's path is its name: `servers/web1/load.wsp` is `servers.web1.load`. Files of the tagged tree
(`_tagged/`) are listed under their path like the others; their tags are somebody else's business.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Final

from inapp_monitor.ground.exceptions import FormatError
from inapp_monitor.ground.ranges import Leaf, ScalarRange
from inapp_monitor.store import whisper_format
from inapp_monitor.store.retention import Archive, ArchiveWindow
from inapp_monitor.store.whisper_format import WhisperArchive, WhisperHeader

DIRECTORY: Final = "whisper"
_SUFFIX: Final = ".wsp"
#: Seconds after which the tree is listed again.
_LIST_AGAIN_S: Final = 10.0


class WhisperTree:
    """All Whisper files below a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[str, Path] = {}
        self._leaves: list[Leaf] = []
        self._listed_at: float | None = None

    def refresh(self, now: float) -> bool:
        """List the tree again when it is time; True when it has changed.

        Args:
            now: Any clock in seconds.
        """
        if self._listed_at is not None and 0 <= now - self._listed_at < _LIST_AGAIN_S:
            return False
        self._listed_at = now
        files = {name_of(path, self._directory): path for path in walk(self._directory)}
        if files == self._files:
            return False
        self._files = files
        self._leaves = []
        return True

    def leaves(self) -> list[Leaf]:
        """Every readable file, sorted by path."""
        if not self._leaves and self._files:
            for path in sorted(self._files):
                try:
                    header = read_header(self._files[path])
                except (OSError, FormatError):
                    continue
                self._leaves.append(Leaf(path, "whisper", header.method))
        return self._leaves

    def fetch(self, path: str, start: int, end: int, now: int) -> ScalarRange | None:
        """The values of one file by Whisper's own rules; None when it cannot answer."""
        file = self._files.get(path)
        if file is None:
            return None
        try:
            with open_file(file) as handle:
                return read_range(handle.fileno(), path, start, end, now)
        except (OSError, FormatError):
            return None


def walk(directory: Path, failed: Callable[[OSError], object] | None = None) -> list[Path]:
    """All `.wsp` files below a directory; links to directories are not followed.

    Args:
        directory: Where to begin.
        failed: Called for each directory that cannot be listed.
    """
    result = []
    for root, _, names in os.walk(directory, onerror=failed):
        result += [Path(root, name) for name in names if name.endswith(_SUFFIX)]
    return result


def name_of(path: Path, directory: Path) -> str:
    """The series name of a file."""
    return ".".join(path.relative_to(directory).parts)[: -len(_SUFFIX)]


def open_file(path: Path) -> FileIO:
    """A file for reading; a pipe under its name is refused instead of being waited for.

    Raises:
        OSError: it cannot be opened.
        FormatError: it is not a regular file.
    """
    handle = FileIO(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
    if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
        handle.close()
        raise FormatError("not a regular file")
    return handle


def read_header(path: Path) -> WhisperHeader:
    """The header of a file.

    Raises:
        OSError: it cannot be read.
        FormatError: it is no Whisper file.
    """
    with open_file(path) as handle:
        return whisper_format.read_header(os.pread(handle.fileno(), 4096, 0))


def read_range(fd: int, path: str, start: int, end: int, now: int) -> ScalarRange | None:
    """The values of one open file; None when the window is outside of what it keeps."""
    header = whisper_format.read_header(os.pread(fd, 4096, 0))
    window = _window(header, start, end, now)
    if window is None:
        return None
    archive = header.archives[window.archive]
    base = whisper_format.base_time(os.pread(fd, whisper_format.POINT_SIZE, archive.offset))
    data = b"" if not base else _read_points(fd, archive, base, window)
    values = whisper_format.values_at(data, window.start, window.step, window.length)
    return ScalarRange(
        path, window.start, window.end, window.step, values, header.method, header.x_files_factor
    )


def _window(header: WhisperHeader, start: int, end: int, now: int) -> ArchiveWindow | None:
    """As `Retention.window`, for files that break the rules of an archive list too."""
    oldest = now - header.max_retention
    if start > end or start > now or end < oldest:
        return None
    start, end = max(start, oldest), min(end, now)
    number = next(n for n, a in enumerate(header.archives) if a.retention >= now - start)
    archive = header.archives[number]
    ring = Archive(archive.step, archive.points)
    first, last = ring.floor(start) + ring.step, ring.floor(end) + ring.step
    return ArchiveWindow(number, first, max(last, first + ring.step), ring.step)


def _read_points(fd: int, archive: WhisperArchive, base: int, window: ArchiveWindow) -> bytes:
    """The slots of a window; two reads where the ring wraps."""
    first = whisper_format.point_offset(archive, base, window.start)
    size = min(window.length * whisper_format.POINT_SIZE, archive.size)
    upto = min(size, archive.offset + archive.size - first)
    data = os.pread(fd, upto, first)
    if upto < size and len(data) == upto:
        data += os.pread(fd, size - upto, archive.offset)
    return data
