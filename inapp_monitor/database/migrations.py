"""Bringing the tables of every part up to date: one script a version, remembered in `parts`."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence


def migrate(connection: sqlite3.Connection, scripts: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Run the scripts that the file has not seen yet, inside the open transaction.

    Args:
        connection: With a transaction open.
        scripts: Of each part, oldest first; statements are separated by `;`.

    Returns:
        The number of scripts that each part brings.
    """
    connection.execute("create table if not exists parts (name text primary key, version int)")
    have = dict(connection.execute("select name, version from parts").fetchall())
    for name, own in scripts.items():
        for script in own[have.get(name, 0) :]:
            for statement in filter(str.strip, script.split(";")):
                connection.execute(statement)
        version = max(len(own), have.get(name, 0))  # a newer release may have been here
        connection.execute(
            "insert into parts values (?, ?) "
            "on conflict (name) do update set version = excluded.version",
            (name, version),
        )
    return {name: len(own) for name, own in scripts.items()}
