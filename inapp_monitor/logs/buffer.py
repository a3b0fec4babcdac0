"""Log records between the request that logged them and the tick that writes them. Bounded.

No I/O, no lock (a `__del__` may log in the middle of anything), nothing is scrubbed here.
"""

from __future__ import annotations

from itertools import count
from typing import Final, NamedTuple, Protocol

#: Records that wait for a tick; what comes on top is counted.
MAX_PENDING: Final = 2_000


class LoggingRequest(Protocol):
    """What is asked of the request in which something was logged, when it is written."""

    start: float
    route: object
    path: str


class HeardRecord(NamedTuple):
    """One log record as plain values.

    Attributes:
        time: Epoch seconds.
        level: The number that `logging` gives it, such as 30.
        place: Where it was logged: `shop/cart.py:40 in add`.
        fields: What the application gave it beside the message (`extra`).
        error: Class of the exception that came with it.
        request: In which it was logged, if in any.
        method, request_id, traceparent: Of that request, as its environ has them.
        user: Who made that request, as the application says.
        issue: Which issue was made of it.
    """

    time: float
    level: int
    logger: str
    text: str
    place: str = ""
    thread: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    error: str = ""
    request: LoggingRequest | None = None
    method: str = ""
    request_id: str = ""
    traceparent: str = ""
    user: str = ""
    issue: str = ""


class LogBuffer:
    """The records of one process that are not written yet.

    *Threads:* `add` any, the rest one.
    """

    def __init__(self) -> None:
        self._pending: list[HeardRecord] = []
        self._overflow = count()
        self._looks = 0

    def add(self, record: HeardRecord) -> None:
        """Keep a record until the next tick, or count it."""
        if len(self._pending) < MAX_PENDING:
            self._pending.append(record)
        else:
            next(self._overflow)

    def take(self) -> list[HeardRecord]:
        """All that came since the last call."""
        pending = self._pending
        taken = pending[:]
        del pending[: len(taken)]  # others append at its end meanwhile
        return taken

    def there_are(self) -> bool:
        """Whether something waits."""
        return bool(self._pending)

    def dropped(self) -> int:
        """How many records did not fit, since the beginning."""
        self._looks += 1  # a look takes a number as well
        return next(self._overflow) - self._looks + 1

    def forked(self) -> None:
        """In a child process: what waits is the parent's."""
        self.__init__()  # type: ignore[misc]
