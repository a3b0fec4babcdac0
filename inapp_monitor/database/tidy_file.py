"""A tidy SQLite file for others to look into, with Datasette or any client: keys, views, search.

It is made anew as a whole, by sqlite-utils, which no worker loads. What its rows mean is for those
who write them: here are the tables that it can have, and how rows come into them quickly.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple

import sqlite_utils


class Table(NamedTuple):
    """One table: its columns with their types, its key, and what refers to another table."""

    columns: Mapping[str, type]
    key: str | tuple[str, ...]
    refers: Sequence[tuple[str, str, str]] = ()


_POINT: Final = {"series_id": int, "time": int, "step_s": int}
_SPREAD: Final = dict.fromkeys(("sum", "min", "max", "p50", "p95", "p99"), float)
_OF_SERIES: Final = (("series_id", "series", "id"),)
#: Tables by name, each after those that it refers to.
TABLES: Final = {
    "series": Table({"id": int, "path": str, "kind": str, "method": str}, "id"),
    "points": Table({**_POINT, "value": float}, ("series_id", "time"), _OF_SERIES),
    "distribution_points": Table(
        {**_POINT, "count": int, **_SPREAD}, ("series_id", "time"), _OF_SERIES
    ),
    "issues": Table(
        {
            **dict.fromkeys(("id", "type", "title", "culprit", "level", "route", "status"), str),
            "first_seen": float,
            "last_seen": float,
            "release": str,
            "count": int,
        },
        "id",
    ),
    "events": Table(
        {
            "id": str,
            "issue_id": str,
            "time": float,
            **dict.fromkeys(("level", "type", "message", "culprit", "route", "method"), str),
            **dict.fromkeys(("url", "release", "environment", "server", "json"), str),
        },
        "id",
        (("issue_id", "issues", "id"),),
    ),
    "not_found": Table(
        {"path": str, "count": int, "first_seen": float, "last_seen": float}, "path"
    ),
    "not_found_referers": Table(
        {"path": str, "referer": str, "count": int},
        ("path", "referer"),
        (("path", "not_found", "path"),),
    ),
}
_VIEWS: Final = {
    "named_points": (
        "select path, datetime(time, 'unixepoch') as at, step_s, value, time"
        " from points join series on series.id = series_id"
    ),
    "named_distribution_points": (
        "select path, datetime(time, 'unixepoch') as at, d.*"
        " from distribution_points d join series on series.id = series_id"
    ),
    "sums_by_day": (
        "select path, date(time, 'unixepoch') as day, sum(value) as total"
        " from points join series on series.id = series_id where method = 'sum'"
        " group by path, day"
    ),
    "events_by_day": (
        "select date(time, 'unixepoch') as day, i.id as issue_id, i.title, count(*) as events"
        " from events join issues i on i.id = issue_id group by day, i.id"
    ),
}
#: Columns of which a search finds words.
_SEARCHED: Final = ("type", "message", "culprit", "url")


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
        connection = sqlite3.connect(self._draft, isolation_level=None)
        connection.executescript(
            "pragma journal_mode = off; pragma synchronous = off; pragma foreign_keys = off;"
        )
        self._database = sqlite_utils.Database(connection, execute_plugins=False)
        for name, table in TABLES.items():
            self._database.table(name).create(
                dict(table.columns), pk=table.key, foreign_keys=list(table.refers)
            )
        self._database.table("series").create_index(["path"], unique=True)
        self._database.table("events").create_index(["issue_id", "time"])
        for name, text in _VIEWS.items():
            self._database.create_view(name, text)
        connection.execute("begin")
        return self

    def add(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        """Add rows in the order of the table's columns; of two with the same key the later one
        counts."""
        columns = TABLES[table].columns
        names, marks = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
        # By tuples: a dictionary for each of millions of points would be slow.
        self._database.conn.executemany(
            f"insert or replace into {table} ({names}) values ({marks})",  # noqa: S608
            rows,
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        connection = self._database.conn
        try:
            if kind is None:
                connection.execute("commit")
                self._database.table("events").enable_fts(_SEARCHED)
        finally:
            connection.close()
        if kind is None:
            self._draft.replace(self._path)
        else:
            self._draft.unlink(missing_ok=True)
