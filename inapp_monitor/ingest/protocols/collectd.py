"""collectd's binary network protocol: plain, signed and encrypted packets. Pure: no I/O.

Parts of type, length and content (https://github.com/collectd/collectd/wiki/Binary-protocol): names
hold until the next one of their kind. Counters come as totals: they become rates by the second, as
write_graphite stores them, so that a `Receiver` remembers the last total of each series.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Final

from inapp_monitor.ingest.protocols.collectd_names import Identifier, name_of, sources_of
from inapp_monitor.ingest.protocols.parsed import Event, Parsed, RejectedError

#: Part types.
_HOST, _TIME, _PLUGIN, _PLUGIN_INSTANCE, _TYPE, _TYPE_INSTANCE, _VALUES = range(7)
_INTERVAL, _TIME_HR, _INTERVAL_HR = 7, 8, 9
_MESSAGE, _SEVERITY, _SIGNATURE, _ENCRYPTION = 0x100, 0x101, 0x200, 0x210
_TEXTS: Final = {
    _HOST: "host",
    _PLUGIN: "plugin",
    _PLUGIN_INSTANCE: "plugin_instance",
    _TYPE: "type",
    _TYPE_INSTANCE: "type_instance",
}
#: Data source types.
COUNTER, GAUGE, DERIVE, ABSOLUTE = range(4)
_HEAD = struct.Struct(">HH")
_NUMBER = struct.Struct(">Q")
_SIGNED = struct.Struct(">q")
_DOUBLE = struct.Struct("<d")
#: Times and intervals are counted in 2**-30 s.
_HIGH_RESOLUTION: Final = 2.0**30
_SEVERITIES: Final = {1: "FAILURE", 2: "WARNING", 4: "OKAY"}
_SIGNATURE_BYTES: Final = 32
_BLOCK: Final = 16
#: Series whose last total is remembered.
MAX_TOTALS: Final = 10_000
SECURITY: Final = ("none", "sign", "encrypt")


@dataclass(slots=True)
class _State:
    """What the parts so far have said."""

    host: str = ""
    plugin: str = ""
    plugin_instance: str = ""
    type: str = ""
    type_instance: str = ""
    time: float | None = None
    interval: float = 10.0
    severity: int = 0

    def identifier(self) -> Identifier:
        return Identifier(
            self.host, self.plugin, self.plugin_instance, self.type, self.type_instance
        )


@dataclass(slots=True)
class Receiver:
    """What one door needs to understand packets.

    Args:
        security: What a packet must be: `none`, `sign` or `encrypt`.
        passwords: By user; empty: signatures cannot be checked, and encrypted packets not be read.

    *Threads:* one at a time.
    """

    security: str = "none"
    passwords: Mapping[str, str] = field(default_factory=dict)
    _totals: dict[str, tuple[int, float]] = field(default_factory=dict)

    def parse(self, data: bytes, now: float) -> Parsed:
        """The points of one packet.

        Args:
            now: Seconds since the epoch.
        """
        parsed = Parsed()
        try:
            self._packet(data, _State(), parsed, now, safety=0)
        except RejectedError as error:
            parsed.lines += 1
            parsed.reject(error.reason, data[:64].hex())
        return parsed

    def _packet(self, data: bytes, state: _State, parsed: Parsed, now: float, safety: int) -> None:
        """Walk over parts. `safety`: 0 plain, 1 signed, 2 encrypted."""
        position, required = 0, SECURITY.index(self.security)
        while position < len(data):
            if len(data) - position < _HEAD.size:
                raise RejectedError("truncated")
            kind, length = _HEAD.unpack_from(data, position)
            if length < _HEAD.size or position + length > len(data):
                raise RejectedError("truncated")
            body = data[position + _HEAD.size : position + length]
            position += length
            if kind == _SIGNATURE:
                self._check(body, data[position:])
                safety = max(safety, 1)
            elif kind == _ENCRYPTION:
                self._packet(self._decrypted(body), state, parsed, now, safety=2)
            elif kind not in (_VALUES, _MESSAGE):
                _note(state, kind, body)
            elif safety < required:
                raise RejectedError("unsigned" if self.security == "sign" else "unencrypted")
            elif kind == _VALUES:
                self._values(state, body, parsed, now)
            else:
                parsed.lines += 1
                parsed.events.append(_event(state, _text(body)))

    # -- values

    def _values(self, state: _State, body: bytes, parsed: Parsed, now: float) -> None:
        """The values of one identifier, a line each."""
        if len(body) < 2:
            raise RejectedError("truncated")
        count = int.from_bytes(body[:2], "big")
        if len(body) != 2 + 9 * count or not count:
            raise RejectedError("truncated")
        if not (state.host and state.plugin and state.type):
            parsed.lines += count
            parsed.reject("name", "values without host, plugin or type")
            return
        identifier = state.identifier()
        sources = sources_of(state.type, count)
        for number in range(count):
            parsed.lines += 1
            at = 2 + count + 8 * number
            name = name_of(identifier, sources[number])
            value = self._value(body[2 + number], body[at : at + 8], name, state, now)
            if value is None:
                parsed.note("no rate yet")
            elif value != value:
                parsed.note("nan")
            elif not isfinite(value):
                parsed.reject("nonfinite", name)
            else:
                parsed.points.append((name, value, state.time, None))

    def _value(self, kind: int, raw: bytes, name: str, state: _State, now: float) -> float | None:
        if kind == GAUGE:
            return float(_DOUBLE.unpack(raw)[0])
        if kind == ABSOLUTE:
            return float(_NUMBER.unpack(raw)[0] / state.interval)
        if kind not in (COUNTER, DERIVE):
            raise RejectedError("type")
        total = int((_SIGNED if kind == DERIVE else _NUMBER).unpack(raw)[0])
        moment = now if state.time is None else state.time
        before = self._totals.pop(name, None)
        self._totals[name] = (total, moment)
        if len(self._totals) > MAX_TOTALS:
            del self._totals[next(iter(self._totals))]
        if before is None or moment <= before[1]:
            return None
        grown = total - before[0]
        if grown < 0:  # a counter of 32 bits that wrapped; anything else began anew
            if kind == DERIVE or not 2**31 <= before[0] < 2**32:
                return None
            grown += 2**32
        return grown / (moment - before[1])

    # -- signatures and encryption

    def _check(self, body: bytes, rest: bytes) -> None:
        """A signature over all that follows it."""
        if len(body) <= _SIGNATURE_BYTES:
            raise RejectedError("truncated")
        if not self.passwords and self.security == "none":
            return  # as collectd itself: without passwords a signature says nothing
        user = body[_SIGNATURE_BYTES:]
        expected = hmac.new(self._password(user), user + rest, hashlib.sha256).digest()
        if not hmac.compare_digest(expected, body[:_SIGNATURE_BYTES]):
            raise RejectedError("signature")

    def _decrypted(self, body: bytes) -> bytes:
        """The parts that an encrypted one holds: AES-256 in OFB mode, after their SHA-1."""
        if len(body) < 2:
            raise RejectedError("truncated")
        begin = 2 + int.from_bytes(body[:2], "big")
        user, start = body[2:begin], body[begin : begin + _BLOCK]
        if len(start) != _BLOCK:
            raise RejectedError("truncated")
        key = hashlib.sha256(self._password(user)).digest()
        plain = _ofb(key, start, body[begin + _BLOCK :])
        checksum, parts = plain[:20], plain[20:]
        if not hmac.compare_digest(hashlib.sha1(parts, usedforsecurity=False).digest(), checksum):
            raise RejectedError("decryption")
        return parts

    def _password(self, user: bytes) -> bytes:
        password = self.passwords.get(user.decode("utf-8", "replace"))
        if password is None:
            raise RejectedError("user")
        return password.encode()


def parse_passwords(text: str) -> dict[str, str]:
    """The users and passwords of an AuthFile of collectd: `user: password` lines."""
    users = {}
    for line in text.splitlines():
        user, colon, password = line.strip().partition(":")
        if colon and not user.startswith("#"):
            users[user.strip()] = password.strip()
    return users


def _note(state: _State, kind: int, body: bytes) -> None:
    """Remember what a part says for those that follow; unknown kinds are passed over."""
    if kind in _TEXTS:
        setattr(state, _TEXTS[kind], _text(body))
        return
    if kind not in (_TIME, _TIME_HR, _INTERVAL, _INTERVAL_HR, _SEVERITY):
        return
    if len(body) != _NUMBER.size:
        raise RejectedError("truncated")
    number = int(_NUMBER.unpack(body)[0])
    if kind == _TIME:
        state.time = float(number)
    elif kind == _TIME_HR:
        state.time = number / _HIGH_RESOLUTION
    elif kind == _INTERVAL:
        state.interval = float(number) or 10.0
    elif kind == _INTERVAL_HR:
        state.interval = number / _HIGH_RESOLUTION or 10.0
    else:
        state.severity = number


def _text(body: bytes) -> str:
    """A text that ends with NUL."""
    if not body.endswith(b"\0"):
        raise RejectedError("truncated")
    try:
        return body[:-1].decode()
    except UnicodeDecodeError:
        raise RejectedError("encoding") from None


def _event(state: _State, message: str) -> Event:
    """A notification."""
    severity = _SEVERITIES.get(state.severity, "")
    tags = tuple(tag for tag in ("collectd", severity, state.host, state.plugin) if tag)
    return Event(f"{severity or 'notification'}: {message}", name_of(state.identifier()), tags,
                 state.time)  # fmt: skip


def _ofb(key: bytes, start: bytes, data: bytes) -> bytes:
    """AES in output feedback mode, made of single blocks: newer releases of `cryptography` have
    that mode in other places than older ones.

    Raises:
        RejectedError: `encrypted_needs_cryptography` where the extra is not installed.
    """
    try:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    except ImportError:
        raise RejectedError("encrypted_needs_cryptography") from None
    encrypt = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305  # OFB is made of it
    stream, block = bytearray(), start
    while len(stream) < len(data):
        block = encrypt.update(block)
        stream += block
    return bytes(left ^ right for left, right in zip(data, stream, strict=False))
