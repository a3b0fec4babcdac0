"""Bodies that a server cannot read, or does not hand on: a 400, and nothing is switched off."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor import Monitor
from tests.environ import environ_of

TOKEN = "unreadable-token-0123456789"
FORM = "application/x-www-form-urlencoded"
#: Address, and whether the token is sent: a stranger reaches the first four.
ADDRESSES = (
    ("/sentry/api/1/envelope/", False),
    ("/sentry/tunnel/", False),
    ("/sentry/stream/", False),
    ("/login", False),
    ("/ingest", True),
    ("/events/", True),
    ("/alerts", True),
    ("/render", True),
)


class NoChunk(Exception):  # noqa: N818  # as servers name theirs
    """Neither OSError nor ValueError, as gunicorn's own."""


class Unreadable(io.RawIOBase):
    """An input of which each read fails."""

    def __init__(self, error: type[Exception]) -> None:
        super().__init__()
        self._error = error

    def read(self, size: int = -1) -> bytes:
        """Fail."""
        raise self._error(f"no chunk of {size}")


def post(monitor: Monitor, address: str, given: dict[str, Any], *, authorized: bool) -> int:
    """The status of a POST."""
    headers = {"CONTENT_TYPE": FORM, "HTTP_TRANSFER_ENCODING": "chunked"}
    if authorized:
        headers["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
    environ = environ_of(f"/_metrics{address}", "POST", **headers, **given)
    if given.get("wsgi.input") is None:
        environ.pop("wsgi.input")
    answered: list[int] = []
    parts = monitor(environ, lambda status, _, *__: answered.append(int(status[:3])))
    b"".join(parts)
    return answered[-1]


@pytest.mark.parametrize("error", [NoChunk, OSError, None], ids=("chunk", "system", "none"))
def test_no_unreadable_body_switches_a_page_off(
    error: type[Exception] | None, tmp_path: Path
) -> None:
    """However often it comes: below 500, noted as no fault, and the address goes on answering."""

    def app(_: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b""]

    monitor = Monitor(app, data_dir=tmp_path / "data", token=TOKEN)
    for address, authorized in ADDRESSES:
        for _ in range(25):
            given: dict[str, Any] = {"wsgi.input_terminated": True}
            given["wsgi.input"] = Unreadable(error) if error is not None else None
            status = post(monitor, address, given, authorized=authorized)
            assert status < 500, address
    assert monitor.guard.faults == {}
    monitor.close()
