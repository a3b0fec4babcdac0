"""StatsD's lines and the dialects that grew out of them: `name:value|type|@rate|#tags`. Pure.

Understood together: several samples of a name on a line, as StatsD's own (`a:1|c:20|ms`) and as
DogStatsD packs them (`a:1:2:3|ms`); tags after `|#`, after `;` in the name, and after `,` in it as
Telegraf's clients write them; times after `|T`; events and service checks. What StatsD accepts by
accident of JavaScript (hex, `Infinity`, unknown types as counters) is refused: that is for
`statsd_exact`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import repeat
from math import isfinite

from inapp_monitor.ground.points import Method
from inapp_monitor.ingest.protocols import dogstatsd, numbers
from inapp_monitor.ingest.protocols.parsed import (
    COUNTER,
    GAUGE,
    GAUGE_DELTA,
    SET,
    TIMER,
    Parsed,
    RejectedError,
)

#: The lines of ordinary clients; whatever else there is on a line is the last group.
_LINE = re.compile(
    r"^([A-Za-z0-9_\-.;=]{1,250}):(-?[0-9]{1,17}(?:\.[0-9]{1,17})?)\|(c|ms|g|h|d)"
    r"(?:\|@(0?\.[0-9]{1,9}|1(?:\.0{1,6})?))?(?:\|#([^|\n\r]{0,1000}))?\r?$|^(.+)$",
    re.ASCII | re.MULTILINE,
)
#: Of what names and numbers of ordinary clients consist; what is left of a line says its structure.
_PLAIN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-."
_STRUCTURE = b":|\n"
_TO_BLANKS = bytes.maketrans(b":|", b"  ")
_PLAIN_KINDS = {"c": COUNTER, "g": GAUGE, "ms": TIMER, "h": TIMER, "d": TIMER}
_NO_RATE = repeat(1.0)
_KINDS = {"c": COUNTER, "m": COUNTER, "g": GAUGE, "ms": TIMER, "h": TIMER, "d": TIMER, "s": SET}
_SPACES = re.compile(r"\s+")
#: What DogStatsD's clients add, of no use here.
_UNUSED_SECTIONS = ("c:", "e:", "card:")
_BYTE_ORDER_MARK = "\ufeff"
_NAMES_REMEMBERED = 4_096


class StatsDParser:
    """Parses for one door.

    Args:
        sign_is_delta: Whether a gauge with a sign is moved rather than set: StatsD's clients mean
            that, DogStatsD's do not, and nothing on the line tells them apart.
    """

    def __init__(self, *, sign_is_delta: bool = True) -> None:
        self._sign_is_delta = sign_is_delta

    def parse(self, data: bytes, now: float) -> Parsed:  # noqa: ARG002
        """The samples of some whole lines; the last one need not end."""
        parsed = Parsed()
        if _parse_plain(data, parsed):
            return parsed
        try:
            text = data.decode()
        except UnicodeDecodeError:
            for line in data.split(b"\n"):
                self._parse_undecoded(line, parsed)
            return parsed
        self._parse_text(text, parsed)
        return parsed

    def _parse_text(self, text: str, parsed: Parsed) -> None:
        add, sign_is_delta = parsed.samples.append, self._sign_is_delta
        for name, value, kind, rate, tags, odd in _LINE.findall(text):
            if odd:
                self.parse_line(odd, parsed)
                continue
            parsed.lines += 1
            if tags:
                name = tagged(name, tags)
            elif ";" in name:
                name = plain_name(name)
            weight = 1.0
            if rate:
                share = float(rate)
                if not share:
                    parsed.reject("rate", f"{name}:{value}|{kind}|@{rate}")
                    continue
                weight = 1.0 / share
            if kind == "c":
                add((COUNTER, name, float(value), weight))
            elif kind == "g":
                is_delta = sign_is_delta and value[0] == "-"
                add((GAUGE_DELTA if is_delta else GAUGE, name, float(value), 1.0))
            elif value[0] == "-" and float(value) != 0.0:
                parsed.reject("negative_time", f"{name}:{value}|{kind}")
            else:
                add((TIMER, name, abs(float(value)), weight))

    def _parse_undecoded(self, line: bytes, parsed: Parsed) -> None:
        try:
            text = line.decode()
        except UnicodeDecodeError:
            parsed.lines += 1
            parsed.reject("encoding", line)
        else:
            if text:
                self._parse_text(text, parsed)

    def parse_line(self, line: str, parsed: Parsed) -> None:
        """One line without its end."""
        line = line.rstrip("\r")
        if not line or line.isspace():
            return
        parsed.lines += 1
        try:
            if line.startswith("_e{"):
                parsed.events.append(dogstatsd.event(line, parsed))
            elif line.startswith("_sc|"):
                parsed.checks.append(dogstatsd.check(line, parsed))
            else:
                self._parse_samples(line, parsed)
        except RejectedError as error:
            parsed.reject(error.reason, line)

    def _parse_samples(self, line: str, parsed: Parsed) -> None:
        head, *sections = line.split("|")
        name, colon, values = _name_and_values(head)
        if not colon:
            raise RejectedError("no_value")
        if not name.strip() or name[0] == _BYTE_ORDER_MARK:
            raise RejectedError("name")
        if not sections:
            raise RejectedError("type")
        groups, tags, timestamp = _groups(values, sections, parsed)
        path = tagged(name, tags) if tags else plain_name(name)
        samples = len(parsed.samples)
        try:
            for texts, kind, rate in groups:
                self._add(path, texts, kind, rate, timestamp, parsed)
        except RejectedError:
            if len(parsed.samples) == samples:
                raise
            parsed.reject("part_of_line", line)

    def _add(
        self,
        name: str,
        values: str,
        type_text: str,
        rate: float,
        timestamp: float | None,
        parsed: Parsed,
    ) -> None:
        kind = _KINDS.get(type_text.strip())
        if kind is None:
            raise RejectedError("type")
        if kind == SET:
            parsed.samples.append((SET, name, values or "0", 1.0))
            return
        for text in values.split(":"):
            value = _value(text)
            if kind == TIMER and text.strip()[0] == "-" and value != 0.0:
                raise RejectedError("negative_time")
            if timestamp is not None and kind in (COUNTER, GAUGE):
                method = Method.SUM if kind == COUNTER else Method.LAST
                weighted = value / rate if kind == COUNTER else value
                parsed.points.append((name, weighted, timestamp, method))
            elif kind == GAUGE:
                is_delta = self._sign_is_delta and text.strip()[0] in "+-"
                parsed.samples.append((GAUGE_DELTA if is_delta else GAUGE, name, value, 1.0))
            else:
                parsed.samples.append(
                    (kind, name, abs(value) if kind == TIMER else value, 1 / rate)
                )


def _parse_plain(data: bytes, parsed: Parsed) -> bool:
    """Lines that are all ordinary, without rate and tags, a field at a time and not a line; False
    when they are not."""
    if data[-1:] != b"\n":
        data += b"\n"
    rest = data.translate(None, _PLAIN)
    lines, odd = divmod(len(rest), len(_STRUCTURE))
    if odd or rest != _STRUCTURE * lines:
        return False
    fields = data.translate(_TO_BLANKS).decode("ascii").split()
    if len(fields) != 3 * lines or not lines:
        return False
    names, values, types = fields[0::3], fields[1::3], fields[2::3]
    try:
        kinds = list(map(_PLAIN_KINDS.__getitem__, types))
        numbers_found = list(map(float, values))
    except (KeyError, ValueError):
        return False
    together, total = "".join(values), sum(numbers_found)
    if not isfinite(total) or "-" in together or "_" in together:
        return False
    parsed.lines = lines
    parsed.samples = list(zip(kinds, names, numbers_found, _NO_RATE, strict=False))
    return True


def _name_and_values(head: str) -> tuple[str, str, str]:
    """Name and values before the first bar; Telegraf's tags in a name may hold colons."""
    name, colon, values = head.partition(":")
    if "," in name and "=" in name:
        name, colon, values = head.rpartition(":")
    return name, colon, values


def _groups(
    values: str, sections: list[str], parsed: Parsed
) -> tuple[list[tuple[str, str, float]], str, float | None]:
    """Values, type and rate of each sample; the tags and the time of all.

    Raises:
        RejectedError: a section that is none, a bad rate or time.
    """
    groups: list[tuple[str, str, float]] = []
    tags, timestamp, kind, rate = "", None, None, 1.0
    for section in sections:
        if kind is None:
            kind, colon, following = section.partition(":")
            if kind.strip() not in _KINDS:
                raise RejectedError("type")
            if colon:
                groups.append((values, kind, rate))
                values, kind, rate = following, None, 1.0
        elif section.startswith("@"):
            text, colon, following = section[1:].partition(":")
            rate = _rate(text)
            if colon:
                groups.append((values, kind, rate))
                values, kind, rate = following, None, 1.0
        elif section.startswith("#") and len(section) > 0:
            tags = section[1:]
        elif section.startswith("T"):
            timestamp = numbers.timestamp(section[1:].strip(), parsed)
        elif not section.startswith(_UNUSED_SECTIONS):
            raise RejectedError("section")
    if kind is None:
        raise RejectedError("type")
    groups.append((values, kind, rate))
    return groups, tags, timestamp


def _value(text: str) -> float:
    try:
        return numbers.number(text.strip())
    except RejectedError:
        raise RejectedError("value") from None


def _rate(text: str) -> float:
    try:
        rate = numbers.number(text.strip())
    except RejectedError:
        rate = 0.0
    if not 0.0 < rate <= 1.0:
        raise RejectedError("rate")
    return rate


@lru_cache(_NAMES_REMEMBERED)
def plain_name(name: str) -> str:
    """A name as StatsD makes it: blanks become `_`, `/` becomes `-`; then tags that are whole."""
    metric, *segments = _SPACES.sub("_", name.strip()).split(";")
    if "," in metric and "=" in metric:  # as Telegraf's clients write tags
        metric, *others = metric.split(",")
        segments += others
    tags = [segment for segment in segments if _is_whole(segment)]
    return ";".join((metric.replace("/", "-"), *tags))


@lru_cache(_NAMES_REMEMBERED)
def tagged(name: str, tags: str) -> str:
    """A name with the tags after `|#`: `key:value` becomes `;key=value`, a bare one is `true`."""
    path = plain_name(name)
    for tag in tags.split(","):
        key, _, value = tag.strip().partition(":")
        if not value and "=" in key:
            key, _, value = key.partition("=")
        key = _SPACES.sub("_", key.replace(";", "_"))
        if key:
            value = _SPACES.sub("_", value.replace(";", "_")).lstrip("~") or "true"
            path += f";{key}={value}"
    return path


def _is_whole(segment: str) -> bool:
    key, _, value = segment.partition("=")
    return bool(key and value)
