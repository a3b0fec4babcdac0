"""Named dashboards: those saved in the database, and those that are files. No page and no request.

A file wins over a saved dashboard of its name, and nobody changes it here.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.web.dashboards.files import DashboardFiles
from inapp_monitor.web.dashboards.format import (
    NAME,
    SHAPES,
    Document,
    checked,
)

if TYPE_CHECKING:
    from inapp_monitor.database.file import Connection, Database

__all__ = ["SHAPES", "Shelf", "checked"]

MAX_DASHBOARDS = 200
_SCRIPT = """
create table dashboards (
    name text primary key,
    document text not null,
    changed real not null
)
"""


class Shelf:
    """The dashboards of a data directory, and of a directory of files."""

    def __init__(self, database: Database | None, files: DashboardFiles | None = None) -> None:
        """No I/O."""
        self._database = database
        self._files = files or DashboardFiles(None)
        if database is not None:
            database.declare("dashboards", [_SCRIPT])

    def names(self) -> list[dict[str, Any]]:
        """Name, title, number of panels, file ("" for a saved one) of each, by name."""
        found: dict[str, dict[str, Any]] = {}
        for name, text in self._saved().items():
            found[name] = {**_entry(name, json.loads(text)), "file": ""}
        for name, file in self._files.all().items():
            if file.document is not None:
                found[name] = {**_entry(name, file.document), "file": str(file.path)}
        return [found[name] for name in sorted(found)]

    def problems(self) -> list[str]:
        """What is wrong with files, a line each."""
        return [file.problem for file in self._files.all().values() if file.problem]

    def file_of(self, name: str) -> str:
        """The file that a dashboard is, "" for a saved one."""
        file = self._files.all().get(name)
        return str(file.path) if file is not None else ""

    def get(self, name: str) -> Document | None:
        """One dashboard, None when there is none of this name.

        Raises:
            QueryError: it is a file that cannot be understood.
        """
        file = self._files.all().get(name)
        if file is not None:
            if file.document is None:
                raise QueryError(file.problem)
            return copy.deepcopy(file.document)
        if self._database is None:
            return None
        rows = self._database.read("select document from dashboards where name = ?", (name,))
        found: Document | None = json.loads(rows[0]["document"]) if rows else None
        return found

    def put(self, name: str, document: Document, now: float) -> None:
        """Keep a checked document under a name, in place of an earlier one.

        Raises:
            QueryError: a bad name, a file's name, too many dashboards, or nothing can be written.
        """
        if not NAME.fullmatch(name):
            raise QueryError(f"dashboard name {name[:80]!r} must be 1 to 60 of A-Z a-z 0-9 _ -")
        self._check_free(name)
        saved = self._saved()
        if len(saved) >= MAX_DASHBOARDS and name not in saved:
            raise QueryError(f"there are {MAX_DASHBOARDS} dashboards already, delete one first")
        text = json.dumps(document)

        def write(connection: Connection) -> None:
            connection.execute(
                "insert into dashboards values (?, ?, ?) on conflict (name) "
                "do update set document = excluded.document, changed = excluded.changed",
                (name, text, now),
            )

        self._change(write, len(text))

    def delete(self, name: str) -> None:
        """Forget a dashboard; no matter if there is none.

        Raises:
            QueryError: it is a file, or nothing can be written.
        """
        self._check_free(name)
        self._change(
            lambda connection: connection.execute("delete from dashboards where name = ?", (name,)),
            200,
        )

    def _saved(self) -> dict[str, str]:
        if self._database is None:
            return {}
        rows = self._database.read("select name, document from dashboards order by name")
        return {str(row["name"]): str(row["document"]) for row in rows}

    def _check_free(self, name: str) -> None:
        file = self.file_of(name)
        if file:
            raise QueryError(f"dashboard {name!r} is the file {file}: change it there")

    def _change(self, change: Any, size: int) -> None:
        if self._database is None or not self._database.submit(change, size + 200):
            raise QueryError("dashboards cannot be saved here: the database cannot be written")
        self._database.write_pending()


def _entry(name: str, document: Document) -> dict[str, Any]:
    return {"name": name, "title": document["title"], "panels": len(document["panels"])}
