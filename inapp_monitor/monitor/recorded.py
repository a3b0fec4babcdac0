"""What the code under test records: a monitor for the time of a block, and what it holds.

Behind `inapp_monitor.testing`. Its files lie in memory where the system has a place for that, and
are gone with the block.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inapp_monitor.ground.histogram import Histogram, merged
from inapp_monitor.ground.names import RESERVED_NODES
from inapp_monitor.ground.points import Method
from inapp_monitor.monitor.monitor import Monitor

if TYPE_CHECKING:
    from inapp_monitor.issues.model import IssueSummary

#: Files that are memory, on Linux.
_IN_MEMORY = Path("/dev/shm")  # noqa: S108  # a directory with a random name is made in it
#: A block is expected to take less.
_LONGEST_S = 6 * 3_600
_QUIET = {
    "collect_process": False,
    "collect_host": False,
    "collect_installed": False,
    "sync_interval_s": 3_600,
    "token": "only-for-the-time-of-a-test",
}


@dataclass(frozen=True, slots=True)
class Timings:
    """What was timed or observed under one name; durations in milliseconds."""

    count: int
    min: float
    max: float
    mean: float


class Recorded:
    """What has been recorded since the block began.

    Attributes:
        monitor: A WSGI application: requests to it are watched.
    """

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor

    def __getitem__(self, name: str) -> float:
        """The sum of a counter, the last value of a gauge, how often something was timed.

        Raises:
            KeyError: nothing was recorded under the name; the text lists what was.
        """
        values = self.values()
        if name not in values:
            raise KeyError(f"nothing was recorded as {name!r}, only as {sorted(values)}")
        return values[name]

    def values(self) -> dict[str, float]:
        """The numbers of the code under test by name, without the monitor's own series."""
        return {
            path: value
            for path, value in self._all().items()
            if path.partition(".")[0] not in RESERVED_NODES
        }

    def requests(self) -> dict[str, float]:
        """Requests by route and method as in series' names: `{"users-id.GET": 2}`."""
        begin, end = "routes.", ".time"
        return {
            path.removeprefix(begin).removesuffix(end): value
            for path, value in self._all().items()
            if path.startswith(begin) and path.endswith(end)
        }

    def timings(self, name: str) -> Timings:
        """What was timed or observed under a name.

        Raises:
            KeyError: nothing was.
        """
        self._settle()
        found = merged(self._slots(name))
        if found is None:
            raise KeyError(f"nothing was timed as {name!r}")
        return Timings(found.count, found.minimum, found.maximum, found.mean)

    @property
    def errors(self) -> list[IssueSummary]:
        """The issues, the newest first."""
        self._settle()
        return list(self.monitor.tracker.list_issues())

    @property
    def not_found(self) -> dict[str, int]:
        """Paths that were answered with 404, and how often."""
        self._settle()
        return {row.path: row.count for row in self.monitor.not_found_table.top(1_000)}

    def _settle(self) -> None:
        """Count what has been recorded; also answers that no test closes, as servers do."""
        self.monitor.life.requests_are_over()
        self.monitor.refresh()

    def _all(self) -> dict[str, float]:
        self._settle()
        store, now = self.monitor.store, int(self.monitor.clock.wall())
        scalars, found = [], {}
        for leaf in store.leaves():
            if leaf.kind == "distribution":
                found[leaf.path] = float(sum(slot.count for slot in self._slots(leaf.path)))
            else:
                scalars.append(leaf.path)
        for series in store.fetch(scalars, now - _LONGEST_S, now + 60, now):
            known = [value for value in series.values if value == value]
            if known:
                found[series.path] = sum(known) if series.method is Method.SUM else known[-1]
        return found

    def _slots(self, path: str) -> list[Histogram]:
        now = int(self.monitor.clock.wall())
        window = self.monitor.store.fetch_distribution(path, now - _LONGEST_S, now + 60, now)
        return [] if window is None else [slot for slot in window.slots if slot is not None]


@contextmanager
def recorded(app: Any = None, **settings: Any) -> Iterator[Recorded]:
    """Record for the time of a block what the code in it records.

    Args:
        app: A WSGI application, whose requests are watched when they are sent to
            `Recorded.monitor`; or the application's own `Monitor`, which records meanwhile.
        settings: As of `Monitor`.

    Yields:
        What has been recorded: numbers, errors, 404s. `inapp_monitor.metrics` speaks to it as well.
    """
    wrapped = vars(app)["_app"] if isinstance(app, Monitor) else app
    where = str(_IN_MEMORY) if _IN_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="inapp-monitor-", dir=where) as directory:
        given: Mapping[str, Any] = {**_QUIET, **settings, "enabled": True}
        monitor = Monitor(wrapped or _empty, data_dir=Path(directory) / "data", **given)
        give_back = _stand_in(app, monitor) if isinstance(app, Monitor) else _nothing
        try:
            yield Recorded(monitor)
        finally:
            give_back()
            monitor.close()


def _stand_in(app: Monitor, monitor: Monitor) -> Callable[[], None]:
    """Have an application's monitor do what another one does; returns what undoes it."""
    called: Any = Monitor.__call__  # a slot
    own, own_call = dict(vars(app)), called.__get__(app)
    vars(app).update(vars(monitor))
    called.__set__(app, called.__get__(monitor))

    def undo() -> None:
        vars(app).clear()
        vars(app).update(own)
        called.__set__(app, own_call)

    return undo


def _empty(environ: Any, start_response: Any) -> list[bytes]:  # noqa: ARG001
    start_response("200 OK", [])
    return []


def _nothing() -> None:
    pass
