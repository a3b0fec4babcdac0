"""How the setting `disk_budget` is divided between series, database and logs. Pure."""

from __future__ import annotations

#: The share of database and logs: one part in so many.
_DATABASE_PART = 4
#: Bytes of the log file, as far as they are no more than one part in so many.
_LOGS_BYTES, _LOGS_PART = 8 * 2**20, 32


def of_database(disk_budget: int) -> int:
    """Bytes that the SQLite file may take."""
    return disk_budget // _DATABASE_PART - of_logs(disk_budget)


def of_logs(disk_budget: int) -> int:
    """Bytes of the file of log records."""
    return min(_LOGS_BYTES, disk_budget // _LOGS_PART)


def of_series(disk_budget: int) -> int:
    """Bytes that the files of series may take: what nobody else may."""
    return disk_budget - disk_budget // _DATABASE_PART
