"""Values of any JSON type as what is expected of them. Pure, never raises."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice

#: Of one value as text.
MAX_TEXT = 8_192
#: Whole numbers that are printed; of larger ones the printing takes quadratic time.
_LARGEST = 2**64


def text(value: object, limit: int = MAX_TEXT) -> str:
    """A text as it is, a number or truth value as text, lists and objects as JSON; None is ""."""
    if isinstance(value, str):
        return value[:limit]
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < _LARGEST):
        return str(value)
    if isinstance(value, (dict, list)):
        return as_json(value, limit)
    return ""


def as_json(value: object, limit: int) -> str:
    """Lists and objects as JSON, cut: what lies deep or behind the limit is not even visited."""
    return json.dumps(_shallow(value, 4, [max(limit // 4, 20)]), ensure_ascii=False)[:limit]


def _shallow(value: object, depth: int, room: list[int]) -> object:
    room[0] -= 1
    if isinstance(value, str):
        return value[:1_000]
    if isinstance(value, (dict, list)):
        if not depth or room[0] <= 0:
            return "..."
        if isinstance(value, dict):
            pairs = islice(value.items(), 50)
            return {str(name)[:100]: _shallow(item, depth - 1, room) for name, item in pairs}
        return [_shallow(item, depth - 1, room) for item in value[:50]]
    if isinstance(value, int) and abs(value) >= _LARGEST:
        return "..."
    return value


def number(value: object) -> float | None:
    """A finite number, a text that is one included."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and len(value) <= 40:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, (int, float)) and abs(value) < 1e18 and math.isfinite(value):
        return float(value)
    return None


def whole(value: object) -> int | None:
    """A whole number that is not negative."""
    found = number(value)
    return int(found) if found is not None and 0 <= found < 2**31 else None


def moment(value: object) -> float | None:
    """Seconds since 1970 UTC, of a number or of an ISO 8601 text (UTC unless it says otherwise)."""
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value[:40].replace("Z", "+00:00"))
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            pass
    return number(value)


def mapping(value: object) -> dict[str, object]:
    """An object, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def mappings(value: object, limit: int) -> list[dict[str, object]]:
    """The objects of a list, or of the list under `values`; at most the last so many."""
    if isinstance(value, dict):
        value = value.get("values")
    if not isinstance(value, list):
        return []
    return [item for item in value[-limit:] if isinstance(item, dict)]


def texts(value: object, limit: int, length: int) -> dict[str, str]:
    """Names and texts of an object or of a list of pairs."""
    pairs: Iterable[object] = ()
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = value
    found: dict[str, str] = {}
    for pair in islice(pairs, limit):
        if isinstance(pair, dict):  # {"key": ..., "value": ...}
            pair = pair.get("key"), pair.get("value")
        if isinstance(pair, (tuple, list)) and len(pair) == 2:
            name, item = pair
            if isinstance(name, (str, int)) and item is not None:
                found[text(name, 200)] = text(item, length)
    return found


def first_text(facts: Mapping[str, object], *names: str, limit: int = MAX_TEXT) -> str:
    """The first of several parts that is a text with something in it."""
    for name in names:
        found = facts.get(name)
        if isinstance(found, str) and found.strip():
            return found[:limit]
    return ""
