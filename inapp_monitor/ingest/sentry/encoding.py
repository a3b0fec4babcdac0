"""The body of a request, decoded piece by piece, so that no bomb is ever held in memory. Pure.

Encodings as SDKs use them: identity, gzip, deflate (with zlib's header as RFC 9110 says, and raw,
as some send it) and br, for which the library `brotli` must be installed.

What must not be here: what the bytes mean (`envelope`).
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from inapp_monitor.ingest.sentry.refusal import Refusal

#: Bytes on the wire, and decoded.
MAX_BODY, MAX_DECODED = 20 * 2**20, 100 * 2**20
#: How much larger a body may become; JSON of a deep recursion shrinks to a ninetieth.
MAX_RATIO, ALWAYS_DECODED = 250, 2**20
PIECE = 2**16

#: `read(n)`: at most so many bytes, b"" at the end.
Read = Callable[[int], bytes]
_DAMAGED = "the body is not sound {encoding} data: it is damaged or ends too soon"


class Decoder(Protocol):
    """A decompressor that gives at most so many bytes at once."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What a piece of the body decodes to."""

    def finish(self) -> bool:
        """Whether the body has come to its end."""


def pieces(read: Read, encoding: str) -> Iterator[bytes]:
    """The decoded body.

    Args:
        read: Reads the body as it is on the wire.
        encoding: `Content-Encoding`, in any case; empty for none.

    Raises:
        Refusal: 413 too large, 415 an encoding that is not known here, 400 damaged data.
    """
    name = encoding.strip().lower()
    decoder = _decoder(name)
    taken = given = 0
    while piece := read(PIECE):
        taken += len(piece)
        if taken > MAX_BODY:
            raise Refusal(413, f"the body is too long, at most {MAX_BODY} bytes are read")
        if decoder is None:
            yield piece
            continue
        for part in _parts(decoder, piece, name):
            given += len(part)
            limit = min(MAX_DECODED, max(ALWAYS_DECODED, MAX_RATIO * taken))
            if given > limit:
                raise Refusal(413, f"the {name} body grows too large: more than {limit} bytes")
            yield part
    if decoder is not None and taken and not decoder.finish():
        raise Refusal(400, _DAMAGED.format(encoding=name))


def _parts(decoder: Decoder, piece: bytes, name: str) -> Iterator[bytes]:
    try:
        yield from decoder.feed(piece)
    except Refusal:
        raise
    except Exception as error:  # each library has its own
        raise Refusal(400, _DAMAGED.format(encoding=name)) from error


def _decoder(name: str) -> Decoder | None:
    if name in ("", "identity"):
        return None
    if name in ("gzip", "x-gzip"):
        return _Zlib(31)
    if name == "deflate":
        return _Zlib(None)
    if name == "br":
        return _brotli()
    raise Refusal(
        415, f"Content-Encoding {name[:40]!r} is not known here: send identity, gzip, deflate or br"
    )


class _Zlib:
    """gzip and deflate.

    Args:
        window: zlib's `wbits`; None for deflate, whose first bytes say whether it has a header.
    """

    def __init__(self, window: int | None) -> None:
        self._window = window
        self._stream: Any = None
        self._head = b""
        self._ended = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._stream is None:
            data = self._head + data
            if len(data) < 2:
                self._head = data
                return
            self._begin(data)
        while data:
            if self._ended:
                if self._window != 31:
                    return  # what follows the end is nobody's
                self._stream, self._ended = zlib.decompressobj(31), False  # a further gzip member
            part = self._stream.decompress(data, PIECE)
            if part:
                yield part
            self._ended = self._stream.eof
            data = self._stream.unused_data if self._ended else self._stream.unconsumed_tail
        while not self._ended and (part := self._stream.decompress(b"", PIECE)):
            yield part

    def finish(self) -> bool:
        return self._ended

    def _begin(self, data: bytes) -> None:
        window = self._window
        if window is None:
            has_header = data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
            window = 15 if has_header else -15
        self._stream = zlib.decompressobj(window)


class _Brotli:
    """br, by a library that gives its output in pieces."""

    def __init__(self, library: Any) -> None:
        self._stream = library.Decompressor()

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield self._stream.process(data, output_buffer_limit=PIECE)
        while not self._stream.can_accept_more_data():
            part = self._stream.process(b"", output_buffer_limit=PIECE)
            if not part:
                return
            yield part

    def finish(self) -> bool:
        return bool(self._stream.is_finished())


def _brotli() -> _Brotli:
    try:
        library = importlib.import_module("brotli")
        if hasattr(library.Decompressor, "can_accept_more_data"):
            return _Brotli(library)
    except ImportError:
        pass
    raise Refusal(
        415, "Content-Encoding 'br' needs the library brotli 1.2 or later here: send gzip instead"
    )
