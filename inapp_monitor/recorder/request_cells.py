"""Finished requests, folded: from records to counts and histograms by route, method and status.

Everything that a request did not have time for happens here, at C speed where it counts; other
threads get the interpreter every fraction of a millisecond. No I/O and no WSGI.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter, itemgetter
from typing import Any, Protocol

from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Distribution, Method, Scalar
from inapp_monitor.ground.wsgi_text import decode
from inapp_monitor.recorder.name_rules import NameRules
from inapp_monitor.recorder.routes import (
    RouteTable,
    method_name,
    route_name,
    status_class,
)
from inapp_monitor.recorder.slowest import Slow, Slowest
from inapp_monitor.recorder.tallies import Kind, Tallies


class Record(Protocol):
    """One request recorded whole; `exchange.Exchange` is one once it has ended.

    Attributes:
        method, route, status, size: Whatever the server and the application put there.
        start, end: Performance counter, seconds.
        error: None, or a mark that there was one.
        path: The path on entry.
    """

    @property
    def method(self) -> object: ...
    @property
    def route(self) -> object: ...
    @property
    def status(self) -> object: ...
    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...
    @property
    def error(self) -> object: ...
    @property
    def path(self) -> str: ...
    @property
    def size(self) -> object: ...


#: `(method, route, status, start, end, error, path, size)` of a complete record.
Request = tuple[object, object, object, float, float, object, str, object]
facts_of = attrgetter("method", "route", "status", "start", "end", "error", "path", "size")
#: What requests are grouped by: method, route, status, error.
_Group = tuple[object, object, object, object]
#: Slug and method.
_CellKey = tuple[str, str]
_MILLISECONDS = 1000.0
#: Characters kept of a path.
MAX_PATH_LENGTH = 200
#: A Content-Length as large is none.
MAX_LENGTH = 1e15
_size = itemgetter(7)
#: Pieces of work between which other threads may go ahead: about 0.2 ms each.
_REQUESTS_AT_A_TIME = 300
_CELLS_AT_A_TIME = 30


class Cell:
    """The numbers of one (route, method) since the last flush."""

    __slots__ = ("errors", "histogram", "not_found", "statuses")

    def __init__(self) -> None:
        self.histogram = Histogram()
        self.statuses: dict[str, int] = {}
        self.errors = 0
        self.not_found = 0


class RequestCells:
    """The cells of one step.

    *Threads:* used under the recorder's lock only.
    """

    def __init__(
        self, routes: RouteTable, rules: NameRules, slowest: Slowest, tallies: Tallies
    ) -> None:
        self._routes = routes
        self._rules = rules
        self._slowest = slowest
        self._tallies = tallies
        self._cells: dict[_CellKey, Cell] = {}
        self._sizes = Histogram()

    def add(self, kind: Kind, milliseconds: list[float], now: float) -> float:
        """Add requests of one kind. Returns the milliseconds from which on a further one belongs
        among the slowest of its route. *Cost:* 0.2 us each and 5 us for the kind.

        Args:
            kind: As the request path noted it.
            milliseconds: At least one; by a clock that runs backwards below zero.
            now: Wall time.
        """
        if min(milliseconds) < 0.0:
            milliseconds = [max(ms, 0.0) for ms in milliseconds]
        key = self._count((*kind, None), len(milliseconds))
        self._cells[key].histogram.add(milliseconds)
        return self._slowest.floor(key, now)

    def add_sizes(self, sizes: list[object]) -> None:
        """Add response sizes: Content-Length as the applications gave it, or None."""
        self._sizes.add(_lengths(sizes))

    def fold(self, records: list[Record], epoch: float, yield_gil: Callable[[], None]) -> None:
        """Add requests recorded whole. *Cost:* about 1 us each and 5 us for each (route, method).

        Args:
            records: At least one.
            epoch: Wall time at which the performance counter stood at zero.
            yield_gil: Called between pieces of work that take about 0.2 ms.
        """
        groups: dict[_Group, list[float]] = {}
        pieces: list[list[Request]] = []
        for first in range(0, len(records), _REQUESTS_AT_A_TIME):
            yield_gil()
            piece = list(map(facts_of, records[first : first + _REQUESTS_AT_A_TIME]))
            if self._rules:
                piece = list(map(self._named, piece))
            pieces.append(piece)
            _group(piece, groups)
            self._sizes.add(_lengths(map(_size, piece)))
        self._count_groups(groups, pieces, epoch, yield_gil)

    def _count_groups(
        self,
        groups: dict[_Group, list[float]],
        pieces: list[list[Request]],
        epoch: float,
        yield_gil: Callable[[], None],
    ) -> None:
        cells: dict[_Group, _CellKey] = {}
        durations: dict[_CellKey, list[float]] = {}
        for number, (group, seconds) in enumerate(groups.items()):
            key = cells[group] = self._count(group, len(seconds))
            durations.setdefault(key, []).extend(seconds)
            if number % _CELLS_AT_A_TIME == 0:
                yield_gil()
        slow: dict[_CellKey, float] = {}
        now = epoch + pieces[-1][-1][4]
        for number, (key, seconds) in enumerate(durations.items()):
            self._cells[key].histogram.add([max(s, 0.0) * _MILLISECONDS for s in seconds])
            floor = self._slowest.floor(key, now) / _MILLISECONDS
            if max(seconds) > floor:
                slow[key] = floor
            if number % _CELLS_AT_A_TIME == 0:
                yield_gil()
        for piece in pieces if slow else ():
            yield_gil()
            self._note_slowest(piece, cells, slow, epoch)
        if not self._rules:  # they name requests of one kind by their paths
            self._make_known(groups, cells, now)

    def _make_known(
        self, groups: dict[_Group, list[float]], cells: dict[_Group, _CellKey], now: float
    ) -> None:
        """Have the next requests like these tallied, unless they failed or have no name left."""
        for group, seconds in groups.items():
            key = cells[group]
            if group[3] is None and key[0] != self._routes.other:
                self._tallies.learn(group[:3], len(seconds), self._slowest.floor(key, now))

    def _named(self, request: Request) -> Request:
        """The request with the name that the user's rules give it."""
        method, route, status, start, end, error, path, size = request
        text = decode(_plain(path) or "") if route is None else route_name(route, None)
        name = self._rules.name(text)
        return request if name is None else (method, name, status, start, end, error, path, size)

    def _note_slowest(
        self,
        requests: list[Request],
        cells: dict[_Group, _CellKey],
        slow: dict[_CellKey, float],
        epoch: float,
    ) -> None:
        """Offer the requests above the floor of their cell: rare once its table is full."""
        for method, route, status, start, end, error, path, _ in requests:
            try:
                key = cells[method, route, status, error]
                floor = slow[key]
            except Exception:  # noqa: BLE001, S112  # none of it was slow, or not hashable
                continue
            if end - start > floor:
                ms = (end - start) * _MILLISECONDS
                issue = self._slowest.issue_of(start)
                path = (_plain(path) or "")[:MAX_PATH_LENGTH]
                self._slowest.offer(key, Slow(ms, path, epoch + start, _plain(status), issue))

    def _count(self, group: _Group, n: int) -> _CellKey:
        """Count `n` requests of a group, all but their durations. Returns the key of their cell."""
        status = _plain(group[2])
        slug = self._routes.slug(route_name(group[1], status), n)
        key = (slug, method_name(_plain(group[0])))
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = Cell()
        name = status_class(status)
        if name:
            cell.statuses[name] = cell.statuses.get(name, 0) + n
            if status is not None and status.startswith("404"):
                cell.not_found += n
        if group[3] is not None or name == "5xx":
            cell.errors += n
        return key

    def take(self, timestamp: int) -> tuple[list[Scalar], list[Distribution]]:
        """The deltas of all cells and their totals, and start again from nothing."""
        cells, self._cells = self._cells, {}
        if not cells:
            return [], []
        scalars: list[Scalar] = []
        distributions: list[Distribution] = []
        everything = Cell()
        for (slug, method), cell in cells.items():
            prefix = f"routes.{slug}.{method}"
            distributions.append(Distribution(f"{prefix}.time", timestamp, cell.histogram))
            scalars += _counts(prefix, timestamp, cell)
            everything.histogram.merge(cell.histogram)
            everything.errors += cell.errors
            everything.not_found += cell.not_found
            for name, n in cell.statuses.items():
                everything.statuses[name] = everything.statuses.get(name, 0) + n
        distributions.append(Distribution("requests.time", timestamp, everything.histogram))
        scalars += _counts("requests", timestamp, everything)
        missing = float(everything.not_found)
        if missing:
            scalars.append(Scalar("requests.not_found", timestamp, missing, Method.SUM))
        if self._sizes.count:
            distributions.append(Distribution("requests.response_bytes", timestamp, self._sizes))
            self._sizes = Histogram()
        return scalars, distributions


def _group(requests: list[Request], groups: dict[_Group, list[float]]) -> None:
    """Put the durations of requests that count alike together."""
    for method, route, status, start, end, error, _, _ in requests:
        try:
            seconds = groups.setdefault((method, route, status, error), [])
        except Exception:  # noqa: BLE001  # not hashable: a hostile or broken application
            plain = (_plain(method), route_name(route, None), _plain(status))
            seconds = groups.setdefault((*plain, error), [])
        seconds.append(end - start)


def _lengths(given: Iterable[object]) -> list[float]:
    """Content-Length values as numbers; what is none is left out."""
    sizes: list[Any] = [size for size in given if type(size) is str]
    try:
        lengths: list[Any] = list(map(int, sizes))
        if not lengths or (min(lengths) >= 0 and max(lengths) < MAX_LENGTH):
            return lengths
    except (ValueError, OverflowError):
        pass
    return [float(n) for n in sizes if n.isdecimal() and len(n) < 400 and float(n) < MAX_LENGTH]


def _plain(value: object) -> str | None:
    """The value as an honest string; None when it is none."""
    # By type: `isinstance` asks a stranger for its `__class__`, which may raise.
    return str.__str__(value) if issubclass(type(value), str) else None


def _counts(prefix: str, timestamp: int, cell: Cell) -> list[Scalar]:
    scalars = [
        Scalar(f"{prefix}.status.{name}", timestamp, float(n), Method.SUM)
        for name, n in cell.statuses.items()
    ]
    if cell.errors:
        scalars.append(Scalar(f"{prefix}.errors", timestamp, float(cell.errors), Method.SUM))
    return scalars
