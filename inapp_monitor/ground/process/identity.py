"""Which process this is: a process id alone names two processes in two containers.

Two containers that share a volume both have a process 1, and ids come again after a while. So a
process has a random token, and what proves that it still lives: machine, process namespace and the
time of its start. Where the system tells none of this (no Linux), nothing is proved.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")


class ProcessIdentity(NamedTuple):
    """One process.

    Attributes:
        token: Random; its own in each process.
        place: Boot of the machine and process namespace; "" when unknown.
        pid: Its id there.
        started: When it was started, in clock ticks of that boot; 0 when unknown.
    """

    token: str
    place: str
    pid: int
    started: int


def current() -> ProcessIdentity:
    """Of this process."""
    return _identity_of(os.getpid())


def is_running(place: object, pid: object, started: object) -> bool:
    """Whether a process certainly lives: it is seen from here, and is the one that was meant."""
    if not isinstance(pid, int) or not started or not place or place != current().place:
        return False
    return _started(pid) == started


@functools.lru_cache(maxsize=1)  # of a forked child it is another one
def _identity_of(pid: int) -> ProcessIdentity:
    return ProcessIdentity(os.urandom(8).hex(), _place(), pid, _started(pid))


def _place() -> str:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {(_PROC / 'self/ns/pid').readlink()}"
    except (OSError, ValueError):
        return ""


def _started(pid: int) -> int:
    """The 22nd field of `stat`; the second is a name in brackets that may hold anything.

    0 when there is no such process, or one that has ended and that nobody has waited for.
    """
    try:
        text = (_PROC / str(pid) / "stat").read_bytes()
        fields = text.rpartition(b")")[2].split()
        return 0 if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, ValueError, IndexError):
        return 0
