"""The socket: what one capability of the running monitor looks like to the monitor's life.

`parts` lists them in tick order, `life` calls them under the guard. A part that fails is counted
and shown until it works again; after many failures in a row it alone is switched off. Nothing of
what a part does is known here.
"""

from __future__ import annotations

from collections.abc import Mapping


class Part:
    """A capability; every method is optional, and only those that a part has are called.

    Attributes:
        name: What the guard and the status page call it.
        ending_name: What they call a failure of `stop` and `close`; "" for `name`.
        ticks_at_end: Whether the last tick of a process calls it, too.
        closes_last: Whether the other parts are closed before: they may need it for that.
        is_behind: Whether its last tick has left work to the next, which then comes soon.
        holds: Objects whose memory counts as the monitor's.

    *Threads:* all but `drops` and `facts` are called by one thread at a time.
    """

    name = ""
    ending_name = ""
    ticks_at_end = True
    closes_last = False
    is_behind = False
    holds: tuple[object, ...] = ()

    def load_early(self, *, errors: bool) -> None:
        """Import now what a tick would import; also what the first error needs, when `errors`."""

    def attached(self) -> None:
        """The monitor begins to live in this process; not called of a part that is made later."""

    def tick(self, now: float) -> None:
        """Do what is due; `now` is the wall clock's time. Waits for nothing."""

    def forked(self) -> None:
        """This is a child process: threads, locks and what was pending are the parent's."""

    def stop(self) -> None:
        """Begin nothing more: the last tick is to come."""

    def close(self) -> None:
        """Close files and remove hooks; a later tick may open them again."""

    def drops(self) -> Mapping[str, int]:
        """What this process did not keep, by reason, since it began."""
        return {}

    def facts(self) -> object | None:
        """What it knows of itself, for pages: a frozen dataclass, see `ground.facts`."""
        return None


def has(part: Part, method: str) -> bool:
    """Whether a part has one of the optional methods."""
    return getattr(type(part), method) is not getattr(Part, method)
