"""Envelopes and stored events, from bytes to items. Pure.

An envelope is a line of JSON, then items: a header line and a payload of `length` bytes, or,
without a length, up to the end of the line. Everything is read in one pass over the decoded pieces;
what is not wanted is skipped and never held. An envelope is accepted whole or not at all.

Source: develop.sentry.dev/sdk/data-model/envelopes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from inapp_monitor.ingest.sentry.bounded_json import parse_object
from inapp_monitor.ingest.sentry.refusal import Refusal
from inapp_monitor.ingest.sentry.stored_event import plain_json

MAX_HEADER = 8 * 2**10
MAX_ITEMS = 200
MAX_ATTACHMENT = 64 * 2**10
#: Kept payloads of one envelope together.
MAX_KEPT = 4 * 2**20
#: What is kept of an item by its type; every other type is skipped and counted.
LIMITS = {
    "event": 2**20,
    "feedback": 2**20,
    "user_report": 2**17,
    "check_in": 100 * 2**10,
    "session": 2**16,
    "sessions": 2**18,
    "client_report": 2**17,
    "trace_metric": 2**20,
    "log": 2**20,
    "transaction": 2**20,
    "span": 2 * 2**20,
}
#: Types of which one that is larger is counted instead of refused.
OPTIONAL = ("transaction", "span")
#: Types that are known and only counted.
COUNTED = ("profile", "profile_chunk", "statsd", "metric_buckets",
           "replay_event", "replay_recording", "replay_video", "raw_security", "nel")  # fmt: skip
_EVENT_ID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")


class Item(NamedTuple):
    """One item.

    Attributes:
        type: As sent; "other" for one that nobody knows.
        header: Its header, JSON types of any shape.
        payload: None when it is only counted: its type is not kept, or it is too large an
            attachment or none of text.
        size: Bytes of the payload as sent.
    """

    type: str
    header: dict[str, object]
    payload: bytes | None
    size: int


class Envelope(NamedTuple):
    """What was sent: its header (JSON types of any shape) and its items."""

    header: dict[str, object]
    items: list[Item]

    @property
    def event_id(self) -> str:
        """32 hexadecimal digits, "" without a sound one."""
        return event_id_of(self.header.get("event_id"))


def event_id_of(value: object) -> str:
    """An id in the form that is stored, "" for anything else."""
    if isinstance(value, str) and _EVENT_ID.fullmatch(value):
        return value.replace("-", "").lower()
    return ""


def parse_header(source: Source) -> dict[str, object]:
    """The first line of an envelope: it may hold the key.

    Raises:
        Refusal: it is missing, too long or no JSON object.
    """
    line = source.line(MAX_HEADER, "envelope header")
    if line is None:
        raise Refusal(
            400, "the body is empty: a server that cannot read chunked bodies delivers none"
        )
    return parse_object(line, "envelope header")


def parse_items(source: Source) -> list[Item]:
    """All items behind the header.

    Raises:
        Refusal: one is malformed, too large, or there are too many.
    """
    items: list[Item] = []
    kept = blank = 0
    while (line := source.line(MAX_HEADER, "item header")) is not None:
        if not line.strip():
            blank += 1
            if blank > MAX_ITEMS:
                raise Refusal(413, "too many empty lines in the envelope")
            continue
        if len(items) >= MAX_ITEMS:
            raise Refusal(413, f"too many items in the envelope, at most {MAX_ITEMS} are read")
        item = _item(source, parse_object(line, "item header"))
        kept += len(item.payload or b"")
        if kept > MAX_KEPT:
            raise Refusal(413, f"the items are too large together, at most {MAX_KEPT} bytes")
        items.append(item)
    return items


def parse_store(source: Source) -> Envelope:
    """The body of the older endpoint: one event without an envelope.

    Raises:
        Refusal: it is empty or too large; what is in it is read later.
    """
    limit = LIMITS["event"]
    payload = plain_json(source.rest(limit, "event"), limit)
    if not payload.strip():
        raise Refusal(400, "the body is empty: an event as JSON was expected")
    return Envelope({}, [Item("event", {"type": "event"}, payload, len(payload))])


def _item(source: Source, header: dict[str, object]) -> Item:
    kind = header.get("type")
    if not isinstance(kind, str) or not kind:
        raise Refusal(400, "an item header must name its type")
    length = _length(header)
    limit = _limit(kind, header, length)
    if limit is not None and length is None and kind in OPTIONAL:
        payload, size = source.line_if_short(limit)
        return Item(kind, header, payload, size)
    if limit is None:
        known = kind if kind == "attachment" or kind in COUNTED or kind in OPTIONAL else "other"
        size = source.skip_line() if length is None else source.skip(length)
        return Item(known, header, None, size)
    what = f"{kind} item"
    if length is None:
        payload = source.line(limit, what) or b""
    else:
        if length > limit:
            raise Refusal(413, f"the {what} has {length} bytes, at most {limit} are read")
        payload = source.exactly(length, what)
    return Item(kind, header, payload, len(payload))


def _limit(kind: str, header: dict[str, object], length: int | None) -> int | None:
    """How much of an item is kept at most; None when it is skipped."""
    if kind in OPTIONAL and length is not None and length > LIMITS[kind]:
        return None
    if kind != "attachment":
        return LIMITS.get(kind)
    if length is None or length > MAX_ATTACHMENT or not _is_text(header):
        return None
    return MAX_ATTACHMENT


def _is_text(header: dict[str, object]) -> bool:
    media = str(header.get("content_type") or "").lower()
    name = str(header.get("filename") or "").lower()
    if media.startswith("text/") or media.split(";")[0].endswith(("json", "xml", "yaml")):
        return True
    return media in ("", "application/octet-stream") and name.endswith(
        (".txt", ".log", ".json", ".csv", ".xml", ".yaml", ".yml", ".md", ".ini", ".toml")
    )


def _length(header: dict[str, object]) -> int | None:
    found = header.get("length")
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < 2**40:
        raise Refusal(400, f"the length of an item must be a number of bytes, not {found!r:.60}")
    return found


class Source:
    """Reads lines and blocks from decoded pieces, holding no more than what is asked for."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces: Iterator[bytes] = iter(pieces)
        self._piece = b""
        self._at = 0

    def line(self, limit: int, what: str) -> bytes | None:
        """Up to the next end of line, without it; None at the end of the body.

        Raises:
            Refusal: it is longer than `limit`.
        """
        held: list[bytes] = []
        size = 0
        while True:
            end = self._piece.find(b"\n", self._at)
            part = self._piece[self._at : end if end >= 0 else len(self._piece)]
            size += len(part)
            if size > limit:
                raise Refusal(413, f"the {what} is too long, at most {limit} bytes are read")
            held.append(part)
            if end >= 0:
                self._at = end + 1
                return b"".join(held)
            if not self._next():
                return b"".join(held) if size else None

    def line_if_short(self, limit: int) -> tuple[bytes | None, int]:
        """The rest of a line and its length; None for one that is longer than `limit`."""
        held: list[bytes] = []
        size = 0
        while True:
            end = self._piece.find(b"\n", self._at)
            part = self._piece[self._at : end if end >= 0 else len(self._piece)]
            size += len(part)
            if size <= limit:
                held.append(part)
            else:
                held.clear()
            if end >= 0:
                self._at = end + 1
            if end >= 0 or not self._next():
                return (b"".join(held) if size <= limit else None), size

    def exactly(self, length: int, what: str) -> bytes:
        """So many bytes, and the end of line behind them.

        Raises:
            Refusal: the body ends before.
        """
        held = list(self._blocks(length, what))
        self._end_of_line(what)
        return b"".join(held)

    def skip(self, length: int) -> int:
        """Pass over so many bytes and the end of line behind them; returns the length.

        Raises:
            Refusal: the body ends before.
        """
        for _ in self._blocks(length, "item"):
            pass
        self._end_of_line("item")
        return length

    def skip_line(self) -> int:
        """Pass over the rest of a line; returns its length."""
        size = 0
        while (end := self._piece.find(b"\n", self._at)) < 0:
            size += len(self._piece) - self._at
            if not self._next():
                return size
        size += end - self._at
        self._at = end + 1
        return size

    def rest(self, limit: int, what: str) -> bytes:
        """Everything that is left.

        Raises:
            Refusal: it is longer than `limit`.
        """
        held = [self._piece[self._at :]]
        size = len(held[0])
        while size <= limit and self._next():
            held.append(self._piece)
            size += len(self._piece)
        if size > limit:
            raise Refusal(413, f"the {what} is too long, at most {limit} bytes are read")
        self._at = len(self._piece)
        return b"".join(held)

    def _blocks(self, length: int, what: str) -> Iterator[bytes]:
        missing = length
        while missing:
            if self._at >= len(self._piece) and not self._next():
                raise Refusal(400, f"the {what} ends too soon: {missing} bytes are missing")
            part = self._piece[self._at : self._at + missing]
            self._at += len(part)
            missing -= len(part)
            yield part

    def _end_of_line(self, what: str) -> None:
        if self._at >= len(self._piece) and not self._next():
            return
        if self._piece[self._at : self._at + 2] == b"\r\n":
            self._at += 2
        elif self._piece[self._at : self._at + 1] == b"\n":
            self._at += 1
        else:
            raise Refusal(400, f"the {what} is longer than its length says")

    def _next(self) -> bool:
        """Fetch the next piece that is not empty; False at the end."""
        self._piece, self._at = next(filter(None, self._pieces), b""), 0
        return bool(self._piece)
