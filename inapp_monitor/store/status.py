"""How the store is, for people and for the monitor's own series: plain values, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FileStatus:
    """One file of the store.

    Attributes:
        name: File name below the store's directory.
        size: Bytes it can ever take.
        used: Bytes of the disk that it takes now.
        series: Series in it.
        room: Further columns that it has.
        retention: Its archives.
    """

    name: str
    size: int
    used: int
    series: int
    room: int
    retention: str


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """How the store is.

    Attributes:
        files: Group and distribution files.
        size: Bytes that they can ever take together.
        used: Bytes of the disk that they take now.
        budget: Bytes that they may take; the rest of `disk_budget` is the database's.
        series: Scalars, on disk or waiting.
        distributions: Distributions, on disk or waiting.
        buffered: Bytes of points that are not on disk yet.
        buffer_size: Bytes that may wait.
        drops: Points that were dropped, by reason.
        last_flush: When something was written last, seconds since the epoch; 0: never.
        flush_s: How long that took.
        fault: Why the disk refuses, "" when it does not.
        retry_in_s: Seconds until the next try.
        reused: Series that lost their place because they were idle and the budget is used up.
        damaged: Files that were moved aside or mended: what and why, latest last.
        descriptors: Files that are open.
    """

    files: list[FileStatus] = field(default_factory=list)
    size: int = 0
    used: int = 0
    budget: int = 0
    series: int = 0
    distributions: int = 0
    buffered: int = 0
    buffer_size: int = 0
    drops: dict[str, int] = field(default_factory=dict)
    last_flush: float = 0.0
    flush_s: float = 0.0
    fault: str = ""
    retry_in_s: float = 0.0
    reused: int = 0
    damaged: list[str] = field(default_factory=list)
    descriptors: int = 0
