"""Handing over the past to another engine: series after series, resumable after each of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from inapp_monitor.export import past
from inapp_monitor.export.past import Past, StoredSeries
from inapp_monitor.export.totals import Totals, pack, parse_totals
from inapp_monitor.ground import private_files
from inapp_monitor.ground.exceptions import MonitorError
from inapp_monitor.ground.ranges import Leaf

#: Series after which the state is written.
_AT_ONCE: Final = 20
_MAX_STATE_BYTES: Final = 64 * 2**20


class HandOverError(MonitorError):
    """The other engine does not take it. What was handed over stays, and need not be repeated."""


@dataclass(slots=True)
class State:
    """How far a hand-over has come.

    Attributes:
        now: The moment whose past it is.
        done: Paths of the series that are over there.
        points: How many points that were.
        position: Of the file, where one is written.
        totals: What the counters have grown to.
    """

    now: int
    done: list[str] = field(default_factory=list)
    points: int = 0
    position: int = 0
    totals: Totals = field(default_factory=lambda: Totals(0, 0))


class Receiver(Protocol):
    """The other engine."""

    def order(self, leaves: Sequence[Leaf]) -> list[Leaf]:
        """The series in the order in which it wants them."""

    def begin(self, position: int, last: str | None) -> None:
        """Make ready; `position` is what `flush` returned after the series `last`."""

    def take(self, series: Past, totals: Totals) -> int:
        """One series; returns how many points it is there."""

    def flush(self) -> int:
        """Everything that was taken must be there now."""

    def end(self) -> None:
        """All of it was taken."""

    def close(self) -> None:
        """Close files and connections."""


def hand_over(
    store: StoredSeries,
    receiver: Receiver,
    state_path: Path,
    now: int,
    advance: Callable[[int, int], object],
) -> State:
    """Hand over everything, or what an earlier attempt has left.

    Args:
        store: The series.
        receiver: The other engine.
        state_path: Where to note how far it came; the file is gone at the end.
        now: Wall time.
        advance: Called with the number of series that are done, and of all.

    Raises:
        HandOverError: the engine does not take it.
        OSError: a connection, or the disk.
    """
    state = _load(state_path) or State(now)
    done = set(state.done)
    leaves = receiver.order([leaf for leaf in store.leaves() if leaf.kind != "whisper"])
    left = [leaf for leaf in leaves if leaf.path not in done]
    advance(len(leaves) - len(left), len(leaves))
    receiver.begin(state.position, state.done[-1] if state.done else None)
    try:
        waiting: list[str] = []
        for number, series in enumerate(past.read(store, left, state.now), 1):
            state.points += receiver.take(series, state.totals)
            waiting.append(series.leaf.path)
            if number % _AT_ONCE == 0:
                state.position = receiver.flush()
                state.done += waiting
                waiting = []
                _save(state_path, state)
                advance(len(leaves) - len(left) + number, len(leaves))
        receiver.flush()
        receiver.end()
        state.done += waiting
    finally:
        receiver.close()
    state_path.unlink(missing_ok=True)
    advance(len(leaves), len(leaves))
    state.totals.at = past.end_of_past(state.now)
    state.totals.since = state.totals.at
    return state


def _load(path: Path) -> State | None:
    try:
        document = json.loads(private_files.read(path, _MAX_STATE_BYTES))
        totals = parse_totals(document["totals"])
        return State(
            int(document["now"]),
            [str(name) for name in document["done"]],
            int(document["points"]),
            int(document["position"]),
            totals,
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _save(path: Path, state: State) -> None:
    document = {
        "now": state.now,
        "done": state.done,
        "points": state.points,
        "position": state.position,
        "totals": pack(state.totals),
    }
    private_files.make_directory(path.parent)
    private_files.replace(path, json.dumps(document, separators=(",", ":")).encode())
