"""Requests of the kinds that a process sees all the time: two numbers each, until they are counted.

A request path that kept an object for each request would touch new memory with every one, and
counting them would have to fetch it all back. So a kind of request (method, route, status)
that has been seen has a list of its own, to which the request path appends the milliseconds and the
size, and nothing else is kept of the request. Whatever is not so ordinary is recorded whole: kinds
not seen yet, what failed, what was slow, and what ended in a step that nobody has begun.

No counting here, no I/O and no clock.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

from inapp_monitor.recorder.routes import METHODS

T = TypeVar("T")
#: Method, route and status line, as the request path noted them.
Kind = tuple[str, str | None, str]
#: What a tally holds: milliseconds and Content-Length as the application gave it, in turn.
Entries = list[Any]
#: Kinds that are known at most; the others are recorded whole.
MAX_KINDS = 2_000
#: Characters of a route or status line of a known kind: they are kept for good.
MAX_TEXT_LENGTH = 200
#: Requests of a kind in one fold that make it known: texts made up for one request stay out.
MIN_REQUESTS = 2
#: Floor of a tally that takes no request.
TAKES_NOTHING = -math.inf


class Tally(list[Any]):
    """The `Entries` of one kind that nobody has counted yet.

    Attributes:
        kind: Of which requests.
        floor: Milliseconds from which on a request is recorded whole: it belongs among the slowest
            of its route.
    """

    __slots__ = ("floor", "kind")

    def __init__(self, kind: Kind, floor: float) -> None:
        super().__init__()
        self.kind = kind
        self.floor = floor


class Tallies:
    """All tallies of a process.

    Attributes:
        known: The tally of each kind. One is removed when it has received nothing for minutes:
            before that a thread may be about to append.
        until: Performance counter, seconds; a request that ends then or later belongs to another
            step than those in the tallies, and is recorded whole. (A thread that is interrupted
            between the look at the clock and the append may be counted one step too late.)

    *Threads:* the request path appends from anywhere; the rest under the recorder's lock.
    """

    __slots__ = ("_aside", "_idle", "_numbers_aside", "_step", "known", "until")

    def __init__(self) -> None:
        self.known: dict[Kind, Tally] = {}
        self.until = -math.inf
        self._step = 0
        self._aside: dict[int, dict[Kind, Entries]] = {}
        self._numbers_aside = 0
        self._idle: set[Kind] = set()

    def clear(self) -> None:
        """Forget what was noted, not the kinds."""
        for tally in self.known.values():
            tally.clear()
            tally.floor = TAKES_NOTHING  # what was slow is forgotten, too
        self._aside, self._numbers_aside = {}, 0

    @property
    def waiting(self) -> int:
        """How many requests are noted and not counted; for any thread."""
        return (sum(map(len, list(self.known.values()))) + self._numbers_aside) // 2

    def learn(self, kind: tuple[object, object, object], requests: int, floor: float) -> None:
        """Requests of a kind were recorded whole: note the next ones here, up to the floor."""
        method, route, status = kind
        if type(status) is not str or not (route is None or type(route) is str):
            return  # only honest strings
        if type(method) is not str or method not in METHODS:
            return
        if len(status) > MAX_TEXT_LENGTH or (route and len(route) > MAX_TEXT_LENGTH):
            return
        honest: Kind = (method, route, status)
        tally = self.known.get(honest)
        if tally is not None:
            tally.floor = floor
        elif requests >= MIN_REQUESTS and len(self.known) < MAX_KINDS:
            self.known[honest] = Tally(honest, floor)

    def begin_step(self, step: int, until: float) -> None:
        """What is noted from now on belongs to this step, which is over at `until`."""
        noted = {kind: cut(tally, len(tally)) for kind, tally in self.known.items() if tally}
        if noted:
            aside = self._aside.setdefault(self._step, {})
            for kind, entries in noted.items():
                aside.setdefault(kind, []).extend(entries)
                self._numbers_aside += len(entries)
        self._step, self.until = step, until

    def take(self) -> dict[int, dict[Kind, Entries]]:
        """What was noted in the steps before the last `begin_step`, by step."""
        aside, self._aside, self._numbers_aside = self._aside, {}, 0
        return aside

    def cut_some(self, most: int) -> tuple[int, Kind, Entries]:
        """Take at most so many requests of one kind, of the oldest step: step, kind and entries.

        Nothing waits when there are no entries.
        """
        if self._aside:
            step = min(self._aside)
            kinds = self._aside[step]
            kind = next(iter(kinds))
            entries = cut(kinds[kind], 2 * most)
            self._numbers_aside -= len(entries)
            if not kinds[kind]:
                del kinds[kind]
            if not kinds:
                del self._aside[step]
            return step, kind, entries
        longest = max(self.known.values(), key=len, default=None)
        if longest is None:
            return self._step, ("", None, ""), []
        return self._step, longest.kind, cut(longest, 2 * most)

    def counted(self, kind: Kind, floor: float) -> None:
        """Requests of a kind have been counted; the floor is what it is now."""
        self.known[kind].floor = floor
        self._idle.discard(kind)

    def expire_floors(self) -> None:
        """Floors of kinds that were not counted since the last call are not valid any more; kinds
        that have had none for so long make room for others."""
        for kind in self._idle:
            tally = self.known[kind]
            if tally.floor == TAKES_NOTHING and not tally:
                del self.known[kind]
            tally.floor = TAKES_NOTHING
        self._idle = set(self.known)


def cut(entries: list[T], most: int) -> list[T]:
    """Cut the front off a list that others append to: appends only ever go behind it."""
    n = min(len(entries), most)
    front = entries[:n]
    del entries[:n]
    return front
