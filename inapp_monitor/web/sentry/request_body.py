"""The body of a request as the server gives it: with its length, or in chunks without one."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from inapp_monitor.ingest.sentry import encoding
from inapp_monitor.ingest.sentry.read_deadlines import Reading
from inapp_monitor.ingest.sentry.refusal import Refusal


class RequestBody:
    """Reads no further than the request: not every server ends its input there.

    Args:
        environ: Of the request; nothing is read yet.
        reading: Its deadline.
    """

    def __init__(self, environ: dict[str, Any], reading: Reading) -> None:
        self.reading = reading
        given = environ.get("wsgi.input")
        self._read = (BytesIO() if given is None else given).read
        #: None where the input ends by itself.
        self._left: int | None = None
        if not environ.get("wsgi.input_terminated"):
            length = str(environ.get("CONTENT_LENGTH") or "0")
            self._left = int(length[:15]) if length.isascii() and length.isdigit() else 0
        self._taken = 0

    def read(self, size: int) -> bytes:
        """At most so many bytes, b"" at the end.

        Raises:
            Refusal: 413 when the length alone says too much, 400 when the server cannot read it,
                408 when the deadline has passed.
        """
        if self._taken == 0 and self._left is not None and self._left > encoding.MAX_BODY:
            raise Refusal(413, f"the body is too long, at most {encoding.MAX_BODY} bytes are read")
        return self._some(size)

    def drain(self, most: int) -> None:
        """Pass over what is left of the body, up to so many bytes of it all."""
        try:
            while self._taken < most and self._some(encoding.PIECE):
                pass
        except Exception:  # noqa: BLE001, S110  # the client has left: nobody waits for an answer
            pass

    def _some(self, size: int) -> bytes:
        if self._left is not None:
            size = min(size, self._left)
        try:
            data: bytes = self._read(size) if size > 0 else b""
        except Exception as error:  # chunks that are none, a client that has left: never our fault
            self._refuse_late()
            name = type(error).__name__
            raise Refusal(400, f"the body cannot be read: {name}") from error
        self._taken += len(data)
        if size > 0:
            self._refuse_late()
        if self._left is not None:
            self._left = self._left - len(data) if data else 0
        return data

    def _refuse_late(self) -> None:
        """What was read after the deadline may be a part: reading was ended for it."""
        if self.reading.is_over:
            self._left = 0
            raise Refusal(408, "the body came too slowly")
