"""Rules that people made on the page, in SQLite, and how they come into force.

Any process writes them; the leader reads them every other second. A rule of a file or of
`monitor.alert` has priority: one of the page with its name waits until that is gone. One with the
name of a built-in rule stands in its place until it is deleted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from inapp_monitor.alerts import built_in
from inapp_monitor.alerts.engine import Engine
from inapp_monitor.alerts.rule import Rule

if TYPE_CHECKING:
    from inapp_monitor.database.file import Connection, Database

PART = "page_rules"
SOURCE = "page"
_SCRIPT = """
create table page_rules (
    name text primary key, document text not null, author text not null, moment real not null
) without rowid
"""
MAX_RULES = 200
#: Seconds between two looks.
_LOOK_S = 2.0


class PageRule(NamedTuple):
    """One of them: its table as a file would have it, who made it and when."""

    name: str
    table: Mapping[str, object]
    author: str
    moment: float


class PageRules:
    """The table; empty and not to be written without a database."""

    def __init__(self, database: Database | None) -> None:
        """No I/O."""
        self._database = database
        if database is not None:
            database.declare(PART, [_SCRIPT])

    def all(self) -> dict[str, PageRule]:
        """By name."""
        if self._database is None:
            return {}
        rows = self._database.read("select * from page_rules order by name")
        return {
            row["name"]: PageRule(
                row["name"], json.loads(row["document"]), row["author"], row["moment"]
            )
            for row in rows
        }

    def put(self, name: str, table: Mapping[str, object], author: str, now: float) -> bool:
        """Keep one, in place of one of the same name; False when nothing can be written.

        Raises:
            ValueError: there are too many, or it is no rule.
        """
        built_in.rule_of(name, table, SOURCE)
        known = self.all()
        if name not in known and len(known) >= MAX_RULES:
            raise ValueError(f"at most {MAX_RULES} rules can be made on the page")
        document = json.dumps(table)

        def write(connection: Connection) -> None:
            connection.execute(
                "insert into page_rules values (?, ?, ?, ?) on conflict (name) do update set"
                " document = excluded.document, author = excluded.author, moment = excluded.moment",
                (name, document, author, now),
            )

        return self._write(write, 400 + len(document))

    def delete(self, name: str) -> bool:
        """Forget one; False when nothing can be written."""

        def write(connection: Connection) -> None:
            connection.execute("delete from page_rules where name = ?", (name,))

        return self._write(write, 200)

    def _write(self, change: Callable[[Connection], None], size: int) -> bool:
        if self._database is None or not self._database.submit(change, size):
            return False
        self._database.write_now()
        return True


class InForce:
    """Brings them into force, in the one process that leads.

    Args:
        rules: The table.
        engine: Evaluates them.
        defaults: Built-in rules that are evaluated, by name.
    """

    def __init__(self, rules: PageRules, engine: Engine, defaults: Mapping[str, Rule]) -> None:
        self._rules, self._engine, self._defaults = rules, engine, defaults
        self._looked = float("-inf")

    def resign(self) -> None:
        """Another process leads."""
        self._looked = float("-inf")

    def tick(self, now: float) -> None:
        """Look whether some were made, changed or deleted."""
        if 0 <= now - self._looked < _LOOK_S:
            return
        self._looked = now
        wanted = {}
        for each in self._rules.all().values():
            try:
                wanted[each.name] = built_in.rule_of(each.name, each.table, SOURCE)
            except ValueError:  # of a later version of this package
                continue
        engine = self._engine
        for name, rule in list(engine.rules.items()):
            if rule.source == SOURCE and name not in wanted:
                self._restore(name)
        for name, rule in wanted.items():
            known = engine.rules.get(name)
            if known == rule or (known is not None and known.source not in (SOURCE, "built-in")):
                continue
            if known is not None and (known.target, known.whole) != (rule.target, rule.whole):
                engine.remove(name)
            engine.add(rule)

    def _restore(self, name: str) -> None:
        default = self._defaults.get(name)
        if default is None or default.target != self._engine.rules[name].target:
            self._engine.remove(name)
        if default is not None:
            self._engine.add(default)
