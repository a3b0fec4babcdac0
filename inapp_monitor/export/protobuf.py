"""Protocol Buffers on the way out, as far as OTLP needs them: a message in JSON's shape to bytes.

A schema names the fields of a message with their numbers and types; what is encoded is the same
document that OTLP's JSON is made of, so that both say the same. Wire format:
protobuf.dev/programming-guides/encoding. Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

_DOUBLE: Final = struct.Struct("<d")
_FIXED64: Final = struct.Struct("<Q")
_VARINT_TYPE, _64BIT_TYPE, _BYTES_TYPE = 0, 1, 2

#: A message's fields by their names in JSON.
Schema = Mapping[str, "Field"]


class Field(NamedTuple):
    """One field.

    Attributes:
        number: Its number.
        kind: `string`, `hex` (bytes), `bool`, `enum`, `double`, `fixed64`, `sint32`, `packed`
            (uint64), or the schema of a message.
        repeated: Whether its value is a list; `packed` always has one.
    """

    number: int
    kind: str | Schema
    repeated: bool = False


def encode(document: Mapping[str, Any], schema: Schema) -> bytes:
    """The bytes of a message. Names that the schema does not have raise KeyError."""
    pieces: list[bytes] = []
    for name, value in document.items():
        field = schema[name]
        for each in value if field.repeated else (value,):
            pieces.append(_field(field, each))
    return b"".join(pieces)


def _field(field: Field, value: Any) -> bytes:
    kind = field.kind
    if not isinstance(kind, str):
        return _bytes(field.number, encode(value, kind))
    if kind == "string":
        return _bytes(field.number, value.encode("utf-8", "replace"))
    if kind == "hex":
        return _bytes(field.number, bytes.fromhex(value))
    if kind == "double":
        return _key(field.number, _64BIT_TYPE) + _DOUBLE.pack(value)
    if kind == "fixed64":
        return _key(field.number, _64BIT_TYPE) + _FIXED64.pack(int(value))
    if kind == "packed":
        return _bytes(field.number, b"".join(varint(int(each)) for each in value))
    if kind == "sint32":
        value = value << 1 if value >= 0 else (-value << 1) - 1  # zigzag
    return _key(field.number, _VARINT_TYPE) + varint(int(value))


def _bytes(number: int, data: bytes) -> bytes:
    return _key(number, _BYTES_TYPE) + varint(len(data)) + data


def _key(number: int, wire_type: int) -> bytes:
    return varint(number << 3 | wire_type)


def varint(value: int) -> bytes:
    """A number that is not negative, seven bits a byte, lowest first."""
    if value < 0x80:
        return bytes((value,))
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)
