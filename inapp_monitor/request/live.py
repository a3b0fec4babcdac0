"""Requests that are being answered right now, in all workers, and those whose worker was killed.

The recorder knows the requests that have begun and not ended; this looks at them once a tick and
shares what it sees in the rows of the workers. A worker that was killed (out of memory, by a
watchdog, by `kill -9`) cannot report it; another one finds its row and reports what it was
answering. A row is at most a tick old: a request may have ended since.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from gc import get_referrers
from pathlib import Path
from sys import getrefcount
from typing import Any, NamedTuple, TypedDict

from inapp_monitor.ground import current_request, wsgi_text
from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.points import Method, Scalar
from inapp_monitor.ground.process import identity
from inapp_monitor.ground.route_text import template_of
from inapp_monitor.ground.utc_text import utc_text
from inapp_monitor.ground.workers.rows import WorkerRows, token_of
from inapp_monitor.recorder.recorder import Recorder
from inapp_monitor.recorder.request_cells import Record
from inapp_monitor.recorder.routes import method_name
from inapp_monitor.request.bodies import HookedBody
from inapp_monitor.request.exchange import Exchange
from inapp_monitor.request.wsgi_types import Environ

#: Rows of one process that are shown, the oldest requests first.
MAX_ROWS = 20
#: A request that has not ended for so long is forgotten: its server may have dropped it.
FORGOTTEN_AFTER_S = 6 * 3600.0
#: Seconds until the files are tried again after a failure.
RETRY_INTERVAL_S = 30.0
#: Requests of one process that are kept as being answered; a server of greenlets may have many.
MAX_EXCHANGES = 20_000
#: Seconds between two looks for dead workers.
DEAD_INTERVAL_S = 2.0


class RequestRow(TypedDict):
    """A request under way, as its worker shares it.

    Attributes:
        request: Its name among those of its worker.
        method, path, route: What was asked for; the route when it is known.
        started: Epoch seconds.
    """

    request: str
    method: str
    path: str
    route: str | None
    started: float


class LiveRow(RequestRow):
    """A request under way, as it is shown: with its worker, and seconds since its beginning."""

    pid: int | None
    age_s: float


class AbortedRequest(NamedTuple):
    """A request whose worker died.

    Attributes:
        message: For people.
        template: The same for all such requests of a route.
        route: The template or the path.
    """

    message: str
    template: str
    route: str


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """This worker and all of its data directory.

    Attributes:
        pid: Its process id.
        leader: Whether it does what must be done once.
        workers: A row each, see `LiveRequests.workers`.
    """

    pid: int | None = None
    leader: bool = False
    workers: Sequence[Mapping[str, Any]] = ()


class LiveRequests:
    """What one process is answering.

    Args:
        data_dir: Where the workers share what they do.
        clock: Source of time.
        recorder: Knows what has begun and not ended.

    Attributes:
        forgotten: Requests dropped because nobody closes their body.

    *Threads:* for the ticking thread.
    """

    def __init__(self, data_dir: Path, clock: Clock, recorder: Recorder) -> None:
        self.forgotten = 0
        self._recorder = recorder
        self._worker_rows = WorkerRows(data_dir)
        self._clock = clock
        self._gauge_was_zero = True
        self._looked = float("-inf")
        self._looked_for_dead = float("-inf")
        self._retry_at = float("-inf")

    def forked(self) -> None:
        """In a child process: the requests under way are the parent's."""
        self._worker_rows.forked()
        self._looked_for_dead = float("-inf")

    def report(
        self,
        about: Mapping[str, Any] | None = None,
        shared: Mapping[str, Sequence[Any]] | None = None,
    ) -> bool:
        """Share what this process is doing. After a failure nothing is tried for a while.

        Args:
            about: Facts about this worker, for `workers`.
            shared: Gauges that the leader joins with the others', for `shared`.

        Returns:
            Whether the files were tried.

        Raises:
            OSError: the files cannot be written.
        """
        now = self._clock.perf()
        exchanges = self._forget_unclosed(now)
        if now < self._retry_at:
            return False
        self._retry_at = now + RETRY_INTERVAL_S
        rows = self._rows_of(exchanges)
        facts = {"about": about or {}, "shared": shared or {}}
        row = {"pid": os.getpid(), "count": len(exchanges), **facts}
        while not self._worker_rows.write({**row, "live": rows}) and rows:
            rows = rows[: len(rows) // 2]  # paths of nothing but escapes: the oldest remain
        self._retry_at = now
        return True

    def drops(self) -> dict[str, int]:
        """How many requests were dropped, by reason."""
        return {"requests never closed": self.forgotten} if self.forgotten else {}

    def _forget_unclosed(self, now: float) -> list[Exchange]:
        """Record requests that were answered and not closed, to which the server does not refer any
        more; drop the oldest beyond the bound, and very old ones.

        Returns the others, the oldest first.
        """
        exchanges = self.exchanges()
        unreferenced = _unreferenced(exchanges)
        self._record_unclosed(unreferenced)
        held = [exchange for exchange in exchanges if exchange not in unreferenced]
        excess = max(0, len(held) - MAX_EXCHANGES)
        while excess < len(held) and now - held[excess].start > FORGOTTEN_AFTER_S:
            excess += 1
        forgotten: set[Record] = set(held[:excess])
        if forgotten:
            self._recorder.forget(forgotten)
            self.forgotten += len(forgotten)
        return held[excess:]

    def _record_unclosed(self, exchanges: Iterable[Exchange]) -> None:
        """Count requests whose end nobody has seen: they took until the latest look at least."""
        looked, self._looked = self._looked, self._clock.perf()
        for exchange in exchanges:
            exchange.finish_unclosed(max(exchange.start, looked))

    def record_unclosed_at_end(self) -> None:
        """At the end no further request frees what a thread keeps of its latest."""
        self._record_unclosed(_unreferenced(self.exchanges(), at_end=True))

    def exchanges(self) -> list[Exchange]:
        """What this process is answering, the oldest first."""
        unfinished = self._recorder.unfinished()
        exchanges = (record for record in unfinished if isinstance(record, Exchange))
        return sorted(exchanges, key=lambda exchange: exchange.start)

    def claim_aborted(self) -> list[AbortedRequest]:
        """Requests whose worker died meanwhile; each is reported by one worker.

        Raises:
            OSError: the files cannot be read.
        """
        now = self._clock.perf()
        if now - self._looked_for_dead < DEAD_INTERVAL_S:
            return []
        self._looked_for_dead = now
        return [
            _aborted(facts.get("pid"), row)
            for facts in self._worker_rows.claim_dead()
            for row in facts.get("live", ())
        ]

    def in_flight(self, now: int) -> list[Scalar]:
        """How many requests all workers are answering, as a gauge; nothing while it stays zero."""
        count = len(self._recorder.unfinished()) + sum(
            int(facts.get("count", 0)) for facts in self._others()
        )
        if not count and self._gauge_was_zero:
            return []
        self._gauge_was_zero = not count
        return [Scalar("requests.in_flight", now, float(count), Method.MAX)]

    def rows(self) -> list[LiveRow]:
        """The requests under way in all workers, the oldest first."""
        own = self._rows_of(self.exchanges())
        others = self._others()
        now = self._clock.wall()
        found = [_live_row(os.getpid(), row, now) for row in own]
        for facts in others:
            found += [_live_row(facts.get("pid"), row, now) for row in facts.get("live", ())]
        return sorted(found, key=lambda row: -row["age_s"])

    def token_of_worker(self, request: str) -> str:
        """The process that is answering a request: its id may be another container's as well."""
        for facts in self._others():
            if any(row.get("request") == request for row in facts.get("live", ())):
                return str(token_of(facts))
        return identity.current().token

    def workers(self, about: dict[str, Any]) -> list[dict[str, Any]]:
        """All workers, the oldest first, with what they share; this one shares `about`."""
        live = len(self._recorder.unfinished())
        own = {"pid": os.getpid(), "is_this": True, "live": live, **about}
        by_token: dict[object, dict[str, Any]] = {}
        for facts in self._others():
            row = {"pid": facts.get("pid"), "live": facts.get("count")}
            by_token[token_of(facts)] = {**row, **_mapping(facts.get("about"))}
        by_token[identity.current().token] = own
        return sorted(
            by_token.values(), key=lambda row: (row.get("started") or 0.0, row["pid"] or 0)
        )

    def shared(self) -> list[Mapping[str, Sequence[Any]]]:
        """The gauges that the other workers want to be joined."""
        return [_mapping(facts.get("shared")) for facts in self._others()]

    def leave(self) -> None:
        """This process ends properly."""
        self._worker_rows.leave()

    def _others(self) -> list[dict[str, Any]]:
        try:
            return self._worker_rows.others()
        except (OSError, ValueError):  # a file that is gone or foreign: the own rows remain
            return []

    def _rows_of(self, exchanges: list[Exchange]) -> list[RequestRow]:
        epoch = self._clock.wall() - self._clock.perf()
        rows = (row_of(exchange, epoch) for exchange in exchanges[:MAX_ROWS])
        return [row for row in rows if row is not None]


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def request_id(exchange: Exchange) -> str:
    """Identifies a request among those that this process is answering."""
    return f"{round(exchange.start * 1e6):x}-{id(exchange) >> 4 & 0xFFFF:04x}"


def _live_row(pid: int | None, row: RequestRow, now: float) -> LiveRow:
    return {"pid": pid, **row, "age_s": round(max(0.0, now - row["started"]), 3)}


def row_of(exchange: Exchange, epoch: float) -> RequestRow | None:
    """One request as plain data; None when it has ended meanwhile."""
    environ: Environ | None = exchange.environ
    if environ is None:
        return None
    route = _template(exchange, environ)
    return {
        "request": request_id(exchange),
        "method": method_name(environ.get("REQUEST_METHOD")),
        "path": wsgi_text.decode(exchange.whole_path()[:200]),
        "route": None if route is None else route[:200],
        "started": round(epoch + exchange.start, 3),
    }


def _references(exchanges: Sequence[object]) -> list[int]:
    return [getrefcount(exchange) for exchange in exchanges]


_probe = {object()}
#: References to what only a set, the list in hand and the loop above hold.
(_HELD_HERE,) = _references(list(_probe))


def _unreferenced(exchanges: list[Exchange], *, at_end: bool = False) -> set[Exchange]:
    """Those to which nobody refers but the recorder, their own environ, body and profile: neither
    the server nor the application will end them, and only the recorder keeps them in memory.

    Args:
        exchanges: Of requests under way.
        at_end: Also those that a thread's context keeps until its next request.
    """
    unreferenced: set[Exchange] = set()
    for exchange, references in zip(exchanges, _references(exchanges), strict=True):
        environ = exchange.environ
        if environ is not None and environ.get(current_request.ENVIRON_KEY) is exchange:
            references -= 1
        body = getattr(exchange, "body", None)  # not there yet while the application runs
        if type(body) is HookedBody and body.is_unreferenced():
            references -= 1
        if exchange.notes is not None and exchange.notes.profile is not None:
            references -= 1  # what looks at the thread's calls
        if references <= _HELD_HERE or (
            references == _HELD_HERE + 1 and at_end and _is_in_context(exchange)
        ):
            unreferenced.add(exchange)
    return unreferenced


def _is_in_context(exchange: Exchange) -> bool:
    """Whether a thread's context refers to it, as to the latest that it has answered. It takes as
    long as the heap is large."""
    return any(type(each).__name__.startswith("hamt") for each in get_referrers(exchange))


def _template(exchange: Exchange, environ: Environ) -> str | None:
    """The route, also before the answer has begun, where the framework leaves it in the environ."""
    if exchange.route is not None:
        return template_of(exchange.route)
    matched = getattr(environ.get("werkzeug.request"), "url_rule", environ.get("bottle.route"))
    rule = template_of(matched)
    return None if rule is None else exchange.below_prefix(rule)


def _moment(row: Mapping[str, Any]) -> str:
    """When a request began, for people in any zone."""
    try:
        return utc_text(row["started"])
    except (KeyError, TypeError, ValueError, OverflowError, OSError):  # another version's row
        return "an unknown time"


def _aborted(pid: object, row: Mapping[str, object]) -> AbortedRequest:
    route = str(row.get("route") or row.get("path"))
    request = f"{row.get('method')} {row.get('path')}"
    message = f"worker {pid} died while it answered {request}, begun at {_moment(row)}"
    return AbortedRequest(
        message, f"worker died while it answered {row.get('method')} {route}", route
    )
