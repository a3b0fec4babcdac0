"""What came in through the doors of all workers, together: a file that each adds its counts to.

The listeners are one worker's at a time, the HTTP doors every worker's, and any may be asked for
the page. So each adds what is new since the last time to `DATA_DIR/doors`, under a lock that
nobody waits for; a killed worker costs the counts of a second. Counts go on over restarts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inapp_monitor.ground import data_directory, private_files
from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.file_lock import LockFile
from inapp_monitor.ingest.doors import Door

FILE_NAME = "doors"
#: Doors kept: those of earlier settings go first.
MAX_DOORS = 100
_MAX_SIZE_BYTES = 2**20
_INTERVAL_S = 1.0
#: Counts that add up over workers.
COUNTS = (
    *("lines", "points", "packets", "connections", "refused_connections", "kernel_drops"),
    "rejected",
)

Row = dict[str, Any]


class SharedDoors:
    """The doors of one data directory.

    *Threads:* `share` one at a time, `rows` any.
    """

    def __init__(self, data_dir: Path, clock: Clock) -> None:
        self._path = data_dir / FILE_NAME
        self._clock = clock
        self.forked()

    def forked(self) -> None:
        """In a child process: what was counted is the parent's."""
        self._before: dict[str, Row] = {}
        self._states: dict[str, tuple[str, int]] = {}
        self._shared_at = float("-inf")

    def share(
        self, doors: Mapping[str, Door], *, listens: bool, at_once: bool = False
    ) -> dict[str, Row]:
        """Add what is new here, unless that was done lately. Returns it, by address.

        Args:
            listens: Whether the listeners are this process's: then it says how they are.

        Raises:
            OSError: the file cannot be written; the counts are kept for the next time.
        """
        now = self._clock.perf()
        if now - self._shared_at < _INTERVAL_S and not at_once:
            return {}
        present = {address: _row_of(door) for address, door in list(doors.items())}
        news = {address: _news(row, self._before.get(address)) for address, row in present.items()}
        news = {address: row for address, row in news.items() if row}
        states = {a: (row["state"], os.getpid()) for a, row in present.items() if listens}
        if not news and states == self._states:
            return {}
        self._shared_at = now
        data_directory.prepare(self._path.parent)
        lock = LockFile(self._path.with_suffix(".lock"))
        try:
            if not lock.acquire():
                return {}
            self._merge(news, states)
        finally:
            lock.close()
        self._before.update(present)
        self._states = states
        return news

    def _merge(self, news: Mapping[str, Row], states: Mapping[str, tuple[str, int]]) -> None:
        stored = self._load()
        for address, (state, pid) in states.items():
            if not address.startswith("/"):
                row = stored.setdefault(address, {"since": self._clock.wall()})
                row["state"], row["held_by"] = state, pid
        for address, row in news.items():
            known = stored.setdefault(address, {"since": self._clock.wall()})
            stored[address] = _sum(known, row)
        newest = sorted(stored.items(), key=lambda entry: -float(entry[1].get("last_time") or 0.0))
        data = json.dumps(dict(newest[:MAX_DOORS])).encode()
        private_files.replace(self._path, data)

    def _load(self) -> dict[str, Row]:
        try:
            found = json.loads(private_files.read(self._path, _MAX_SIZE_BYTES))
        except (OSError, ValueError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {address: row for address, row in found.items() if isinstance(row, dict)}

    def rows(self, doors: Mapping[str, Door]) -> list[Row]:
        """All doors that are set or have ever been used, those of this app's settings first.

        Each row: `address`, `state` (`open`, why it is not, or `not set`), `held_by` (a process
        id, or None for every worker), the counts, `rejects` (reason to `count`, `text`, `client`,
        `time`), `notes`, `backlog_bytes`, `last_client`, `last_time`, `last_point`, `since`.
        """
        stored = self._load()
        for address, door in list(doors.items()):
            row = _news(_row_of(door), self._before.get(address))
            stored[address] = _sum(stored.get(address, {}), row)
            stored[address].setdefault("state", door.state)
        made = [_whole(address, row, is_set=address in doors) for address, row in stored.items()]
        return sorted(made, key=lambda row: (row["state"] == "not set", row["address"]))


def _row_of(door: Door) -> Row:
    rejects = {
        reason: {"count": count, **_example(door, reason)}
        for reason, count in list(door.rejects.items())  # at once: others count meanwhile
    }
    return {
        **{name: getattr(door, name) for name in COUNTS if name != "rejected"},
        "rejected": sum(door.rejects.values()),
        "rejects": rejects,
        "notes": dict(door.notes),
        "state": door.state,
        "backlog_bytes": door.backlog_bytes,
        "last_client": door.last_client,
        "last_time": door.last_time,
        "last_point": door.last_point,
        "dropped_at": door.dropped_at,
    }


def _example(door: Door, reason: str) -> Row:
    line = door.last_rejected.get(reason)
    if line is None:
        return {"text": "", "client": "", "time": 0.0}
    return {"text": line.text, "client": line.client, "time": line.time}


def _news(row: Row, before: Row | None) -> Row:
    """What was counted since; empty when nothing was."""
    before = before or {}
    if row["last_time"] == before.get("last_time", 0.0) and not any(
        row[name] != before.get(name, 0) for name in COUNTS
    ):
        return {}
    counts = {name: row[name] - before.get(name, 0) for name in COUNTS}
    rejects = {
        reason: {**entry, "count": entry["count"] - _count(before, reason)}
        for reason, entry in row["rejects"].items()
        if entry["count"] != _count(before, reason)
    }
    earlier = before.get("notes", {})
    notes = {name: n - earlier.get(name, 0) for name, n in row["notes"].items()}
    return {**row, **counts, "rejects": rejects, "notes": {k: n for k, n in notes.items() if n}}


def _count(row: Row, reason: str) -> int:
    return int(row.get("rejects", {}).get(reason, {}).get("count", 0))


def _sum(known: Row, news: Row) -> Row:
    """A stored row with what is new."""
    if not news:
        return known
    rejects = dict(known.get("rejects", {}))
    for reason, entry in news["rejects"].items():
        count = entry["count"] + int(rejects.get(reason, {}).get("count", 0))
        rejects[reason] = {**entry, "count": count}
    notes = dict(known.get("notes", {}))
    for name, n in news["notes"].items():
        notes[name] = notes.get(name, 0) + n
    counts = {name: int(known.get(name, 0)) + news[name] for name in COUNTS}
    kept: Row = {name: known[name] for name in ("state", "held_by", "since") if name in known}
    latest: Row = {
        name: news[name] or known.get(name, "")
        for name in ("last_client", "last_point", "last_time", "dropped_at")
    }
    backlog = {"backlog_bytes": news["backlog_bytes"]}
    return {**kept, **counts, **latest, **backlog, "rejects": rejects, "notes": notes}


def _whole(address: str, row: Row, *, is_set: bool) -> Row:
    is_http = address.startswith("/")
    state = "open" if is_http else row.get("state", "not open yet")
    return {
        "address": address,
        "state": state if is_set or is_http else "not set",
        "held_by": None if is_http else row.get("held_by"),
        **{name: int(row.get(name, 0)) for name in COUNTS},
        "rejects": row.get("rejects", {}),
        "notes": row.get("notes", {}),
        "backlog_bytes": int(row.get("backlog_bytes", 0)),
        "last_client": row.get("last_client", ""),
        "last_time": float(row.get("last_time") or 0.0),
        "last_point": row.get("last_point", ""),
        "dropped_at": float(row.get("dropped_at") or 0.0),
        "since": float(row.get("since") or 0.0),
    }
