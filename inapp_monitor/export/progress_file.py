"""How far a destination has come: a small file that outlives processes. One writer, the leader."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from inapp_monitor.ground import private_files

_MAX_BYTES: Final = 64 * 2**10
#: Called after each write of a destination's file: with what the disk refused, or None.
Written = Callable[[OSError | None], object]


def ignore(error: OSError | None) -> None:
    """A `Written` where nobody is to be informed."""


@dataclass(slots=True)
class Progress:
    """What was sent to one destination, and how it fares.

    Attributes:
        position: Up to where: a moment, or the number of an event; 0 before anything was looked at.
        sent: Points or events that the peer has taken.
        dropped: Those that it will never get: refused by it, or older than what is kept.
        failures: Attempts in a row that failed.
        last_error: Of the latest one, "" when it is over.
        last_sent: When something was sent, seconds since the epoch.
        waiting_s: Age of the oldest thing that waits.
        waiting: How many events wait.
    """

    position: int = 0
    sent: int = 0
    dropped: int = 0
    failures: int = 0
    last_error: str = ""
    last_sent: float = 0.0
    waiting_s: float = 0.0
    waiting: int = 0


def load(path: Path) -> Progress:
    """The file's; that of a beginning where there is none, or a damaged one."""
    try:
        document = json.loads(private_files.read(path, _MAX_BYTES))
        known = asdict(Progress())
        return Progress(**{name: type(known[name])(document[name]) for name in known})
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return Progress()


def save(path: Path, progress: Progress) -> None:
    """Write it.

    Raises:
        OSError: the disk refuses.
    """
    private_files.make_directory(path.parent)
    private_files.replace(path, json.dumps(asdict(progress)).encode())
