"""Named dashboards: those saved in the database, and those that are files. No page and no request.

A file wins over a saved dashboard of its name, and is never changed here.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from inapp_monitor.database.saved_dashboards import SavedDashboards
from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.web.dashboards.files import DashboardFiles
from inapp_monitor.web.dashboards.format import NAME, Document

if TYPE_CHECKING:
    from inapp_monitor.database.file import Database

MAX_DASHBOARDS = 200


class DashboardLibrary:
    """The dashboards of a data directory, and of a directory of files."""

    def __init__(self, database: Database | None, files: DashboardFiles | None = None) -> None:
        """No I/O."""
        self._saved = SavedDashboards(database)
        self._files = files or DashboardFiles(None)

    def names(self) -> list[dict[str, Any]]:
        """Name, title, number of panels, file ("" for a saved one) of each, by name."""
        found: dict[str, dict[str, Any]] = {}
        for name, text in self._saved.all().items():
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
        text = self._saved.get(name)
        found: Document | None = json.loads(text) if text is not None else None
        return found

    def put(self, name: str, document: Document, now: float) -> None:
        """Keep a checked document under a name, in place of an earlier one.

        Raises:
            QueryError: a bad name, a file's name, too many dashboards, or nothing can be written.
        """
        if not NAME.fullmatch(name):
            raise QueryError(f"dashboard name {name[:80]!r} must be 1 to 60 of A-Z a-z 0-9 _ -")
        self._check_free(name)
        saved = self._saved.all()
        if len(saved) >= MAX_DASHBOARDS and name not in saved:
            raise QueryError(f"there are {MAX_DASHBOARDS} dashboards already, delete one first")
        _must_be_written(self._saved.put(name, json.dumps(document), now))

    def delete(self, name: str) -> None:
        """Forget a dashboard; no matter if there is none.

        Raises:
            QueryError: it is a file, or nothing can be written.
        """
        self._check_free(name)
        _must_be_written(self._saved.delete(name))

    def _check_free(self, name: str) -> None:
        file = self.file_of(name)
        if file:
            raise QueryError(f"dashboard {name!r} is the file {file}: change it there")


def _must_be_written(accepted: bool) -> None:
    if not accepted:
        raise QueryError("dashboards cannot be saved here: the database cannot be written")


def _entry(name: str, document: Document) -> dict[str, Any]:
    return {"name": name, "title": document["title"], "panels": len(document["panels"])}
