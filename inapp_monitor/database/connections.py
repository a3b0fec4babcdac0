"""Connections to the SQLite file: how it is made, opened for writing and for reading.

Plain `sqlite3`: sqlite-utils loads numpy, and both take 16 MB, which no worker must pay for.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from inapp_monitor.database.open_files import SIDE_FILES
from inapp_monitor.ground import private_files

BUSY_TIMEOUT_S = 5.0
PAGE_BYTES = 4096


def primary_code(error: BaseException) -> int:
    """SQLite's primary error code of an exception, 0 when there is none."""
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else 0


def file_identity(path: Path) -> tuple[int, int] | None:
    """Which file is at a path now (device and inode), None for none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def create_file(path: Path) -> None:
    """Make the file when there is none, for its owner only.

    Raises:
        OSError: it cannot be made, or is not to be used, see `require_usable`.
    """
    if file_identity(path) is None:  # else not: closing it would free SQLite's own locks
        os.close(private_files.open_for_update(path))
    require_usable(path, os.R_OK | os.W_OK)


def require_usable(path: Path, access: int) -> None:
    """SQLite opens its files by name: it would follow a link, or wait at a pipe.

    Raises:
        IsADirectoryError: one of them is no regular file.
        PermissionError: one of them is another user's; the text says what to do.
    """
    for suffix in ("", *SIDE_FILES):
        private_files.require_usable(path.with_name(path.name + suffix), access)


def open_writer(path: Path, budget_bytes: int) -> sqlite3.Connection:
    """A connection that writes with a write-ahead log and lets the file grow to its budget."""
    raw = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
    try:
        pages = max(budget_bytes // PAGE_BYTES, 32)
        log_pages = max(min(1000, pages // 8), 16)
        raw.execute("pragma journal_mode = wal")
        raw.execute("pragma synchronous = normal")
        raw.execute(f"pragma max_page_count = {pages}")
        raw.execute(f"pragma wal_autocheckpoint = {log_pages}")
        raw.execute(f"pragma journal_size_limit = {log_pages * PAGE_BYTES}")
    except BaseException:
        raw.close()
        raise
    return raw


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads, also where the directory cannot be written."""
    require_usable(path, os.R_OK)
    uri = path.absolute().as_uri()
    raw = sqlite3.connect(
        f"{uri}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S, check_same_thread=False
    )
    try:
        raw.execute("select 1 from sqlite_master limit 1").fetchall()
    except sqlite3.OperationalError:
        raw.close()
        if os.access(path.parent, os.W_OK):
            raise
        # A write-ahead log cannot be shared on a read-only file system: read what is folded in.
        raw = sqlite3.connect(f"{uri}?immutable=1", uri=True, check_same_thread=False)
    raw.row_factory = sqlite3.Row
    return raw
