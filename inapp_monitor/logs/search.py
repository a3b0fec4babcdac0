"""Which rows of the log file somebody wants to see. It knows no page and no terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from inapp_monitor.logs import rows
from inapp_monitor.logs.ring_file import LogFile

#: Seconds by which rows may be out of order: a disk that refused, a tick that came late.
_DISORDER_S = 120.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for; empty is anything.

    Attributes:
        level: Name of the least level.
        logger: A logger, those below it included.
        route: A part of the route.
        text: Words that all occur in the message, its fields, its place or the user.
        request: A request's key, its X-Request-Id or its trace's id.
        issue: An issue's id.
        start, end: Epoch seconds.
    """

    level: str = ""
    logger: str = ""
    route: str = ""
    text: str = ""
    request: str = ""
    issue: str = ""
    start: float = 0.0
    end: float = float("inf")

    def matches(self, row: dict[str, Any]) -> bool:
        """Whether a row is wanted."""
        if not self.start <= row["time"] <= self.end:
            return False
        if self.level and rows.LEVELS.get(str(row.get("level")), 0) < rows.LEVELS[self.level]:
            return False
        logger = str(row.get("logger", ""))
        if self.logger and f"{logger}.".find(f"{self.logger}.") != 0:
            return False
        if self.route and self.route.casefold() not in str(row.get("route", "")).casefold():
            return False
        if self.issue and row.get("issue") != self.issue:
            return False
        names = (row.get("request"), row.get("request_id"), row.get("trace"))
        if self.request and self.request not in names:
            return False
        return not self.text or self._has_words(row)

    def _has_words(self, row: dict[str, Any]) -> bool:
        shown = ("text", "logger", "place", "user", "error", "path", "fields")
        within = " ".join(str(row.get(name, "")) for name in shown).casefold()
        return all(word in within for word in self.text.casefold().split())


def find(file: LogFile, wanted: Wanted, *, after: int = 0) -> Iterator[dict[str, Any]]:
    """The wanted rows, the newest first, each with its `cursor`.

    Args:
        file: Where they are.
        wanted: Which ones.
        after: Only those beyond this cursor.

    Raises:
        OSError: the file is there and cannot be read.
    """
    for cursor, data in file.rows(after=after):
        row = rows.parsed(data)
        if row is None:
            continue
        if row["time"] < wanted.start - _DISORDER_S:
            return
        if wanted.matches(row):
            yield {**row, "cursor": cursor}


def oldest(file: LogFile) -> float | None:
    """Since when the file has rows; None without any."""
    times = [row["time"] for row in map(rows.parsed, file.oldest()) if row is not None]
    return min(times, default=None)
