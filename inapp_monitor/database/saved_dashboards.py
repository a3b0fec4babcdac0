"""Dashboards that people saved, as text by name. What may be in the text is not known here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inapp_monitor.database.file import Change, Connection, Database

_SCRIPT = """
create table dashboards (
    name text primary key,
    document text not null,
    changed real not null
)
"""


class SavedDashboards:
    """The table of saved dashboards; empty and not to be written without a database."""

    def __init__(self, database: Database | None) -> None:
        """No I/O."""
        self._database = database
        if database is not None:
            database.declare("dashboards", [_SCRIPT])

    def all(self) -> dict[str, str]:
        """The documents by name, sorted."""
        if self._database is None:
            return {}
        rows = self._database.read("select name, document from dashboards order by name")
        return {str(row["name"]): str(row["document"]) for row in rows}

    def get(self, name: str) -> str | None:
        """One document, None when there is none of this name."""
        if self._database is None:
            return None
        rows = self._database.read("select document from dashboards where name = ?", (name,))
        return str(rows[0]["document"]) if rows else None

    def put(self, name: str, document: str, now: float) -> bool:
        """Save a document in place of an earlier one; False when nothing can be written."""

        def write(connection: Connection) -> None:
            connection.execute(
                "insert into dashboards values (?, ?, ?) on conflict (name) "
                "do update set document = excluded.document, changed = excluded.changed",
                (name, document, now),
            )

        return self._change(write, len(document) + 200)

    def delete(self, name: str) -> bool:
        """Forget a document, if there is one; False when nothing can be written."""

        def write(connection: Connection) -> None:
            connection.execute("delete from dashboards where name = ?", (name,))

        return self._change(write, 400)

    def _change(self, change: Change, size: int) -> bool:
        if self._database is None or not self._database.submit(change, size):
            return False
        self._database.write_now()
        return True
