"""The grouping rules of others, as far as they are published, over events of sentry-sdk.

- `sentry`: the server's default strategy, by getsentry/sentry `src/sentry/grouping/strategies/`
  (`newstyle.py`, `message.py`): stack traces of all chained exceptions, a frame by its module (else
  file), function and line of source; a frame equal to the one before is skipped; two hashes, of the
  application's frames and of all, and an event joins an issue when either is known. Exception
  groups count by their distinct members. Without a stack the type and the parameterized text.
- `bugsink`: version 2 of its rule, `issues/grouping_mechanisms/v2.py`: the type of the last
  exception and the parameterized first line of its text.

Neither server is on the package index. What is left out here: Sentry's stack trace rules, which
have none for such applications, and its grouping by similarity, which needs its service.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sentry_sdk
from sentry_sdk.transport import Transport

Event = dict[str, Any]
#: The hashes of an event; two events are one issue when they share one.
Rule = Callable[[Event], set[object]]

_PARAMETERS = re.compile(
    r"""
    (?P<email>[a-zA-Z0-9.!\#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*)
    | (?P<url>\b(?:wss?|https?|ftp|file|sftp|postgres|redis)://[^\s/$.?\#].[^\s]*)
    | (?P<ip>\b\d{1,3}(?:\.\d{1,3}){3}\b)
    | (?P<uuid>\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b)
    | (?P<sha1>\b[0-9a-fA-F]{40}\b)
    | (?P<md5>\b[0-9a-fA-F]{32}\b)
    | (?P<date>\d{4}-[01]\d-[0-3]\d
        (?:[T ][0-2]\d:[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?)
    | (?P<duration>\b\d+(?:\.\d+)?(?:ms|s|h|d)\b)
    | (?P<hex>\b0[xX][0-9a-fA-F]+\b|\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{8,}\b)
    | (?P<float>-\d+\.\d+\b|\b\d+\.\d+\b)
    | (?P<int>-\d+\b|\b\d+\b)
    | (?P<quoted_str>='[^']*'|="[^"]*")
    | (?P<bool>=(?:True|true|False|false)\b)
    """,
    re.VERBOSE,
)


class Kept(Transport):
    """Keeps the last event instead of sending it."""

    last: Event | None = None

    def capture_envelope(self, envelope: Any) -> None:
        """Keep it."""
        self.last = envelope.get_event() or self.last


def start() -> Kept:
    """sentry-sdk with its defaults, without integrations that would log by themselves."""
    transport = Kept()
    sentry_sdk.init(
        dsn="http://key@127.0.0.1:9/1",
        transport=transport,
        default_integrations=False,
        auto_enabling_integrations=False,
        project_root=os.sep,
    )
    return transport


def exception_event(transport: Kept, error: BaseException) -> Event:
    """What the SDK sends for an exception."""
    sentry_sdk.capture_exception(error)
    assert transport.last is not None
    return transport.last


def message_event(template: str) -> Event:
    """What the SDK's logging integration sends for a record: its `msg` is the template."""
    return {"logentry": {"message": template}}


def sentry(event: Event) -> set[object]:
    """The hashes by Sentry's rule."""
    if "logentry" in event:
        return {("message", _parameterized(event["logentry"]["message"]))}
    values = _collapsed(event["exception"]["values"])
    hashes: set[object] = set()
    for only_app in (True, False):
        parts = [_exception(value, only_app=only_app) for value in values]
        if any(has_frames for has_frames, _ in parts):
            hashes.add((only_app, tuple(part for _, part in parts)))
    if not hashes:
        hashes.add(tuple((v["type"], _parameterized(v.get("value") or "")) for v in values))
    return hashes


def bugsink(event: Event) -> set[object]:
    """The key by Bugsink's rule."""
    if "logentry" in event:
        lines = event["logentry"]["message"].strip().splitlines()
        return {f"Log Message: {_parameterized(lines[0] if lines else '')}"}
    last = event["exception"]["values"][-1]
    lines = _parameterized((last.get("value") or "")[:1024]).splitlines()
    return {f"{last['type']}: {lines[0]}" if lines else str(last["type"])}


def _exception(value: Event, *, only_app: bool) -> tuple[bool, object]:
    frames = (value.get("stacktrace") or {}).get("frames") or []
    kept: list[object] = []
    before = None
    for frame in frames:
        place = (frame.get("module"), frame.get("function"), frame.get("context_line"))
        repeated, before = place == before, place
        if repeated or (only_app and not frame.get("in_app")):
            continue
        line = " ".join((frame.get("context_line") or "").expandtabs(2).split())
        name = frame.get("module") or Path(frame.get("filename") or "").name
        kept.append((name, frame.get("function"), line if len(line) <= 120 else ""))
    return bool(kept), (tuple(kept), value["type"])


def _collapsed(values: list[Event]) -> list[Event]:
    """A group by its distinct members, which stand for it."""
    mechanisms = [value.get("mechanism") or {} for value in values]
    if not any(mechanism.get("is_exception_group") for mechanism in mechanisms):
        return values
    members = [
        value
        for value, mechanism in zip(values, mechanisms, strict=True)
        if not mechanism.get("is_exception_group")
    ]
    distinct = {repr(_exception(value, only_app=True)): value for value in members}
    return [distinct[key] for key in sorted(distinct)] or values


def _parameterized(text: str) -> str:
    short = "\n".join([line for line in text.splitlines() if line.strip()][:2]).strip()

    def kind(match: re.Match[str]) -> str:
        name = match.lastgroup
        return f"=<{name}>" if name in ("quoted_str", "bool") else f"<{name}>"

    return _PARAMETERS.sub(kind, short)
