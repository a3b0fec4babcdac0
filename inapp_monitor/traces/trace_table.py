"""The kept traces of all workers in the database: a row each, thinned out, bounded in bytes.

Kept a route and method: the slowest, the latest failed and some at random of the last hour, and the
same of the last day; and what asked for it. It must not know how a trace is packed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from inapp_monitor.database.file import Connection, Database
from inapp_monitor.traces.reservoirs import DAY_S, FAILED, HOUR_S, RANDOM, SLOWEST

#: Bytes of all traces together, and of those that asked for it the number.
MAX_BYTES: Final = 16 * 2**20
MAX_ASKED: Final = 100
#: How the slug of work begins that an SDK of another program measured, and how many of these are
#: kept, with so many bytes together.
SDK_PREFIX: Final = "sdk:"
MAX_OF_SDKS: Final = 500
MAX_BYTES_OF_SDKS: Final = 4 * 2**20
#: What a row costs beside its packed trace.
_ROW_BYTES: Final = 200

_SCRIPT = """
create table traces (
    id text primary key,
    slug text not null,
    method text not null,
    status text not null,
    path text not null,
    started real not null,
    ms real not null,
    failed integer not null,
    asked integer not null,
    draw real not null,
    spans integer not null,
    request_id text not null,
    trace text not null,
    why text not null,
    size integer not null,
    data blob not null
) without rowid;
create index traces_started on traces (started)
"""
#: Not `data`: it is read for one trace only.
_COLUMNS = "id, slug, method, status, path, started, ms, failed, asked, draw, spans, request_id, trace, why"  # noqa: E501
_BEST = """
select id from (select id, row_number() over (partition by slug, method order by {order}) as place
from traces where started >= :{since} and {condition}) where place <= {most}
"""


def _best_of(since: str) -> list[str]:
    return [
        _BEST.format(since=since, order="ms desc", condition="1", most=SLOWEST),
        _BEST.format(since=since, order="started desc", condition="failed", most=FAILED),
        _BEST.format(since=since, order="draw", condition="1", most=RANDOM),
    ]


_ASKED = "select id from (select id from traces where asked and started >= :day {end})".format(  # noqa: S608
    end=f"order by started desc limit {MAX_ASKED}"
)
_THIN_OUT = "delete from traces where id not in ({})".format(  # noqa: S608
    " union ".join([*_best_of("hour"), *_best_of("day"), _ASKED])
)
_BOUND_OF_SDKS = f"""
delete from traces where id in (select id from (select id, sum(size) over newest as total,
row_number() over newest as place from traces where slug like '{SDK_PREFIX}%'
window newest as (order by started desc, id)) where total > :bytes or place > :most)
"""  # noqa: S608
_BOUND = """
delete from traces where id in (select id from (select id, sum(size)
over (order by asked desc, started desc, id) as total from traces) where total > :most)
"""


@dataclass(frozen=True, slots=True)
class KeptRow:
    """A trace for the table; fields as in `kept_trace`, and `draw` as `reservoirs` has it."""

    id: str
    slug: str
    method: str
    status: str
    path: str
    started: float
    ms: float
    failed: bool
    asked: bool
    draw: float
    spans: int
    request_id: str
    trace: str
    why: str
    data: bytes

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return len(self.data) + len(self.path) + _ROW_BYTES

    def values(self) -> tuple[Any, ...]:
        """In the order of the table's columns."""
        front = (self.id, self.slug, self.method, self.status, self.path, self.started, self.ms)
        marks = (int(self.failed), int(self.asked), self.draw, self.spans)
        return (*front, *marks, self.request_id, self.trace, self.why, self.size, self.data)


class TraceTable:
    """The table of traces. *Threads:* any."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.declare("traces", [_SCRIPT], _make_room)

    def add(self, rows: Sequence[KeptRow], now: float, *, thin_out: bool) -> bool:
        """Write traces; with `thin_out`, delete those that are among the best no longer.

        Returns:
            False when the database cannot accept them.
        """

        def change(connection: Connection) -> None:
            _insert(connection, rows)
            if thin_out:
                connection.execute(_THIN_OUT, {"hour": now - HOUR_S, "day": now - DAY_S})
                connection.execute(_BOUND, {"most": MAX_BYTES})

        return self._database.submit(change, sum(row.size for row in rows) + 100)

    def add_of_sdks(self, rows: Sequence[KeptRow]) -> bool:
        """Write traces that SDKs sent, whose slugs begin with `SDK_PREFIX`; the oldest of these go.

        Returns:
            False when the database cannot accept them.
        """

        def change(connection: Connection) -> None:
            _insert(connection, rows)
            bounds = {"bytes": MAX_BYTES_OF_SDKS, "most": MAX_OF_SDKS}
            connection.execute(_BOUND_OF_SDKS, bounds)

        return self._database.submit(change, sum(row.size for row in rows) + 100)

    def rows(
        self,
        start: float,
        end: float,
        *,
        slug: str = "",
        method: str = "",
        only: str = "",
        at_least_ms: float = 0.0,
        limit: int = 500,
    ) -> list[dict[str, Any]]:
        """Traces that began in a period, the slowest first, without their spans.

        Args:
            only: `failed`, `asked`, `random` or `slow`.
        """
        conditions = ["started >= ?", "started <= ?", "ms >= ?"]
        values: list[Any] = [start, end, at_least_ms]
        for name, value in (("slug", slug), ("method", method)):
            if value:
                conditions.append(f"{name} = ?")
                values.append(value)
        if only:
            conditions.append("instr(' ' || why || ' ', ' ' || ? || ' ')")
            values.append(only)
        condition = " and ".join(conditions)
        sql = f"select {_COLUMNS} from traces where {condition} order by ms desc limit ?"  # noqa: S608
        return self._database.read(sql, (*values, limit))

    def get(self, name: str) -> dict[str, Any] | None:
        """The newest trace with this id, X-Request-Id or trace id, with its `data`; one of the
        application's own requests before one that an SDK sent."""
        sql = (
            f"select {_COLUMNS}, data from traces where id = ?1 or request_id = ?1 or trace = ?1 "  # noqa: S608
            f"order by id = ?1 desc, slug like '{SDK_PREFIX}%', started desc limit 1"
        )
        found = self._database.read(sql, (name,))
        return found[0] if found else None

    def of_trace(self, trace: str, limit: int = 10) -> list[dict[str, Any]]:
        """All that is kept of one trace, in the order in which it began, without spans."""
        sql = f"select {_COLUMNS} from traces where trace = ? order by started limit ?"  # noqa: S608
        return self._database.read(sql, (trace, limit)) if trace else []

    def known(self, names: Sequence[str]) -> set[str]:
        """Which of these ids are kept."""
        marks = ", ".join("?" * len(names))
        sql = f"select id from traces where id in ({marks})"  # noqa: S608
        return {row["id"] for row in self._database.read(sql, tuple(names))} if names else set()

    def usual(self, slug: str, method: str, besides: str) -> list[dict[str, Any]]:
        """Those of a route drawn at random, and answered, with their `data`."""
        sql = (
            f"select {_COLUMNS}, data from traces where slug = ? and method = ? and id <> ? "  # noqa: S608
            f"and not failed and instr(why, 'random') order by draw limit {2 * RANDOM}"
        )
        return self._database.read(sql, (slug, method, besides))


def _insert(connection: Connection, rows: Sequence[KeptRow]) -> None:
    marks = ", ".join("?" * len(rows[0].values())) if rows else ""
    for row in rows:
        connection.execute(f"insert or replace into traces values ({marks})", row.values())  # noqa: S608


def _make_room(connection: Connection) -> None:
    """The older half of those that nobody asked for."""
    connection.execute(
        "delete from traces where id in (select id from traces where not asked order by started "
        "limit (select count(*) / 2 + 1 from traces where not asked))"
    )
