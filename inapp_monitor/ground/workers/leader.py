"""Which process does what must be done once: host collectors, alerts, listeners.

The leader is the process that holds the lock on a file made for it. Each process tries at each
tick, and the system frees the lock when its holder dies, however it dies, so that another process
takes over at its next tick.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from inapp_monitor.ground import private_files

NAME = "leader"


class Leadership:
    """This process's part in the election.

    *Fork:* a child is no leader, and its parent stays one. *Threads:* one tick at a time.
    """

    __slots__ = ("_fd", "_path", "_pid")

    def __init__(self, data_dir: Path) -> None:
        """No I/O before the first `tick`."""
        self._path = data_dir / NAME
        self._fd = -1
        self._pid = 0

    @property
    def is_leader(self) -> bool:
        """Whether this process was elected, as of the last tick."""
        return self._fd >= 0 and self._pid == os.getpid()

    def tick(self) -> bool:
        """Try to become the leader, or check that the lock is still what others look at.

        Returns:
            Whether this process is the leader now. Never raises: where no lock is possible there
            is no leader.
        """
        if self.is_leader:
            if self._still_there():
                return True
            self.resign()
        elif self._fd >= 0:  # inherited: closing it does not free the parent's lock
            self._close()
        return self._try()

    def resign(self) -> None:
        """Let another process lead; at the end of a process this happens by itself."""
        self._close()

    def _try(self) -> bool:
        fd = -1
        try:
            fd = private_files.open_for_update(self._path)
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.pwrite(fd, f"{os.getpid():<20}\n".encode(), 0)
        except OSError:
            if fd >= 0:
                os.close(fd)
            return False
        self._fd, self._pid = fd, os.getpid()
        return True

    def _still_there(self) -> bool:
        """A deleted lock file would let two lead."""
        try:
            there, here = self._path.stat(), os.fstat(self._fd)
        except OSError:
            return False
        return (there.st_ino, there.st_dev) == (here.st_ino, here.st_dev)

    def _close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            private_files.close(fd)
