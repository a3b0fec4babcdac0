"""Profiles of all workers in the database: a row a route, method and hour, merged when written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from inapp_monitor.database.file import Connection, Database
from inapp_monitor.traces import profile_tree
from inapp_monitor.traces.profile_tree import Tree

#: Seconds of one row, and for how long it is kept.
STEP_S: Final = 600
KEPT_S: Final = 86_400
#: Bytes of all rows together; the oldest go first.
MAX_BYTES: Final = 8 * 2**20

_SCRIPT = """
create table profiles (
    slug text not null,
    method text not null,
    begun integer not null,
    requests integer not null,
    size integer not null,
    data blob not null,
    primary key (slug, method, begun)
) without rowid
"""
_BOUND = """
delete from profiles where (slug, method, begun) in (select slug, method, begun from
(select slug, method, begun, sum(size) over (order by begun desc, slug, method) as total
from profiles) where total > ?)
"""


class ProfileTable:
    """The table of profiles. *Threads:* any."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.declare("profiles", [_SCRIPT], _make_room)

    def add(self, profiles: Sequence[tuple[str, str, Tree]], now: float) -> bool:
        """Add profiles (slug, method, tree) to those that are there.

        Returns:
            False when the database cannot accept them.
        """
        begun = int(now) // STEP_S * STEP_S

        def change(connection: Connection) -> None:
            for slug, method, tree in profiles:
                key = (slug, method, begun)
                found = connection.execute(
                    "select data from profiles where slug = ? and method = ? and begun = ?", key
                ).fetchone()
                before = profile_tree.unpack(found[0]) if found else None
                whole = tree if before is None else profile_tree.merged([before, tree])
                data = profile_tree.pack(whole)
                values = (*key, whole["requests"], len(data) + 100, data)
                connection.execute("insert or replace into profiles values (?,?,?,?,?,?)", values)
            connection.execute("delete from profiles where begun < ?", (begun - KEPT_S,))
            connection.execute(_BOUND, (MAX_BYTES,))

        return self._database.submit(change, 5_000 * len(profiles))

    def read(self, slug: str, method: str, start: float, end: float) -> Tree:
        """The profiles of a route in a period, put together, and `since` when they are."""
        sql = (
            "select begun, data from profiles where slug = ? and method = ? and begun > ? "
            "and begun <= ? order by begun"
        )
        rows = self._database.read(sql, (slug, method, start - STEP_S, end))
        trees = [profile_tree.unpack(row["data"]) for row in rows]
        whole: dict[str, Any] = profile_tree.merged(tree for tree in trees if tree is not None)
        whole["since"] = rows[0]["begun"] if rows else None
        return whole


def _make_room(connection: Connection) -> None:
    """The older half."""
    connection.execute("delete from profiles where begun < (select avg(begun) from profiles)")
