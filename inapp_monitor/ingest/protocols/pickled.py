"""Carbon's pickle protocol, `[(name, (timestamp, value)), ...]`, read without `pickle`. Pure.

`pickle.loads` runs what a pickle names, and even a reader that refuses that can be made to allocate
gigabytes by fourteen bytes. Here only the opcodes exist that lists, tuples, texts and numbers are
made of, of all protocols from 0 to 5; memory is bounded by the frame, and nothing recurses. The
opcodes are documented in CPython's `pickletools`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from math import isfinite
from typing import Final, NoReturn

from inapp_monitor.ingest.protocols import numbers
from inapp_monitor.ingest.protocols.parsed import Parsed, RejectedError

#: Datapoints of one frame; a frame of Carbon's size cannot hold more unless it repeats itself.
MAX_DATAPOINTS = 70_000
#: Digits or bytes of one number.
_MAX_NUMBER = 400
_INTEGER = re.compile(rb"[+-]?[0-9]+")
_MARK: Final = object()

_DOUBLE, _INT32 = struct.Struct(">d"), struct.Struct("<i")
_LENGTHS = {1: struct.Struct("<B"), 2: struct.Struct("<H"), 4: struct.Struct("<L")}
_LENGTHS[8] = struct.Struct("<Q")


def parse(data: bytes, now: float) -> Parsed:  # noqa: ARG001
    """The points of one frame, without its length."""
    parsed = Parsed()
    try:
        items = Reader(data).read()
        if not isinstance(items, (list, tuple)) or len(items) > MAX_DATAPOINTS:
            raise RejectedError("pickle")
    except RejectedError as error:
        parsed.lines += 1
        parsed.reject(error.reason, data[:200])
        return parsed
    for item in items:
        parsed.lines += 1
        try:
            _add_point(item, parsed)
        except RejectedError as error:
            parsed.reject(error.reason, _text_of(item))
    return parsed


def _add_point(item: object, parsed: Parsed) -> None:
    if not isinstance(item, (list, tuple)) or len(item) != 2:
        raise RejectedError("fields")
    name, pair = item
    if not isinstance(pair, (list, tuple)) or len(pair) != 2:
        raise RejectedError("fields")
    if isinstance(name, bytes):
        try:
            name = name.decode()
        except UnicodeDecodeError:
            raise RejectedError("encoding") from None
    if not isinstance(name, str):
        raise RejectedError("name")
    timestamp, value = pair
    if _is_nan(value):
        parsed.note("nan")
        return
    number = _number(value, "value")
    seconds = numbers.in_seconds(_number(timestamp, "timestamp"), parsed)
    parsed.points.append((name, number, seconds, None))


def _is_nan(value: object) -> bool:
    return (isinstance(value, float) and value != value) or (
        isinstance(value, str) and numbers.is_nan(value)
    )


def _number(value: object, reason: str) -> float:
    """A number, or a text that is one.

    Raises:
        RejectedError: `reason`, or `nonfinite`.
    """
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    if isinstance(value, str):
        try:
            return numbers.number(value.strip())
        except RejectedError as error:
            raise RejectedError(reason if reason == "timestamp" else error.reason) from None
    if not isinstance(value, (int, float)):
        raise RejectedError(reason)
    try:
        number = float(value)
    except OverflowError:
        raise RejectedError("nonfinite") from None
    if not isfinite(number):
        raise RejectedError("timestamp" if reason == "timestamp" else "nonfinite")
    return number


def _text_of(item: object) -> str:
    """What a rejected datapoint is shown as; one that holds itself is not followed."""
    if isinstance(item, (list, tuple)) and item and isinstance(item[0], (str, bytes)):
        return str(item[0][:100])
    return type(item).__name__


class Reader:
    """Reads one pickle of lists, tuples, texts, numbers, booleans and None."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._stack: list[object] = []
        self._memo: dict[int, object] = {}

    def read(self) -> object:
        """The object.

        Raises:
            RejectedError: `pickle`: another opcode, one that does not fit, or bytes after the end.
        """
        data, opcodes = self._data, _OPCODES
        while self._at < len(data):
            opcode = data[self._at]
            self._at += 1
            if opcode == _STOP:
                if len(self._stack) != 1 or self._stack[0] is _MARK or self._at != len(data):
                    _refuse()
                return self._stack[0]
            step = opcodes.get(opcode)
            if step is None:
                _refuse()
            step(self)
        raise RejectedError("pickle")

    # -- bytes

    def following(self, count: int) -> bytes:
        """The next bytes."""
        end = self._at + count
        if end > len(self._data):
            _refuse()
        found = self._data[self._at : end]
        self._at = end
        return found

    def length(self, size: int) -> int:
        """A length of so many bytes."""
        number: int = _LENGTHS[size].unpack(self.following(size))[0]
        return number

    def line(self) -> bytes:
        """The text up to the next line feed."""
        end = self._data.find(b"\n", self._at)
        if end < 0:
            _refuse()
        found = self._data[self._at : end]
        self._at = end + 1
        return found

    # -- the stack

    def push(self, value: object) -> None:
        """Put a value on the stack."""
        self._stack.append(value)

    def pop(self) -> object:
        """Take a value off the stack; never a mark."""
        if not self._stack or self._stack[-1] is _MARK:
            _refuse()
        return self._stack.pop()

    def to_mark(self) -> list[object]:
        """What is above the last mark, which goes, too."""
        stack = self._stack
        for at in range(len(stack) - 1, -1, -1):
            if stack[at] is _MARK:
                found = stack[at + 1 :]
                del stack[at:]
                return found
        raise RejectedError("pickle")

    def append(self, values: list[object]) -> None:
        """Add to the list on the stack."""
        if not self._stack or not isinstance(self._stack[-1], list):
            _refuse()
        self._stack[-1].extend(values)

    def tuple_of(self, count: int) -> None:
        """A tuple of the last values."""
        values = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(values)))

    def put(self, number: int) -> None:
        """Remember what is on the stack; any number will do, as a key of a dictionary."""
        value = self.pop()
        self.push(value)
        self._memo[number] = value

    def memoize(self) -> None:
        """Remember it under the next number."""
        self.put(len(self._memo))

    def get(self, number: int) -> None:
        """What was remembered."""
        if number not in self._memo:
            _refuse()
        self.push(self._memo[number])


def _refuse() -> NoReturn:
    raise RejectedError("pickle")


def _integer(text: bytes) -> int:
    text = text.strip()
    if len(text) > _MAX_NUMBER or _INTEGER.fullmatch(text) is None:
        _refuse()
    return int(text)


def _int_or_bool(reader: Reader) -> None:
    line = reader.line()
    reader.push({b"01": True, b"00": False}.get(line) if line in (b"01", b"00") else _integer(line))


def _float(reader: Reader) -> None:
    line = reader.line().strip()
    try:
        if len(line) > _MAX_NUMBER or b"_" in line:
            _refuse()
        reader.push(float(line))
    except ValueError:
        _refuse()


def _long(reader: Reader, size: int) -> None:
    count = reader.length(size)
    if count > _MAX_NUMBER:
        reader.following(count)
        reader.push(float("inf"))  # a number that no float can hold
        return
    reader.push(int.from_bytes(reader.following(count), "little", signed=True))


def _quoted(reader: Reader) -> None:
    """A string as Python 2 wrote it: in quotes, with escapes."""
    line = reader.line().strip()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        _refuse()
    inner = line[1:-1]
    if b"\\" not in inner:
        reader.push(inner)
        return
    try:
        reader.push(inner.decode("unicode_escape").encode("latin-1"))
    except (UnicodeDecodeError, UnicodeEncodeError):
        _refuse()


def _unicode(reader: Reader, data: bytes) -> None:
    try:
        reader.push(data.decode("utf-8", "surrogatepass"))
    except UnicodeDecodeError:
        _refuse()


def _unicode_line(reader: Reader) -> None:
    try:
        reader.push(reader.line().decode("raw_unicode_escape"))
    except UnicodeDecodeError:
        _refuse()


def _duplicate(reader: Reader) -> None:
    value = reader.pop()
    reader.push(value)
    reader.push(value)


_STOP: Final = ord(".")
_OPCODES: dict[int, Callable[[Reader], object]] = {
    0x80: lambda r: r.following(1),  # protocol
    0x95: lambda r: r.following(8),  # frame
    ord("("): lambda r: r.push(_MARK),
    ord("]"): lambda r: r.push([]),
    ord("l"): lambda r: r.push(r.to_mark()),
    ord("a"): lambda r: r.append([r.pop()]),
    ord("e"): lambda r: r.append(r.to_mark()),
    ord(")"): lambda r: r.push(()),
    ord("t"): lambda r: r.push(tuple(r.to_mark())),
    0x85: lambda r: r.tuple_of(1),
    0x86: lambda r: r.tuple_of(2),
    0x87: lambda r: r.tuple_of(3),
    ord("N"): lambda r: r.push(None),
    0x88: lambda r: r.push(True),
    0x89: lambda r: r.push(False),
    ord("I"): _int_or_bool,
    ord("J"): lambda r: r.push(_INT32.unpack(r.following(4))[0]),
    ord("K"): lambda r: r.push(r.length(1)),
    ord("M"): lambda r: r.push(r.length(2)),
    ord("L"): lambda r: r.push(_integer(r.line().removesuffix(b"L"))),
    0x8A: lambda r: _long(r, 1),
    0x8B: lambda r: _long(r, 4),
    ord("F"): _float,
    ord("G"): lambda r: r.push(_DOUBLE.unpack(r.following(8))[0]),
    ord("S"): _quoted,
    ord("T"): lambda r: r.push(r.following(r.length(4))),
    ord("U"): lambda r: r.push(r.following(r.length(1))),
    ord("C"): lambda r: r.push(r.following(r.length(1))),
    ord("B"): lambda r: r.push(r.following(r.length(4))),
    0x8E: lambda r: r.push(r.following(r.length(8))),
    ord("V"): _unicode_line,
    ord("X"): lambda r: _unicode(r, r.following(r.length(4))),
    0x8C: lambda r: _unicode(r, r.following(r.length(1))),
    0x8D: lambda r: _unicode(r, r.following(r.length(8))),
    ord("p"): lambda r: r.put(_integer(r.line())),
    ord("q"): lambda r: r.put(r.length(1)),
    ord("r"): lambda r: r.put(r.length(4)),
    0x94: lambda r: r.memoize(),
    ord("g"): lambda r: r.get(_integer(r.line())),
    ord("h"): lambda r: r.get(r.length(1)),
    ord("j"): lambda r: r.get(r.length(4)),
    ord("0"): lambda r: r.pop(),
    ord("1"): lambda r: r.to_mark(),
    ord("2"): _duplicate,
}
