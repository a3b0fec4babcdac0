"""The body of a request that brings numbers: read whole, within limits, decoded. Knows no protocol.

werkzeug's own reading truncates a chunked body without a word, and no server decodes
`Content-Encoding`, so that both are done here.
"""

from __future__ import annotations

import zlib
from io import BytesIO
from typing import Any, Final, NamedTuple

from werkzeug.exceptions import HTTPException
from werkzeug.formparser import MultiPartParser
from werkzeug.http import parse_options_header

#: Bytes of a body as it is sent, and once it is unpacked.
MAX_SENT_BYTES: Final = 2**20
MAX_BODY_BYTES: Final = 4 * 2**20
_PIECE_BYTES: Final = 65_536
_MAX_PARTS: Final = 10
#: Empty gzip members take 20 bytes each and as much time as large ones.
_MAX_MEMBERS: Final = 100
_UTF_8: Final = frozenset(("", "utf-8", "utf8", "us-ascii", "ascii"))
_BOM: Final = b"\xef\xbb\xbf"


class RefusedError(Exception):
    """A body is not read.

    Attributes:
        status: Of the answer.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Body(NamedTuple):
    """What was sent.

    Attributes:
        data: Unpacked, without a byte order mark.
        kind: The media type of it, in small letters; "" when none was given.
        is_form: Whether a form's type was given, as curl does by default.
    """

    data: bytes
    kind: str
    is_form: bool


def read(environ: dict[str, Any]) -> Body:
    """The body of a request.

    Raises:
        RefusedError: too long (413), of unknown length (411), of unknown coding or charset (415),
            incomplete or malformed (400).
    """
    kind, options = parse_options_header(str(environ.get("CONTENT_TYPE", "")))
    charset = options.get("charset", "").lower()
    if charset not in _UTF_8:
        raise RefusedError(415, "the text must be UTF-8")
    data = _decoded(_sent(environ), str(environ.get("HTTP_CONTENT_ENCODING", "")))
    kind = kind.lower()
    if kind == "multipart/form-data":
        data, kind = _file_part(data, options.get("boundary", ""))
    is_form = kind == "application/x-www-form-urlencoded"
    return Body(data.removeprefix(_BOM), kind, is_form)


def _sent(environ: dict[str, Any]) -> bytes:
    """The bytes as they were sent."""
    stream = environ.get("wsgi.input") or BytesIO()
    given = str(environ.get("CONTENT_LENGTH", "") or "").strip()
    length = int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None
    if given and length is None:
        raise RefusedError(400, "Content-Length is no number")
    if length is not None and length > MAX_SENT_BYTES:
        raise RefusedError(413, f"the body is too long, at most {MAX_SENT_BYTES} bytes are read")
    if environ.get("HTTP_TRANSFER_ENCODING") and environ.get("wsgi.input_terminated"):
        length = None
    elif length is None and environ.get("HTTP_TRANSFER_ENCODING"):
        raise RefusedError(411, "this server hands on no body without a Content-Length")
    elif length is None:
        return b""
    data = _read(stream, MAX_SENT_BYTES + 1 if length is None else length)
    if len(data) > MAX_SENT_BYTES:
        raise RefusedError(413, f"the body is too long, at most {MAX_SENT_BYTES} bytes are read")
    if length is not None and len(data) < length:
        raise RefusedError(400, "the body ended before its Content-Length")
    return data


def _read(stream: Any, at_most: int) -> bytes:
    pieces, size = [], 0
    try:
        while size < at_most:
            piece = stream.read(min(_PIECE_BYTES, at_most - size))
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
    except RefusedError:
        raise
    except Exception as error:
        raise RefusedError(400, f"the body cannot be read: {type(error).__name__}") from error
    return b"".join(pieces)


def _decoded(data: bytes, coding: str) -> bytes:
    """The body without its `Content-Encoding`, of which one is allowed."""
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return data
    if coding in ("gzip", "x-gzip"):
        return _inflated(data, 31)
    if coding == "deflate":
        is_zlib = len(data) > 1 and data[0] & 0x0F == 8 and (data[0] * 256 + data[1]) % 31 == 0
        return _inflated(data, 15 if is_zlib else -15)
    raise RefusedError(415, "Content-Encoding must be gzip, deflate or identity")


def _inflated(data: bytes, window: int) -> bytes:
    """Unpacked; several gzip members one after the other are one."""
    pieces: list[bytes] = []
    room = MAX_BODY_BYTES
    while data:
        if len(pieces) == _MAX_MEMBERS:
            message = f"the body cannot be unpacked: it has more than {_MAX_MEMBERS} gzip members"
            raise RefusedError(400, message)
        inflater = zlib.decompressobj(window)
        try:
            piece = inflater.decompress(data, room + 1)
        except zlib.error as error:
            raise RefusedError(400, f"the body cannot be unpacked: {error}") from None
        if len(piece) > room:
            raise RefusedError(413, f"unpacked, the body is longer than {MAX_BODY_BYTES} bytes")
        if not inflater.eof:
            raise RefusedError(400, "the body cannot be unpacked: it ends too soon")
        pieces.append(piece)
        room -= len(piece)
        data = inflater.unused_data
    return b"".join(pieces)


def _file_part(data: bytes, boundary: str) -> tuple[bytes, str]:
    """The first file of a form, or else its first field, and its media type."""
    if not boundary or len(boundary) > 200:
        raise RefusedError(400, "the form has no boundary")
    parser = MultiPartParser(
        stream_factory=lambda *_, **__: BytesIO(),
        max_form_memory_size=MAX_SENT_BYTES,
        max_form_parts=_MAX_PARTS,
    )
    try:
        fields, files = parser.parse(BytesIO(data), boundary.encode("latin-1"), len(data))
    except HTTPException as error:
        raise RefusedError(error.code or 400, "the form cannot be read") from None
    except ValueError:
        raise RefusedError(400, "the form cannot be read") from None
    for file in files.values():
        return file.stream.read(), (file.mimetype or "").lower()
    for text in fields.values():
        return str(text).encode(), ""
    raise RefusedError(400, "the form holds no file")
