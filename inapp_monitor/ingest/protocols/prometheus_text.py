"""Prometheus' text format, as pushgateways are sent it; also OpenMetrics' text. Pure.

A sample becomes a point of the series `name;label=value`; values stand as they are pushed. The
grammar is that of https://prometheus.io/docs/instrumenting/exposition_formats/, and names of any
characters stand in quotes as Prometheus 3 writes them: `{"name with.dots", "a label"="x"} 1`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

from inapp_monitor.ground.points import Method
from inapp_monitor.ingest.protocols import numbers
from inapp_monitor.ingest.protocols.parsed import MAX_LINE_BYTES, Parsed, RejectedError

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_SAMPLE = re.compile(
    r"(?:([a-zA-Z_:][a-zA-Z0-9_:]*)[ \t]*)?(?:\{((?:[^\"}]|" + _QUOTED + r")*)\}[ \t]*|(?<=[ \t]))"
    r"(\S+)(?:[ \t]+([^\s#]\S*))?(?:[ \t]+#.*)?[ \t]*",
    re.ASCII,
)
#: A label, or a quoted name, which has no value.
_LABEL = re.compile(
    rf"[ \t]*(?:([a-zA-Z_][a-zA-Z0-9_]*)|({_QUOTED}))[ \t]*(?:=[ \t]*({_QUOTED})[ \t]*)?(?:,|$)",
    re.ASCII,
)
#: What a quoted name may hold, and a series' or a tag's cannot.
_NOT_IN_NAME = re.compile(r"[;={}!^~\s\x00-\x1f\x7f]")
#: Names that begin with `__` are Prometheus' own.
_LABEL_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_BASE64_FOR_URLS = re.compile(r"[A-Za-z0-9_\-]*={0,2}", re.ASCII)
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}
_ENCODED = "@base64"
#: Labels that a request's address may name.
MAX_GROUP_LABELS = 20


def parse(data: bytes, now: float, group: Mapping[str, str] | None = None) -> Parsed:  # noqa: ARG001
    """The points of a body.

    Args:
        group: Labels of the address; they win over those of a sample.
    """
    parsed = Parsed()
    for raw in data.split(b"\n"):
        line = raw.strip(b"\r\t ")
        if not line or line.startswith(b"#"):
            continue
        parsed.lines += 1
        try:
            if len(line) > MAX_LINE_BYTES:
                raise RejectedError("too_long")
            _add(line.decode(), group or {}, parsed)
        except UnicodeDecodeError:
            parsed.reject("encoding", line)
        except RejectedError as error:
            parsed.reject(error.reason, line)
    return parsed


def group_of(path: str) -> dict[str, str]:
    """The labels in a pushgateway's address, what follows `/metrics/`, percent signs decoded.

    `job/backup/instance/web1`; with `job@base64/...` the value is base64 for URLs, `=` is empty.

    Raises:
        RejectedError: `group`, it begins with no job, or is of an odd number of parts.
    """
    parts = path.strip("/").split("/")
    if len(parts) % 2 or len(parts) > 2 * MAX_GROUP_LABELS:
        raise RejectedError("group")
    group: dict[str, str] = {}
    for name, value in zip(parts[::2], parts[1::2], strict=True):
        label = name.removesuffix(_ENCODED)
        if _LABEL_NAME.fullmatch(label) is None or label in group:
            raise RejectedError("group")
        group[label] = _decoded(value) if name.endswith(_ENCODED) else value
    if not group.get("job") or next(iter(group)) != "job":
        raise RejectedError("group")
    return group


def series_name(name: str, labels: Mapping[str, str]) -> str:
    """The series of a sample: its labels are tags; empty ones are none, as in Prometheus."""
    return name + "".join(
        f";{label}={_tag(value)}" for label, value in sorted(labels.items()) if value
    )


def _add(line: str, group: Mapping[str, str], parsed: Parsed) -> None:
    found = _SAMPLE.fullmatch(line)
    if found is None:
        raise RejectedError("fields")
    name, labels, text, time = found.groups()
    if numbers.is_nan(text) or numbers.is_infinite(text):  # values there, of which no chart is made
        parsed.note("nan" if numbers.is_nan(text) else "infinite")
        return
    quoted, tags = _labels(labels or "")
    if (name is None) is (quoted is None):  # it has none, or two
        raise RejectedError("name")
    name = name or _in_name(quoted or "")
    tags |= group
    timestamp = None if time is None else numbers.timestamp(time, parsed)
    parsed.points.append((series_name(name, tags), numbers.number(text), timestamp, Method.LAST))


def _labels(text: str) -> tuple[str | None, dict[str, str]]:
    """The quoted name, if there is one, and the labels."""
    name, labels, position = None, {}, 0
    text = text.strip()
    while position < len(text):
        found = _LABEL.match(text, position)
        if found is None or (found[3] is None and (found[1] or name is not None)):
            raise RejectedError("tag")
        if found[3] is None:
            name = _unquoted(found[2])
        else:
            label = found[1] or _in_name(_unquoted(found[2]))
            labels[label] = _unquoted(found[3])
        position = found.end()
    return name, labels


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", _unescaped, text[1:-1])


def _in_name(text: str) -> str:
    """A quoted name as one of a series or a tag."""
    name = _NOT_IN_NAME.sub("_", text)
    if not name:
        raise RejectedError("name")
    return name


def _unescaped(found: re.Match[str]) -> str:
    return _ESCAPES.get(found[1], found[0])


def _tag(value: str) -> str:
    """A label's value as that of a tag: what ends one, and what begins with `~`, is changed."""
    return re.sub(r"[;\s\x00-\x1f\x7f]", "_", value).lstrip("~") or "_"


def _decoded(value: str) -> str:
    """Base64 for URLs; padding may be missing, and `=` alone is the empty text."""
    if _BASE64_FOR_URLS.fullmatch(value) is None:  # Python passes over other characters
        raise RejectedError("group")
    try:
        bare = value.rstrip("=")
        return base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4)).decode()
    except (binascii.Error, ValueError):
        raise RejectedError("group") from None
