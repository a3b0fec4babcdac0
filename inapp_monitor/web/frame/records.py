"""Records of other parts (issues, 404 rows, status) as plain dictionaries for pages and JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any


def as_dict(record: Any) -> dict[str, Any]:
    """The fields of a mapping, dataclass or named tuple; what has `as_json` knows better."""
    if hasattr(record, "as_json"):
        record = record.as_json()
    if isinstance(record, Mapping):
        return {str(key): as_plain(value) for key, value in record.items()}
    if dataclasses.is_dataclass(record):
        names = [entry.name for entry in dataclasses.fields(record)]
    else:
        names = list(getattr(record, "_fields", ()))
    return {name: as_plain(getattr(record, name)) for name in names if name[:1] != "_"}


def as_plain(value: Any) -> Any:
    """A value whose nested records are dictionaries and whose times are epoch seconds."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): as_plain(entry) for key, entry in value.items()}
    if dataclasses.is_dataclass(value) or hasattr(value, "_fields"):
        return as_dict(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [as_plain(entry) for entry in value]
    return str(value)
