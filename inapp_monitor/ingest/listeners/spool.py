"""A file that programs append lines to, and that may be rotated: read on from where reading ended.

How far it was read is kept in the data directory, so that what was written while nobody read is
not lost. It is written down when what was read has been stored: a process that is killed between
the two, a few milliseconds of each flush, reads that again, and none is lost. A line counts when
its end is there; of a file that was rotated away the last one needs none.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from inapp_monitor.ground import private_files
from inapp_monitor.ingest.listeners.receiver import Receiver
from inapp_monitor.ingest.listeners.trusted_paths import mode_of

#: In the data directory: path to (device, inode, bytes read).
FILE_NAME = "spool-positions"
_READ_BYTES = 65_536
#: Pieces read at one look: other doors come next.
_AT_ONCE = 16
_MAX_POSITIONS_BYTES = 2**20


class SpoolPositions:
    """How far each spool file was read.

    *Threads:* `of` and `note` are for the thread that listens, the rest for the one that stores.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE_NAME
        self._read: dict[str, list[int]] = {}
        self._stored: dict[str, list[int]] = {}
        self._saved: dict[str, list[int]] = {}

    def of(self, path: str) -> list[int] | None:
        """How far one was read: device, inode, bytes."""
        return self._read.get(path) or self._load().get(path)

    def note(self, path: str, position: list[int]) -> None:
        """What is before it was handed over."""
        self._read[path] = position

    def before_storing(self) -> None:
        """All that was handed over until now is about to be stored."""
        self._stored = dict(self._read)

    def stored(self) -> None:
        """It was.

        Raises:
            OSError: the positions cannot be written; the next call tries it again.
        """
        if self._stored != self._saved:
            positions = {**self._load(), **self._stored}
            private_files.replace(self._path, json.dumps(positions).encode())
            self._saved = self._stored

    def _load(self) -> dict[str, list[int]]:
        try:
            found = json.loads(private_files.read(self._path, _MAX_POSITIONS_BYTES))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


class SpoolDoor:
    """One spool file, which need not be there yet."""

    def __init__(self, path: str, receiver: Receiver, positions: SpoolPositions) -> None:
        self._path = path
        self._receiver = receiver
        self._positions = positions
        self._descriptor = -1
        self._identity: tuple[int, int] = (0, 0)
        self._at = 0
        self._open()

    def fileno(self) -> int:
        return -1

    def read(self) -> None:
        """Nothing tells when there is something: it is looked at."""

    def look(self) -> None:
        """Read what was appended.

        Raises:
            OSError: it cannot be read.
        """
        if self._descriptor < 0 and not self._open():
            return
        found = os.fstat(self._descriptor)
        if found.st_size < self._at:  # emptied, and written anew
            self._at = 0
        is_at_end = self._read_on()
        if is_at_end and not self._is_there():
            self._take_last_line()
            self.close()
            self._open()
        self._positions.note(self._path, [*self._identity, self._at])

    def _open(self) -> bool:
        try:
            if not stat.S_ISREG(mode_of(self._path)):
                raise FileExistsError(f"{self._path} is no file")
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):  # another one by now
            os.close(descriptor)
            raise FileExistsError(f"{self._path} is no file")
        self._descriptor = descriptor
        self._identity = (found.st_dev, found.st_ino)
        position = self._positions.of(self._path)
        is_same = isinstance(position, list) and position[:2] == list(self._identity)
        self._at = int(position[2]) if is_same and position is not None else 0
        return True

    def _is_there(self) -> bool:
        """Whether the open file is still the one at the path."""
        try:
            found = os.stat(self._path)  # noqa: PTH116
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def _read_on(self) -> bool:
        """Take whole lines; whether there is no further one."""
        for _ in range(_AT_ONCE):
            data = os.pread(self._descriptor, _READ_BYTES, self._at)
            end = data.rfind(b"\n") + 1
            if not end:
                if len(data) < _READ_BYTES:
                    return True
                self._receiver.refuse("too_long", data, "")
                end = len(data)
            self._receiver.receive(data[:end], "")
            self._at += end
        return False

    def _take_last_line(self) -> None:
        rest = os.pread(self._descriptor, _READ_BYTES, self._at)
        if rest:
            self._receiver.receive(rest, "")

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
