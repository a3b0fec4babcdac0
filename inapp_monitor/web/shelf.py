"""Named dashboards, kept in the database as JSON documents. No page and no request here.

A document is what can be exported and imported: `{"title": ..., "panels": [{"title": ...,
"targets": [...], "shape": ...}]}`. Graphite's own dashboards are understood too.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from inapp_monitor.exceptions import QueryError

if TYPE_CHECKING:
    from inapp_monitor.database import Connection, Database

MAX_DASHBOARDS = 200
MAX_PANELS = 40
MAX_TARGETS = 10
SHAPES = ("line", "area", "stacked", "bar")
NAME = re.compile(r"[A-Za-z0-9_-]{1,60}", re.ASCII)
_MAX_TEXT = 4_096
_SCRIPT = """
create table dashboards (
    name text primary key,
    document text not null,
    changed real not null
)
"""

Document = dict[str, Any]


class Shelf:
    """The dashboards of a data directory."""

    def __init__(self, database: Database | None) -> None:
        """No I/O."""
        self._database = database
        if database is not None:
            database.declare("dashboards", [_SCRIPT])

    def names(self) -> list[dict[str, Any]]:
        """Name, title and number of panels of each, by name."""
        if self._database is None:
            return []
        rows = self._database.read("select name, document from dashboards order by name")
        found = [(str(row["name"]), json.loads(row["document"])) for row in rows]
        return [{"name": n, "title": d["title"], "panels": len(d["panels"])} for n, d in found]

    def get(self, name: str) -> Document | None:
        """One dashboard, None when there is none of this name."""
        if self._database is None:
            return None
        rows = self._database.read("select document from dashboards where name = ?", (name,))
        found: Document | None = json.loads(rows[0]["document"]) if rows else None
        return found

    def put(self, name: str, document: Document, now: float) -> None:
        """Keep a checked document under a name, in place of an earlier one.

        Raises:
            QueryError: a bad name, too many dashboards, or nothing can be written here.
        """
        if not NAME.fullmatch(name):
            raise QueryError(f"dashboard name {name[:80]!r} must be 1 to 60 of A-Z a-z 0-9 _ -")
        if len(self.names()) >= MAX_DASHBOARDS and self.get(name) is None:
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
        """Forget a dashboard; no matter if there is none."""
        self._change(
            lambda connection: connection.execute("delete from dashboards where name = ?", (name,)),
            200,
        )

    def _change(self, change: Any, size: int) -> None:
        if self._database is None or not self._database.submit(change, size + 200):
            raise QueryError("dashboards cannot be saved here: the database cannot be written")
        self._database.write_pending()


def checked(given: Any) -> Document:
    """A document in our shape, from ours or from Graphite's dashboard JSON.

    Raises:
        QueryError: it is neither; names the part.
    """
    if not isinstance(given, dict):
        raise QueryError("a dashboard must be a JSON object")
    if "state" in given and isinstance(given["state"], dict):  # as Graphite's /dashboard/load
        given = given["state"]
    panels = given.get("panels")
    if panels is None and "graphs" in given:
        panels = [_from_graphite(entry) for entry in _list(given["graphs"], "graphs", MAX_PANELS)]
    made = [_panel(entry) for entry in _list(panels, "panels", MAX_PANELS)]
    return {"title": _text(given.get("title") or given.get("name") or "", "title"), "panels": made}


def _from_graphite(entry: Any) -> Any:
    """Graphite keeps a graph as [url, {parameters}, url] or {"target": [...], ...}."""
    if isinstance(entry, list):
        entry = next((part for part in entry if isinstance(part, dict)), {})
    if not isinstance(entry, dict):
        raise QueryError("'graphs' must hold objects or Graphite's triples")
    target = entry.get("target")
    shape = "stacked" if entry.get("areaMode") == "stacked" else "line"
    targets = [target] if isinstance(target, str) else target
    return {"title": entry.get("title") or "", "targets": targets, "shape": shape}


def _panel(given: Any) -> Document:
    if not isinstance(given, dict):
        raise QueryError("'panels' must hold objects")
    targets = [
        _text(text, "targets") for text in _list(given.get("targets"), "targets", MAX_TARGETS)
    ]
    if not targets:
        raise QueryError("a panel needs at least one target")
    shape = given.get("shape", "line")
    if shape not in SHAPES:
        raise QueryError(f"'shape' must be one of {', '.join(SHAPES)}")
    return {"title": _text(given.get("title") or "", "title"), "targets": targets, "shape": shape}


def _list(given: Any, name: str, most: int) -> list[Any]:
    if not isinstance(given, list) or len(given) > most:
        raise QueryError(f"{name!r} must be a list of at most {most} entries")
    return given


def _text(given: Any, name: str) -> str:
    if not isinstance(given, str) or len(given) > _MAX_TEXT:
        raise QueryError(f"{name!r} must be text of at most {_MAX_TEXT} characters")
    return given
