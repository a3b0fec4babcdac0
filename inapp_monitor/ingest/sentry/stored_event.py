"""The body of `/store/`, in the forms that old SDKs have for one event. Pure.

JSON as it is; compressed without a word in the headers; both in base64, as raven sent it; and
either of these in a form's or an address's field `sentry_data`, as raven-js did from old browsers.
"""

from __future__ import annotations

import base64
import binascii
from urllib.parse import parse_qs

from inapp_monitor.ingest.sentry import encoding
from inapp_monitor.ingest.sentry.refusal import Refusal

FIELD = "sentry_data"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def plain_json(body: bytes, limit: int) -> bytes:
    """The event as JSON; what is none of these forms is returned as it is.

    Args:
        body: As it was sent, decoded as the headers say.
        limit: Bytes that an event may have.

    Raises:
        Refusal: 413 it becomes too large, 400 it is compressed and damaged.
    """
    found = body.strip()
    if found.startswith(FIELD.encode() + b"="):
        fields = parse_qs(found.decode("utf-8", "replace"), max_num_fields=50)
        found = fields[FIELD][0].strip().encode() if FIELD in fields else b""
    if not found or _is_json(found):
        return found
    name = _coding(found)
    if not name:
        unpacked = _of_base64(found)
        if not unpacked or _is_json(unpacked):
            return unpacked or found
        found, name = unpacked, _coding(unpacked)
    return _decompressed(found, name, limit) if name else body


def _is_json(data: bytes) -> bool:
    return data.removeprefix(_BYTE_ORDER_MARK).lstrip().startswith((b"{", b"["))


def _coding(data: bytes) -> str:
    """What it is compressed with, by its first bytes; "" when it is not."""
    if data[:2] == b"\x1f\x8b":
        return "gzip"
    is_zlib = len(data) > 2 and data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
    return "deflate" if is_zlib else ""


def _of_base64(data: bytes) -> bytes:
    """b"" when it is none. A plus sign that was not escaped in an address has become a space."""
    data = data.replace(b" ", b"+").replace(b"-", b"+").replace(b"_", b"/").rstrip(b"=")
    try:
        return base64.b64decode(data + b"=" * (-len(data) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _decompressed(data: bytes, name: str, limit: int) -> bytes:
    held, size = [], 0
    unread = [data]
    for piece in encoding.pieces(lambda _: unread.pop() if unread else b"", name):
        size += len(piece)
        if size > limit:
            raise Refusal(413, f"the event is too long, at most {limit} bytes are read")
        held.append(piece)
    return b"".join(held)
