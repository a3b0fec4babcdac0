"""What the status page shows of the SQLite file. How it is found out is not known here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """The file in numbers, for the status page.

    Attributes:
        path: Of the file.
        size_bytes: Of the file and its write-ahead log; 0 when there is none yet.
        budget_bytes: The file's hard cap.
        pending_changes: Changes that wait for the disk.
        pending_bytes: Their size.
        written: Changes written by this process.
        dropped: Changes of this process that were not written, by reason.
        fault: Why the disk refuses, or an empty string.
        moved_aside: Damaged files that this process put aside.
    """

    path: str
    size_bytes: int
    budget_bytes: int
    pending_changes: int
    pending_bytes: int
    written: int
    dropped: dict[str, int]
    fault: str
    moved_aside: list[str]
