"""How the setting `disk_budget` is divided between the series and the database. Pure."""

from __future__ import annotations

#: The database's share: one part in so many.
_DATABASE_PART = 4


def of_database(disk_budget: int) -> int:
    """Bytes that the SQLite file may take."""
    return disk_budget // _DATABASE_PART


def of_series(disk_budget: int) -> int:
    """Bytes that the files of series may take: what is not the database's."""
    return disk_budget - of_database(disk_budget)
