"""Points in JSON, in the shapes that pushers use. Pure.

An array of objects, one object, or an object a line. Each object tells by its keys what it is:

| keys | who sends it |
|---|---|
| `path` or `name`, `value`, `timestamp`, `tags` | anybody |
| `metric`, `value`, `timestamp`, `tags` | OpenTSDB's clients |
| `name`, `datapoints` or `timestamp` in ms, `tags` | KairosDB's, such as collectd's write_http |
| `name`, `fields`, `tags`, `timestamp`, also many as `metrics` | Telegraf's JSON: as its lines |
| `values`, `dsnames`, `host`, `plugin`, `type` | collectd's write_http |
| `labels`, `annotations`, `startsAt` | Alertmanager's, such as collectd's notifications: an event |
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from typing import Any, Final

from inapp_monitor.ground.points import Method
from inapp_monitor.ingest.protocols import influx, numbers
from inapp_monitor.ingest.protocols.collectd_names import Identifier, name_of, sources_of
from inapp_monitor.ingest.protocols.parsed import Event, Parsed, RejectedError

#: Objects of one body that are looked at.
MAX_OBJECTS: Final = 20_000
MAX_TAGS: Final = 20
_MAX_TEXT = 1_000


class MalformedError(ValueError):
    """A body is no JSON that holds points; the text says what was expected."""


def parse(data: bytes, now: float) -> Parsed:  # noqa: ARG001  # as all protocols
    """The points of a body. Raises MalformedError, as `objects_of`."""
    parsed = Parsed()
    for each in objects_of(data):
        add(each, parsed)
    return parsed


def objects_of(data: bytes) -> list[dict[str, Any] | str]:
    """The objects of a body; a line among those of one object each that is none, as text.

    Raises:
        MalformedError: it is no JSON, or neither an object nor an array of them.
    """
    try:
        given = _decoded(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"the body is no JSON: {_reason(error)}") from None
    if isinstance(given, _Lines):
        objects: list[Any] = given
    else:
        if isinstance(given, dict) and given.keys() == {"metrics"}:
            given = given["metrics"]
        objects = given if isinstance(given, list) else [given]
        if not all(isinstance(each, dict) for each in objects):
            raise MalformedError("the body must be a JSON object or an array of objects")
    if len(objects) > MAX_OBJECTS:
        raise MalformedError(f"the body has more than {MAX_OBJECTS} objects")
    return objects


class _Lines(list[Any]):
    """What the lines of a body say, an object each."""


def _decoded(text: str) -> Any:
    """What a body says: one JSON text, or one a line.

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is nested too deeply.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        if "\n" not in text.strip() or not error.msg.startswith("Extra data"):
            raise
    found = _Lines()
    for line in filter(str.strip, text.split("\n")):
        try:
            given = json.loads(line, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            given = None
        found.append(given if isinstance(given, dict) else line.strip())
    if not any(isinstance(each, dict) for each in found):
        raise ValueError("no line of it is an object")
    return found


def _reason(error: Exception) -> str:
    return str(error)[:200] if isinstance(error, ValueError) else "nested too deeply"


def add(given: Mapping[str, Any] | str, parsed: Parsed) -> None:
    """Add what an object holds; a text is a line that is none."""
    parsed.lines += 1
    if isinstance(given, str):
        parsed.reject("json", given[:_MAX_TEXT])
        return
    try:
        _add(given, parsed)
    except RejectedError as error:
        parsed.reject(error.reason, json.dumps(given, ensure_ascii=False)[:_MAX_TEXT])


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number in JSON")


def _add(given: Mapping[str, Any], parsed: Parsed) -> None:
    if "values" in given and "plugin" in given:
        _add_collectd(given, parsed)
    elif "labels" in given and "annotations" in given:
        parsed.events.append(_alert(given))
    elif "datapoints" in given:
        _add_datapoints(given, parsed)
    elif "fields" in given and "value" not in given:
        _add_fields(given, parsed)
    else:
        name = next((given[key] for key in ("path", "name", "metric") if key in given), None)
        if not isinstance(name, str):
            raise RejectedError("name")
        if "value" not in given:
            raise RejectedError("no_value")
        value = _value(given["value"], parsed)
        time = given.get("timestamp", given.get("time"))
        if value is not None:
            parsed.points.append((name + _tags(given), value, _timestamp(time, parsed), None))


def _add_datapoints(given: Mapping[str, Any], parsed: Parsed) -> None:
    """KairosDB: times in ms, several values."""
    name, points = given.get("name"), given["datapoints"]
    if not isinstance(name, str):
        raise RejectedError("name")
    if not isinstance(points, list):
        raise RejectedError("fields")
    path = name + _tags(given)
    for point in points:
        if not isinstance(point, list) or len(point) != 2:
            raise RejectedError("fields")
        time, value = point[0], _value(point[1], parsed)
        timestamp = _timestamp(time, parsed)
        if value is not None:
            parsed.points.append((path, value, timestamp, None))


def _add_fields(given: Mapping[str, Any], parsed: Parsed) -> None:
    """Telegraf: a series for each field that is a number, named as of its line protocol."""
    name, fields = given.get("name"), given["fields"]
    if not isinstance(name, str) or not name:
        raise RejectedError("name")
    if not isinstance(fields, dict) or not fields:
        raise RejectedError("fields")
    tags, timestamp = _tags(given), _timestamp(given.get("timestamp"), parsed)
    for field, each in fields.items():
        if isinstance(each, str):
            parsed.note("text")
            continue
        value = float(each) if isinstance(each, bool) else _value(each, parsed)
        if value is not None:
            path = influx.series_of(name, field) + tags
            parsed.points.append((path, value, timestamp, Method.AVERAGE))


def _add_collectd(given: Mapping[str, Any], parsed: Parsed) -> None:
    """One identifier's values; null: no rate yet."""
    values, names = given["values"], given.get("dsnames")
    texts = [given.get(key, "") for key in Identifier._fields]
    if not isinstance(values, list) or not values:
        raise RejectedError("value")
    if not all(isinstance(text, str) for text in texts) or not all((texts[0], texts[1], texts[3])):
        raise RejectedError("name")
    identifier = Identifier(*texts)
    sources = sources_of(identifier.type, len(values))
    if len(values) > 1 and isinstance(names, list) and len(names) == len(values):
        sources = [str(name) for name in names]
    timestamp = _timestamp(given.get("time"), parsed)
    for source, each in zip(sources, values, strict=True):
        value = _value(each, parsed)
        if value is not None:
            parsed.points.append((name_of(identifier, source), value, timestamp, None))


def _alert(given: Mapping[str, Any]) -> Event:
    """An alert in the form of Alertmanager, as an event of its severity."""
    labels, annotations = given["labels"], given["annotations"]
    if not isinstance(labels, dict) or not isinstance(annotations, dict):
        raise RejectedError("fields")
    texts = {str(key): str(value)[:_MAX_TEXT] for key, value in [*labels.items()][:MAX_TAGS]}
    title = str(annotations.get("summary") or annotations.get("description") or "")
    name = texts.pop("alertname", "")
    if not title and not name:
        raise RejectedError("name")
    severity = texts.get("severity", "")
    shown = f"{severity or 'alert'}: {title or name}"[:_MAX_TEXT]
    tags = tuple(text for text in (name, *texts.values()) if text)
    return Event(shown, str(annotations.get("description", ""))[:_MAX_TEXT], tags,
                 _iso_moment(given.get("startsAt")))  # fmt: skip


def _iso_moment(text: object) -> float | None:
    """A time such as 2023-11-14T22:13:20.000000000Z; None when it is none."""
    if not isinstance(text, str):
        return None
    whole, _, rest = text.partition(".")
    zone = rest.lstrip("0123456789") if rest else ""
    try:
        return datetime.fromisoformat(whole + zone).timestamp()
    except (ValueError, OverflowError):
        return None


def _value(given: object, parsed: Parsed) -> float | None:
    """A finite number, also as text; None where there is none."""
    if given is None:
        parsed.note("nan")
        return None
    if isinstance(given, str):
        if numbers.is_nan(given):
            parsed.note("nan")
            return None
        return numbers.number(given)
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise RejectedError("value")
    try:
        value = float(given)
    except OverflowError:
        raise RejectedError("nonfinite") from None
    if not isfinite(value):
        raise RejectedError("nonfinite")
    return value


def _timestamp(given: object, parsed: Parsed) -> float | None:
    if given is None:
        return None
    if isinstance(given, str):
        moment = _iso_moment(given) if "T" in given else None
        return numbers.timestamp(given, parsed) if moment is None else moment
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise RejectedError("timestamp")
    try:
        return numbers.in_seconds(float(given), parsed)
    except OverflowError:
        raise RejectedError("timestamp") from None


def _tags(given: Mapping[str, Any]) -> str:
    """Tags of an object of texts, or of an array of `key:value`, `key=value` and bare words."""
    tags = given.get("tags")
    if tags is None:
        return ""
    if isinstance(tags, list):
        words = [str(tag) if ":" in str(tag) else str(tag).replace("=", ":", 1) for tag in tags]
        split = [word.partition(":") for word in words if word]
        pairs = [(key, value if colon else "true") for key, colon, value in split]
    elif isinstance(tags, dict):
        pairs = [(key, value) for key, value in tags.items() if value not in ("", None)]
    else:
        raise RejectedError("tag")
    if len(pairs) > MAX_TAGS or any(isinstance(value, (dict, list)) for _, value in pairs):
        raise RejectedError("tag")
    return "".join(f";{key}={_tag_value(value)}" for key, value in pairs)


def _tag_value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).replace(";", "_")
