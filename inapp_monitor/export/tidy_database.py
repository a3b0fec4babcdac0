"""Everything that is stored as a tidy SQLite file: series, issues, events and 404s."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from inapp_monitor.database.file import Database
from inapp_monitor.database.tidy_file import TABLES, TidyFile
from inapp_monitor.export import past
from inapp_monitor.export.past import Past, StoredSeries
from inapp_monitor.issues import queries

#: Events that are read at a time.
_AT_ONCE: Final = 100


def write(
    path: Path,
    store: StoredSeries,
    database: Database,
    now: int,
    advance: Callable[[int, int], object],
) -> int:
    """Write the file; returns the number of its points.

    Args:
        path: Replaced when it exists.
        store: Series.
        database: Issues, events and 404s.
        now: Wall time.
        advance: Called with the number of series that are done, and of all.

    Raises:
        OSError: the disk refuses; what was there stays.
    """
    points = 0
    leaves = [leaf for leaf in store.leaves() if leaf.kind != "whisper"]
    with TidyFile(path) as file:
        advance(0, len(leaves))
        for number, series in enumerate(past.read(store, leaves, now), 1):
            leaf = series.leaf
            file.add("series", [(number, leaf.path, leaf.kind, leaf.method.name.lower())])
            points += len(series.numbers) + len(series.histograms)
            _add_points(file, number, series)
            advance(number, len(leaves))
        _add_errors(file, database)
        _add_not_found(file, database)
    return points


def _add_points(file: TidyFile, number: int, series: Past) -> None:
    file.add("points", [(number, *point) for point in series.numbers])
    rows = []
    for begin, step, h in series.histograms:
        quantiles = h.quantiles((0.5, 0.95, 0.99))
        rows.append((number, begin, step, h.count, h.total, h.minimum, h.maximum, *quantiles))
    file.add("distribution_points", rows)


def _add_errors(file: TidyFile, database: Database) -> None:
    rows = database.read(
        "select i.*, (select coalesce(sum(count), 0) from issue_fingerprints f"
        " where f.issue = i.id) as count from issues i"
    )
    names = TABLES["issues"].columns
    file.add("issues", [[row[name] for name in names] for row in rows])
    for row in _events(database):
        event = queries.decode(row["body"])
        if event is not None:
            file.add("events", [_event(event, row["issue"])])


def _events(database: Database) -> Iterator[dict[str, Any]]:
    last = 0
    while rows := database.read(
        "select e.number as number, e.body as body, f.issue as issue from issue_events e"
        " left join issue_fingerprints f on f.fingerprint = e.fingerprint"
        " where e.number > ? order by e.number limit ?",
        (last, _AT_ONCE),
    ):
        yield from rows
        last = rows[-1]["number"]


def _event(event: dict[str, Any], issue: str | None) -> list[Any]:
    request = event.get("request") or {}
    url = ""
    if request:
        url = f"{request.get('scheme')}://{request.get('host')}{request.get('path')}"
    plain = ("level", "type", "message", "culprit", "route")
    return [
        *(event["id"], issue, event["time"]),
        *(event.get(name) for name in plain),
        *(request.get("method"), url),
        *(event.get(name) for name in ("release", "environment", "server")),
        json.dumps(event, separators=(",", ":")),
    ]


def _add_not_found(file: TidyFile, database: Database) -> None:
    rows = database.read("select path, count, first_seen, last_seen, referers from not_found")
    file.add("not_found", [list(row.values())[:4] for row in rows])
    for row in rows:
        try:
            referers = dict(json.loads(row["referers"]))
        except (ValueError, TypeError):
            continue
        pairs = [(row["path"], name, count) for name, count in referers.items()]
        file.add("not_found_referers", pairs)
