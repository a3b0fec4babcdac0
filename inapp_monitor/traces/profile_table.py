"""Profiles of all workers in the database, merged when written: a row a route, method and ten
minutes for a day; and a row for ten seconds for half an hour, to compare now with before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from inapp_monitor.database.file import Connection, Database
from inapp_monitor.traces import profile_tree
from inapp_monitor.traces.profile_tree import Tree
from inapp_monitor.traces.time_table import FINE_S

#: Seconds of one row, and for how long it is kept. The recent ones are those of `time_table`: a
#: change begins with a row of each.
STEP_S: Final = 600
KEPT_S: Final = 86_400
RECENT_STEP_S: Final = FINE_S
RECENT_KEPT_S: Final = 1_800
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
_RECENT_SCRIPT = _SCRIPT.replace("profiles", "recent_profiles")
_BOUND = """
delete from profiles where (slug, method, begun) in (select slug, method, begun from
(select slug, method, begun, sum(size) over (order by begun desc, slug, method) as total
from profiles) where total > ?)
"""


class Profile(NamedTuple):
    """The profile of one request of a route that ended then, epoch seconds."""

    slug: str
    method: str
    ended: float
    tree: Tree


class ProfileTable:
    """The table of profiles. *Threads:* any."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.declare("profiles", [_SCRIPT, _RECENT_SCRIPT], _make_room)

    def add(self, profiles: Sequence[Profile], now: float) -> bool:
        """Add profiles to those that are there.

        Returns:
            False when the database cannot accept them.
        """

        def change(connection: Connection) -> None:
            for slug, method, ended, tree in profiles:
                _merge(connection, "profiles", (slug, method, _begun(ended, STEP_S)), tree)
                recent = (slug, method, _begun(ended, RECENT_STEP_S))
                _merge(connection, "recent_profiles", recent, tree)
            connection.execute("delete from profiles where begun < ?", (now - KEPT_S - STEP_S,))
            connection.execute(
                "delete from recent_profiles where begun < ?", (now - RECENT_KEPT_S,)
            )
            connection.execute(_BOUND, (MAX_BYTES,))

        return self._database.submit(change, 5_000 * len(profiles))

    def read(self, slug: str, method: str, start: float, end: float) -> Tree:
        """The profiles of a route in a period, put together, and `since` when they are."""
        return self._whole("profiles", slug, method, start - STEP_S + 1, end)

    def after(self, slug: str, method: str, since: float, end: float) -> Tree:
        """Those from `since` on, when a route has changed."""
        found = self._whole("recent_profiles", slug, method, since, end)
        return found if found["requests"] else self._whole("profiles", slug, method, since, end)

    def before(self, slug: str, method: str, since: float) -> Tree:
        """Those that were over before `since`."""
        found = self._whole("recent_profiles", slug, method, 0, since - RECENT_STEP_S)
        if found["requests"]:
            return found
        return self._whole("profiles", slug, method, 0, since - STEP_S)

    def _whole(self, table: str, slug: str, method: str, start: float, end: float) -> Tree:
        """The rows that begin in a period, put together."""
        rows = self._database.read(
            f"select begun, data from {table} where slug = ? and method = ? "  # noqa: S608
            "and begun >= ? and begun <= ? order by begun",
            (slug, method, start, end),
        )
        trees = [profile_tree.unpack(row["data"]) for row in rows]
        whole: dict[str, Any] = profile_tree.merged(tree for tree in trees if tree is not None)
        whole["since"] = rows[0]["begun"] if rows else None
        return whole


def _begun(now: float, step_s: int) -> int:
    return int(now) // step_s * step_s


def _merge(connection: Connection, table: str, key: tuple[str, str, int], tree: Tree) -> None:
    found = connection.execute(
        f"select data from {table} where slug = ? and method = ? and begun = ?",  # noqa: S608
        key,
    ).fetchone()
    before = profile_tree.unpack(found[0]) if found else None
    whole = tree if before is None else profile_tree.merged([before, tree])
    data = profile_tree.pack(whole)
    values = (*key, whole["requests"], len(data) + 100, data)
    connection.execute(f"insert or replace into {table} values (?,?,?,?,?,?)", values)  # noqa: S608


def _make_room(connection: Connection) -> None:
    """The older half."""
    connection.execute("delete from profiles where begun < (select avg(begun) from profiles)")
