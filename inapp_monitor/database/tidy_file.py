"""A tidy SQLite file for others to look into, with Datasette or any client: keys and views.

It is made anew as a whole. What its rows mean is for those who write them: here are the tables that
it can have, and how rows come into them quickly.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

#: Columns by table, in order.
TABLES: Final = {
    "series": "id, path, kind, method",
    "points": "series_id, time, step_s, value",
    "distribution_points": "series_id, time, step_s, count, sum, min, max, p50, p95, p99",
    "issues": (
        "id, type, title, culprit, level, route, status, first_seen, last_seen, release, count"
    ),
    "events": (
        "id, issue_id, time, level, type, message, culprit, route, method, url, release,"
        " environment, server, json"
    ),
    "not_found": "path, count, first_seen, last_seen",
    "not_found_referers": "path, referer, count",
}
_SCHEMA: Final = """
create table series (
    id integer primary key, path text not null unique, kind text not null, method text not null
);
create table points (
    series_id integer not null references series (id), time integer not null,
    step_s integer not null, value real not null, primary key (series_id, time)
) without rowid;
create table distribution_points (
    series_id integer not null references series (id), time integer not null,
    step_s integer not null, count integer not null, sum real not null, min real not null,
    max real not null, p50 real not null, p95 real not null, p99 real not null,
    primary key (series_id, time)
) without rowid;
create table issues (
    id text primary key, type text, title text, culprit text, level text, route text, status text,
    first_seen real, last_seen real, release text, count integer
);
create table events (
    id text primary key, issue_id text references issues (id), time real not null, level text,
    type text, message text, culprit text, route text, method text, url text, release text,
    environment text, server text, json text not null
);
create index events_by_issue on events (issue_id, time);
create table not_found (path text primary key, count integer, first_seen real, last_seen real);
create table not_found_referers (
    path text not null references not_found (path), referer text not null, count integer,
    primary key (path, referer)
);
create view named_points as
    select path, datetime(time, 'unixepoch') as at, step_s, value, time
    from points join series on series.id = series_id;
create view named_distribution_points as
    select path, datetime(time, 'unixepoch') as at, d.*
    from distribution_points d join series on series.id = series_id;
create view sums_by_day as
    select path, date(time, 'unixepoch') as day, sum(value) as total
    from points join series on series.id = series_id where method = 'sum' group by path, day;
create view events_by_day as
    select date(time, 'unixepoch') as day, i.id as issue_id, i.title, count(*) as events
    from events join issues i on i.id = issue_id group by day, i.id;
"""


class TidyFile:
    """The file while it is written; it takes its name when everything went well.

    Use as a context manager.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._draft = path.with_name(f"{path.name}.new")

    def __enter__(self) -> TidyFile:
        self._draft.unlink(missing_ok=True)
        self._draft.touch(mode=0o600)
        self._connection = sqlite3.connect(self._draft, isolation_level=None)
        self._connection.executescript(
            "pragma journal_mode = off; pragma synchronous = off; pragma foreign_keys = off;"
        )
        self._connection.executescript(_SCHEMA)
        self._connection.execute("begin")
        return self

    def add(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        """Add rows; of two with the same key the later one counts."""
        columns = TABLES[table]
        marks = ", ".join("?" * len(columns.split(",")))
        self._connection.executemany(
            f"insert or replace into {table} ({columns}) values ({marks})",  # noqa: S608
            rows,
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._connection.execute("commit")
        self._connection.close()
        if kind is None:
            self._draft.replace(self._path)
        else:
            self._draft.unlink(missing_ok=True)
