"""What a body holds, by its media type and how it begins: parsed in pieces. No HTTP.

A piece at a time is parsed and handed over, so that a long body does not keep the interpreter from
the application's threads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple

from inapp_monitor.ground.process.gil_yield import GilYield
from inapp_monitor.ingest.doors import Door, shown
from inapp_monitor.ingest.intake import Intake
from inapp_monitor.ingest.protocols import (
    collectd_putval,
    influx,
    json_points,
    prometheus_text,
)
from inapp_monitor.ingest.protocols.framing import pieces_of_lines
from inapp_monitor.ingest.protocols.parsed import Parsed, Reject
from inapp_monitor.ingest.protocols.registry import PROTOCOLS, Parse

#: Errors that an answer names.
MAX_ERRORS: Final = 10
_PIECE_BYTES: Final = 16_384
_TEXTS: Final = frozenset(
    (
        *("", "text/plain", "application/x-www-form-urlencoded", "application/octet-stream"),
        *("application/vnd.influx-line-protocol", "application/vnd.sumologic.carbon2"),
    )
)
_JSON: Final = frozenset(
    ("application/json", "text/json", "application/x-ndjson", "application/jsonl")
)
_OPENMETRICS: Final = "application/openmetrics-text"
#: A quoted name of Prometheus' text; in JSON a colon follows it.
_QUOTED_NAME: Final = re.compile(rb'\{[ \t]*"(?:[^"\\\n]|\\.){1,1000}"[ \t]*[,}=]')
_PROMETHEUS_COMMENTS: Final = (b"# HELP ", b"# TYPE ")
#: How a point of InfluxDB begins: after the measurement and its tags, a field and its value.
_INFLUX = re.compile(rb"(?:[^ \n\\]|\\.)+ (?:[^ =\n\\]|\\.)+=[^ \n]")


class Refusal(NamedTuple):
    """A line that was refused.

    Attributes:
        line: Its number in the body, from 1; of JSON the number of the object.
    """

    line: int
    reason: str
    text: str


@dataclass(slots=True)
class Outcome:
    """What became of a body.

    Attributes:
        accepted: Points, samples and events.
        rejected: Lines that gave nothing; the first of them are in `errors`.
    """

    accepted: int = 0
    rejected: int = 0
    errors: list[Refusal] = field(default_factory=list)


class UnknownKindError(ValueError):
    """A media type that no protocol is known for."""


def is_json(data: bytes, kind: str) -> bool:
    """Whether a body is JSON; collectd calls some of its own plain text."""
    if kind in _JSON or kind.endswith("+json"):
        return True
    begin = data[:2_048].lstrip()
    return kind in _TEXTS and begin[:1] in (b"[", b"{") and not _QUOTED_NAME.match(begin)


def protocol_of(data: bytes, kind: str) -> Parse:
    """What parses the lines of a body.

    Raises:
        UnknownKindError: no such media type.
    """
    if kind == _OPENMETRICS:
        return prometheus_text.parse
    if kind not in _TEXTS:
        raise UnknownKindError(kind)
    begin = data[:2_048].lstrip()
    if begin.startswith(_PROMETHEUS_COMMENTS) or _QUOTED_NAME.match(begin):
        return prometheus_text.parse
    if _INFLUX.match(begin) and not begin.startswith(b"metric="):
        return influx.parse
    if collectd_putval.is_putval(begin[:7].decode("latin-1")):
        return collectd_putval.parse
    return PROTOCOLS["lines"].parser({})


class Taker:
    """Hands over what a body holds, and keeps what became of it.

    Args:
        client: Who has sent it.
        now: Seconds since the epoch.
    """

    def __init__(self, intake: Intake, door: Door, client: str, now: float) -> None:
        self.outcome = Outcome()
        self._intake = intake
        self._door = door
        self._client = client
        self._now = now
        self._yield_gil = GilYield()

    def lines(self, data: bytes, parse: Parse) -> Outcome:
        """Take lines."""
        cut = influx.pieces if parse is influx.parse else pieces_of_lines
        return self.pieces(cut(data, _PIECE_BYTES), parse)

    def pieces(self, pieces: Iterable[bytes], parse: Parse) -> Outcome:
        """Take lines that are cut where they may be parsed apart."""
        first_line = 1
        for piece in pieces:
            parsed = parse(piece, self._now)
            self._take(parsed, _line_finder(piece, first_line))
            first_line += piece.count(b"\n")
        return self.outcome

    def json(self, data: bytes) -> Outcome:
        """Take JSON. Raises json_points.MalformedError."""
        for number, each in enumerate(json_points.objects_of(data), 1):
            parsed = Parsed()
            json_points.add(each, parsed)
            self._take(parsed, partial(_numbered, number))
        return self.outcome

    def _take(self, parsed: Parsed, number_of: Callable[[Reject], int]) -> None:
        outcome = self.outcome
        outcome.accepted += self._intake.take(self._door, parsed, self._client)
        outcome.rejected += len(parsed.rejects)
        for reject in parsed.rejects[: MAX_ERRORS - len(outcome.errors)]:
            text = shown(reject.text)
            outcome.errors.append(Refusal(number_of(reject), reject.reason, text))
        self._yield_gil()


def _numbered(number: int, reject: Reject) -> int:  # noqa: ARG001
    return number


def _line_finder(piece: bytes, first_line: int) -> Callable[[Reject], int]:
    """Finds the number of a refused line by its text; of equal lines each is found once.

    What was refused only when it was to be stored is known by its name.
    """
    lines = [line.strip() for line in piece.split(b"\n")]
    found: set[int] = set()

    def find(reject: Reject) -> int:
        text = reject.text
        whole = (text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text).strip()
        name = whole.split(b" ", 1)[0]
        number = next((n for n, line in enumerate(lines) if line == whole and n not in found), None)
        if number is None:
            number = next((n for n, line in enumerate(lines) if name in line and n not in found), 0)
        found.add(number)
        return first_line + number

    return find
