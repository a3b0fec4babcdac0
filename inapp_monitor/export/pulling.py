"""Taking over the series of another installation below a prefix: two machines, one overview.

No consensus and no replication: closed intervals are read over HTTP and added to the store here,
each once; a file says how far that has come.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from inapp_monitor.export import portion_json, progress_file
from inapp_monitor.export.closed_intervals import KEPT_S, PORTION_S
from inapp_monitor.export.http_calls import get
from inapp_monitor.export.portions import Portion
from inapp_monitor.ground.destination import Destination
from inapp_monitor.ground.exceptions import MonitorError
from inapp_monitor.ground.points import Batch

#: Bytes of one portion.
_MAX_BYTES: Final = 64 * 2**20
PATH: Final = "/export/portion.json"


class PullError(MonitorError):
    """The other installation does not answer as one does."""


class Store(Protocol):
    """Where it comes to."""

    def add(self, batch: Batch) -> None: ...
    def flush(self) -> None: ...


class Pulled(NamedTuple):
    """What one round brought: points, and those whose names would be too long below the prefix."""

    points: int
    refused: int


def pull(
    destination: Destination,
    token: str,
    prefix: str,
    store: Store,
    progress_path: Path,
    now: Callable[[], float],
) -> Pulled:
    """Take over everything that is new there.

    Args:
        destination: The other installation's dashboard.
        token: Of its dashboard.
        prefix: First nodes of the names here.
        store: The series here.
        progress_path: How far it has come.
        now: The wall clock.

    Raises:
        PullError: it refuses, or says what cannot be.
        OSError: no connection, or the disk.
    """
    progress = progress_file.load(progress_path)
    position = max(progress.position, int(now()) - KEPT_S)
    points = refused = 0
    while True:
        portion = _ask(destination, token, position)
        if portion.until <= position or portion.until > now() + PORTION_S:
            break
        batch, too_long = portion_json.below(portion, prefix)
        store.add(batch)
        store.flush()
        points += len(portion) - too_long
        refused += too_long
        progress.position = position = portion.until
        progress.sent += len(portion) - too_long
        progress.dropped += too_long
        progress.last_sent = now()
        progress_file.save(progress_path, progress)
    return Pulled(points, refused)


def _ask(destination: Destination, token: str, position: int) -> Portion:
    path = f"{destination.path}{PATH}?after={position}"
    answer = get(destination, path, {"Authorization": f"Bearer {token}"}, _MAX_BYTES)
    if answer.status == 401:
        raise PullError(f"{destination.label} refuses the token")
    if answer.status != 200:
        raise PullError(f"{destination.label}: {answer.text}")
    try:
        return portion_json.load(answer.body)
    except ValueError as error:
        raise PullError(f"{destination.label}: {error}") from None
