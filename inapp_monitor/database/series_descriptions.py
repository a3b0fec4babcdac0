"""What is known of series beside their values: title, unit, the range they should be in.

Collectors say it, in one worker; pages of all workers read it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from inapp_monitor.database.file import Connection, Database
from inapp_monitor.ground.series_description import Description, Limits

#: Series that are described; then the ones not described for longest are forgotten.
MAX_SERIES = 10_000
#: Seconds after which a description that nobody repeats is no longer judged by.
VALID_S = 86_400
_SCRIPT = """
    create table series_descriptions (
        path text primary key, described text not null, has_limits int not null, at int not null
    ) without rowid
"""
_AT_ONCE = 500


class SeriesDescriptions:
    """Descriptions by path. *Threads:* any."""

    def __init__(self, database: Database | None) -> None:
        """No I/O."""
        self._database = database
        if database is not None:
            database.declare("series_descriptions", [_SCRIPT])

    def put(self, descriptions: Mapping[str, Description], now: int) -> None:
        """Keep descriptions, in place of earlier ones of the same series."""
        if self._database is None or not descriptions:
            return
        rows = [
            (path, json.dumps(said), said.warning is not None or said.critical is not None, now)
            for path, said in descriptions.items()
        ]

        def change(connection: Connection) -> None:
            for row in rows:
                connection.execute(
                    "insert or replace into series_descriptions (path, described, has_limits, at)"
                    " values (?, ?, ?, ?)",
                    row,
                )
            connection.execute(
                "delete from series_descriptions where path in (select path from"
                " series_descriptions order by at desc limit -1 offset ?)",
                (MAX_SERIES,),
            )

        self._database.submit(change, sum(len(row[1]) + len(row[0]) for row in rows))

    def of(self, paths: Sequence[str]) -> dict[str, Description]:
        """The descriptions of some series, as far as there are any."""
        if self._database is None or not paths:
            return {}
        wanted = list(paths)[:_AT_ONCE]
        marks = ",".join("?" * len(wanted))
        rows = self._database.read(
            f"select path, described from series_descriptions where path in ({marks})",  # noqa: S608
            wanted,
        )
        return _read(rows)

    def with_limits(self, now: int, at_most: int) -> dict[str, Description]:
        """Those of series that should be within a range, described not too long ago."""
        if self._database is None:
            return {}
        rows = self._database.read(
            "select path, described from series_descriptions where has_limits and at > ?"
            " order by path limit ?",
            (now - VALID_S, at_most),
        )
        return _read(rows)


def _read(rows: Sequence[Mapping[str, Any]]) -> dict[str, Description]:
    return {row["path"]: _description(json.loads(row["described"])) for row in rows}


def _description(kept: list[Any]) -> Description:
    title, label, unit, text, warning, critical, source = kept
    return Description(title, label, unit, text, _limits(warning), _limits(critical), source)


def _limits(kept: list[float | None] | None) -> Limits | None:
    return None if kept is None else (kept[0], kept[1])
