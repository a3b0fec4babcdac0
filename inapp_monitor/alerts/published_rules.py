"""The rules in force, as the leader publishes them for other processes: `alert-rules.json`.

The command line and pages of other workers read them there, those that the app gave by
`monitor.alert` included. The file's time of change says when the leader last judged: rules that
nobody evaluates are not shown as fine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from inapp_monitor.alerts.range import Range
from inapp_monitor.alerts.rule import Rule
from inapp_monitor.ground import private_files

FILE_NAME = "alert-rules.json"
_MAX_BYTES = 4 * 2**20
_RANGES = ("warning", "critical", "recovery")
#: Seconds between two signs of life.
SIGN_S = 10.0


class PublishedRules:
    """Writes the file; one a leader."""

    def __init__(self, data_dir: Path) -> None:
        """No I/O."""
        self._path = data_dir / FILE_NAME
        self._rules: dict[str, Rule] | None = None
        self._signed = float("-inf")

    def publish(self, rules: Mapping[str, Rule], now: float) -> None:
        """Write the rules when they have changed, and a sign of life each ten seconds.

        Raises:
            OSError: the disk refuses.
        """
        if self._rules != rules:
            private_files.replace(self._path, document_of(rules.values()))
            self._rules, self._signed = dict(rules), now
        elif not 0 <= now - self._signed < SIGN_S:
            self._signed = now
            try:
                os.utime(self._path, (now, now))
            except FileNotFoundError:
                self._rules = None

    def forget(self) -> None:
        """Another process leads: what is known of the file is of the past."""
        self._rules = None


def read(data_dir: Path) -> tuple[dict[str, Rule], float | None]:
    """The published rules, and when they were last judged; none when there is no such file.

    Raises:
        OSError, ValueError: the file cannot be read, or is no such file.
    """
    path = data_dir / FILE_NAME
    try:
        text = private_files.read(path, _MAX_BYTES)
        judged = path.stat().st_mtime
    except FileNotFoundError:
        return {}, None
    rules = [rule_of(document) for document in json.loads(text)["rules"]]
    return {rule.name: rule for rule in rules}, judged


def document_of(rules: Iterable[Rule]) -> bytes:
    """Rules as the file holds them."""
    return json.dumps({"version": 1, "rules": [plain(rule) for rule in rules]}, indent=1).encode()


def plain(rule: Rule) -> dict[str, Any]:
    """A rule as plain data; ranges as Nagios writes them."""
    document = asdict(rule)
    for name in _RANGES:
        found = getattr(rule, name)
        document[name] = None if found is None else str(found)
    return document


def rule_of(document: Mapping[str, Any]) -> Rule:
    """The rule of `plain`; keys of another version are left aside.

    Raises:
        ValueError, TypeError: it is none.
    """
    known = {entry.name: document[entry.name] for entry in fields(Rule) if entry.name in document}
    for name in _RANGES:
        text = known.get(name)
        known[name] = None if text is None else Range.parse(text)
    known["parents"] = tuple(known.get("parents", ()))
    return Rule(**known)
