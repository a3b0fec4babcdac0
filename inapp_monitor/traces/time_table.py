"""Where the time of each route went, in the database: rows of ten seconds and of five minutes.

All workers add up in one row of a route, method and period. Bounded in age and bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, NamedTuple

from inapp_monitor.database.file import Connection, Database
from inapp_monitor.traces import time_parts
from inapp_monitor.traces.time_parts import RouteTime

#: Seconds of a row, and for how long it is kept.
FINE_S: Final = 10
COARSE_S: Final = 300
KEPT: Final = {FINE_S: 1_800, COARSE_S: 26 * 3_600}
MAX_BYTES: Final = 8 * 2**20
_PRUNED_EVERY_S: Final = 60.0

_SCRIPT = """
create table route_times (
    step integer not null,
    start integer not null,
    slug text not null,
    method text not null,
    size integer not null,
    data text not null,
    primary key (slug, method, step, start)
) without rowid;
create index route_times_start on route_times (step, start)
"""
_BOUND = """
delete from route_times where (slug, method, step, start) in (select slug, method, step, start from
(select slug, method, step, start, sum(size) over (order by start desc, slug, method, step) as total
from route_times) where total > ?)
"""


class Period(NamedTuple):
    """Requests of a route from `start` on, for `step` seconds."""

    start: int
    step: int
    time: RouteTime


class TimeTable:
    """The table. *Threads:* any."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pruned_at = 0.0
        database.declare("route_times", [_SCRIPT], _make_room)

    def add(self, times: Mapping[tuple[int, str, str], RouteTime], now: float) -> bool:
        """Add what was seen, by start of the ten seconds, slug and method.

        Returns:
            False when the database cannot accept it.
        """
        prunes = not 0.0 <= now - self._pruned_at < _PRUNED_EVERY_S
        if prunes:
            self._pruned_at = now

        def change(connection: Connection) -> None:
            for (start, slug, method), time in times.items():
                for step in KEPT:
                    _merge(connection, (slug, method, step, start // step * step), time)
            if prunes:
                for step, kept_s in KEPT.items():
                    connection.execute(
                        "delete from route_times where step = ? and start < ?", (step, now - kept_s)
                    )
                connection.execute(_BOUND, (MAX_BYTES,))

        return self._database.submit(change, 1_000 * len(times))

    def read(self, slug: str, method: str, start: float, end: float) -> list[Period]:
        """A route's periods that lie in a window, oldest first: the fine ones, and before them the
        coarse ones."""
        rows = self._database.read(
            "select step, start, data from route_times where slug = ? and method = ? "
            "and start + step > ? and start < ? order by start",
            (slug, method, start, end),
        )
        periods = []
        for row in rows:
            try:
                time = time_parts.from_json(json.loads(row["data"]))
            except (ValueError, TypeError, KeyError):
                continue
            periods.append(Period(row["start"], row["step"], time))
        fine = [each for each in periods if each.step == FINE_S]
        begin = fine[0].start if fine else float("inf")
        # A coarse one that overlaps the fine ones would count requests twice.
        return [
            *(each for each in periods if each.step != FINE_S and each.start + each.step <= begin),
            *fine,
        ]


def _merge(connection: Connection, key: tuple[str, str, int, int], time: RouteTime) -> None:
    found = connection.execute(
        "select data from route_times where slug = ? and method = ? and step = ? and start = ?", key
    ).fetchone()
    whole = time
    if found is not None:
        try:
            whole = time_parts.from_json(json.loads(found[0]))
            whole.add(time)
        except (ValueError, TypeError, KeyError):
            whole = time
    text = json.dumps(whole.bounded().as_json(), separators=(",", ":"))
    slug, method, step, start = key
    values = (step, start, slug, method, len(text) + 100, text)
    connection.execute("insert or replace into route_times values (?, ?, ?, ?, ?, ?)", values)


def _make_room(connection: Connection) -> None:
    """The older half."""
    connection.execute("delete from route_times where start < (select avg(start) from route_times)")
