"""Which process does what must be done once: host collectors, reports of killed workers.

The leader is the process that holds the lock on a file made for it. Each process tries at each
tick, and the system frees the lock when its holder dies, however it dies, so that another process
takes over at its next tick.
"""

from __future__ import annotations

import os
from pathlib import Path

from inapp_monitor.ground import private_files
from inapp_monitor.ground.file_lock import LockFile

NAME = "leader"


class Leadership:
    """This process's part in the election.

    *Fork:* a child is no leader, and its parent stays one. *Threads:* one tick at a time.
    """

    __slots__ = ("_elected", "_file", "_path")

    def __init__(self, data_dir: Path) -> None:
        """No I/O before the first `tick`."""
        self._path = data_dir / NAME
        self._file: LockFile | None = None
        self._elected = 0  # the process that was

    @property
    def is_leader(self) -> bool:
        """Whether this process was elected, as of the last tick."""
        return self._elected == os.getpid()

    def tick(self) -> bool:
        """Try to become the leader, or check that the lock is still what others look at.

        Returns:
            Whether this process is the leader now.

        Raises:
            OSError: no lock is possible here, so that nobody may lead.
        """
        if self._file is None or not self._file.is_at(self._path):
            self.resign()  # a deleted file would let two lead; a parent's lock stays the parent's
            self._file = LockFile(self._path)
        if not self.is_leader and self._file.acquire():
            self._elected = os.getpid()
            try:
                text = f"{os.getpid():<20}\n".encode()
                private_files.write_at(self._file.descriptor, text, 0)
            except OSError:
                pass  # it is for people who look into the file
        return self.is_leader

    def resign(self) -> None:
        """Let another process lead; at the end of a process this happens by itself."""
        file, self._file = self._file, None
        self._elected = 0
        if file is not None:
            file.close()
