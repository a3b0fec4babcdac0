"""What all workers must know about access: wrong tokens by place, and sessions that were ended.

A small file of the data directory, read whole and replaced whole. Where it cannot be written, each
process goes by what it knows itself. It holds no address and no token: places are hashes.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inapp_monitor.ground import data_directory, private_files
from inapp_monitor.ground.clock import sleep
from inapp_monitor.ground.guard import Guard
from inapp_monitor.web.access.attempts import Attempts, Used
from inapp_monitor.web.access.sessions import Session

#: Name of the file inside the data directory.
FILE_NAME = "access"
#: Ended sessions remembered by number; of more, all that began as early are ended.
MAX_ENDED = 1_000
_MAX_BYTES = 2**18
_TRIES, _PAUSE_S = 50, 0.001
_PART = "access file"
#: What reading a file raises that is none of these.
_DAMAGE = (LookupError, TypeError, AttributeError, ArithmeticError, ValueError, RecursionError)


@dataclass(slots=True)
class State:
    """What the file holds.

    Attributes:
        attempts: Wrong tokens.
        ended: Sessions that were ended before they expired: number to expiry.
        ended_until: All sessions that expire by then are ended.
    """

    attempts: Attempts = field(default_factory=Attempts)
    ended: dict[str, int] = field(default_factory=dict)
    ended_until: int = 0

    def is_ended(self, session: Session) -> bool:
        """Whether somebody logged out of it."""
        return session.expiry <= self.ended_until or session.number in self.ended

    def end(self, number: str, expiry: int, now: float) -> None:
        """Remember that a session was ended."""
        self.ended = {name: at for name, at in self.ended.items() if at > now}
        self.ended[number] = expiry
        while len(self.ended) > MAX_ENDED:
            oldest = min(self.ended, key=lambda name: self.ended[name])
            self.ended_until = max(self.ended_until, self.ended.pop(oldest))

    def to_bytes(self) -> bytes:
        """As the file holds it."""
        attempts = self.attempts
        document = {
            "places": {n: [u.count, u.at] for n, u in attempts.places.items()},
            "total": [attempts.total.count, attempts.total.at],
            "known": attempts.known,
            "ended": self.ended,
            "ended_until": self.ended_until,
        }
        return json.dumps(document, separators=(",", ":")).encode("ascii") + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> State:
        """What `to_bytes` made.

        Raises:
            ValueError: it is something else.
        """
        try:
            document: dict[str, Any] = json.loads(data)
            places = {str(n): Used(float(c), float(a)) for n, (c, a) in document["places"].items()}
            count, at = document["total"]
            known = {str(name): float(at) for name, at in document["known"].items()}
            ended = {str(name): int(at) for name, at in document["ended"].items()}
            attempts = Attempts(places, Used(float(count), float(at)), known)
            return cls(attempts, ended, int(document["ended_until"]))
        except _DAMAGE as error:
            raise ValueError(f"the file {FILE_NAME} is damaged: {error!r}") from None


class SharedState:
    """The file of one data directory.

    *Threads and processes:* any; what one changes, all see at once. Nothing stays open.
    """

    def __init__(self, data_dir: Path, guard: Guard, *, may_write: bool = True) -> None:
        self._directory = data_dir
        self._path = data_dir / FILE_NAME
        self._guard = guard
        self._may_write = may_write
        #: What the disk did not take.
        self._unwritten: State | None = None
        self._last = b""

    def read(self) -> State:
        """What is known now. Never raises."""
        state = self._stored()
        unwritten = self._unwritten
        if unwritten is not None:
            state.attempts = unwritten.attempts
            state.ended |= unwritten.ended
            state.ended_until = max(state.ended_until, unwritten.ended_until)
        return state

    def change(self, change: Callable[[State], None]) -> None:
        """Change it for all workers; for this one only where the disk refuses. Never raises."""
        if not self._may_write:
            self._apply(change)
            return
        applied = False
        try:
            data_directory.prepare(self._directory)
            with self._alone():
                state = self._apply(change)
                applied = True
                private_files.replace_secret(self._path, state.to_bytes())
            self._unwritten = None
        except OSError as error:
            if not applied:
                self._apply(change)
            self._guard.failed(_PART, error)
        else:
            self._guard.recovered(_PART)

    def _apply(self, change: Callable[[State], None]) -> State:
        state = self.read()
        change(state)
        self._unwritten = state
        return state

    def _stored(self) -> State:
        """What the file holds; while it cannot be read, what it held last."""
        try:
            data = private_files.read_secret(self._path, _MAX_BYTES)
            state = State.from_bytes(data)
        except FileNotFoundError:
            self._last = b""
        except (OSError, ValueError) as error:
            if _PART not in self._guard.faults:  # it is read with each request: reported once
                self._guard.failed(_PART, error)
        else:
            self._last = data
            return state
        return State.from_bytes(self._last) if self._last else State()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One writer at a time, by a lock on the directory: the file itself is replaced.

        A writer that does not come to an end (it was stopped) is not waited for.
        """
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for _ in range(_TRIES):
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    sleep(_PAUSE_S)
                except OSError:  # no locks here, as on some network file systems
                    break
            yield
        finally:
            os.close(descriptor)
