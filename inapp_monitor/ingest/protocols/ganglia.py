"""Ganglia's packets: what gmetric and gmond 3.1 to 3.7 send, XDR over UDP. Pure: no I/O.

A packet is a metric's description (128) or a value (129 to 135, of gmetric a text: 133). A value's
series is `HOST.NAME`, as gmetad hands it on to Carbon; a spoofed host is named after its colon.
Values stand as they come, totals (slope `positive`) too. The format is that of gm_protocol.x
(https://github.com/ganglia/monitor-core/blob/master/lib/gm_protocol.x).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from math import isfinite
from typing import Final, NamedTuple

from inapp_monitor.ground.points import Method
from inapp_monitor.ingest.protocols import numbers
from inapp_monitor.ingest.protocols.parsed import Parsed, RejectedError

_DESCRIPTION, _REQUEST = 128, 129 + 7
#: Kinds of value: unsigned short, short, int, unsigned int, text, float, double.
_KINDS: Final = {129: ">I", 130: ">i", 131: ">i", 132: ">I", 133: "", 134: ">f", 135: ">d"}
#: Slopes by their number.
_SLOPES: Final = ("zero", "positive", "negative", "both", "unspecified")
_WORD = struct.Struct(">I")
_MAX_TEXT: Final = 4_096
_MAX_EXTRA: Final = 50
#: Metrics that are remembered.
MAX_KNOWN: Final = 10_000
_SEPARATORS = re.compile(r"[\s.;]+")


class Description(NamedTuple):
    """What a metric says of itself."""

    type: str
    units: str
    slope: str
    group: str
    title: str
    text: str


@dataclass(slots=True)
class Receiver:
    """What one door remembers of metrics.

    *Threads:* one at a time.
    """

    _known: dict[tuple[str, str], Description] = field(default_factory=dict)

    def parse(self, data: bytes, now: float) -> Parsed:  # noqa: ARG002  # as all protocols
        """The point of one packet, if it holds one."""
        parsed = Parsed()
        reader = _Reader(data)
        try:
            kind = reader.number()
            if kind == _DESCRIPTION:
                self._describe(reader, parsed)
            elif kind in _KINDS:
                parsed.lines += 1
                self._add(kind, reader, parsed)
            elif kind == _REQUEST:
                parsed.note("request")  # gmond asks others to describe their metrics
            else:
                raise RejectedError("type")
        except RejectedError as error:
            parsed.lines = max(parsed.lines, 1)
            parsed.reject(error.reason, data[:64].hex())
        return parsed

    def description(self, host: str, metric: str) -> Description | None:
        """What is known of a metric."""
        return self._known.get((host, metric))

    def _describe(self, reader: _Reader, parsed: Parsed) -> None:
        host, metric, _ = reader.metric()
        kind, _, units = reader.text(), reader.text(), reader.text()
        slope = reader.number()
        reader.number(), reader.number()  # tmax and dmax
        extra = {}
        count = reader.number()
        if count > _MAX_EXTRA:
            raise RejectedError("fields")
        for _ in range(count):
            name = reader.text()
            extra[name] = reader.text()
        described = Description(
            kind, units, _SLOPES[slope] if slope < len(_SLOPES) else "unspecified",
            extra.get("GROUP", ""), extra.get("TITLE", ""), extra.get("DESC", ""),
        )  # fmt: skip
        self._known.pop((host, metric), None)
        self._known[host, metric] = described
        if len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]
        parsed.note("description")

    def _add(self, kind: int, reader: _Reader, parsed: Parsed) -> None:
        host, metric, _ = reader.metric()
        shown = reader.text()  # a format of printf
        described = self._known.get((host, metric))
        if kind == 133:
            text = reader.text()
            if described is not None and described.type == "string":
                parsed.note("text")
                return
            if numbers.is_nan(text):
                parsed.note("nan")
                return
            try:
                value = numbers.number(text)
            except RejectedError:
                if described is None and shown == "%s" and not text[:1].isdigit():
                    parsed.note("text")  # of a metric whose description was not heard
                    return
                raise
        else:
            value = reader.scalar(_KINDS[kind])
        if not isfinite(value):
            raise RejectedError("nonfinite")
        is_total = described is not None and described.slope == "positive"
        method = Method.LAST if is_total else Method.AVERAGE
        parsed.points.append((_series(host, metric), value, None, method))


def _series(host: str, metric: str) -> str:
    """The name of a metric's series; a spoofed host is `ADDRESS:NAME`."""
    named = host.partition(":")[2] or host
    return f"{_SEPARATORS.sub('_', named)}.{_SEPARATORS.sub('_', metric)}"


class _Reader:
    """XDR, RFC 4506: words of four bytes, texts after their length and padded."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self) -> int:
        """An unsigned whole number."""
        return int(self._unpacked(_WORD)[0])

    def scalar(self, form: str) -> float:
        """A number of a kind."""
        return float(self._unpacked(struct.Struct(form))[0])

    def text(self) -> str:
        """A text."""
        length = self.number()
        if length > _MAX_TEXT or self._at + length > len(self._data):
            raise RejectedError("truncated")
        raw = self._data[self._at : self._at + length]
        self._at += length + -length % 4
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise RejectedError("encoding") from None

    def metric(self) -> tuple[str, str, bool]:
        """Whose metric it is: host, name, and whether the host was spoofed."""
        host, name, spoofed = self.text(), self.text(), bool(self.number())
        if not host or not name:
            raise RejectedError("name")
        return host, name, spoofed

    def _unpacked(self, form: struct.Struct) -> tuple[float, ...]:
        if self._at + form.size > len(self._data):
            raise RejectedError("truncated")
        found = form.unpack_from(self._data, self._at)
        self._at += form.size
        return found
