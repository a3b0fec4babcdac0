"""One call to an engine: with a time limit, no redirect followed, and a bound on the answer."""

from __future__ import annotations

import base64
import gzip
import http.client
import ssl
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Final, NamedTuple

from inapp_monitor.export.timed_socket import TimedSocket
from inapp_monitor.ground.clock import perf_counter
from inapp_monitor.ground.destination import Destination

#: Seconds for each step of a connection.
TIMEOUT_S: Final = 10.0
#: Seconds for a whole call, however slowly the peer reads or answers.
LONGEST_S: Final = 60.0
_SECRET_HEADERS: Final = {"Authorization", "X-Sentry-Auth"}
_MAX_ANSWER: Final = 64 * 2**10
_SHOWN_BYTES: Final = 4_096
_SHOWN_CHARS: Final = 120


class Answer(NamedTuple):
    """What the peer said. Names of headers are in lower case.

    Attributes:
        text: Status and the beginning of the body, for people: without secrets of the address.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    text: str

    def retry_after_s(self, now: float) -> float | None:
        """What `Retry-After` asks for, in seconds or as a date; None without it."""
        given = self.headers.get("retry-after", "").strip()
        if given.isdecimal() and len(given) < 10:
            return float(given)
        try:
            moment = parsedate_to_datetime(given)
        except (ValueError, IndexError, TypeError):
            return None
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.fromtimestamp(now, UTC)).total_seconds())


def post(destination: Destination, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Post a body on a connection of its own: by gzip, unless the headers name its encoding.

    Args:
        destination: Host, port and whether by TLS.
        path: Below the host.
        headers: Further ones.

    Raises:
        OSError: no answer.
    """
    if "Content-Encoding" not in headers:
        body = gzip.compress(body, 5, mtime=0)
        headers = {"Content-Encoding": "gzip", **headers}
    return _call(destination, "POST", path, body, headers, _MAX_ANSWER)


def get(destination: Destination, path: str, headers: Mapping[str, str], max_bytes: int) -> Answer:
    """Get a document of at most `max_bytes`, compressed on its way.

    Raises:
        OSError: no answer, or a longer one.
    """
    asked = {"Accept-Encoding": "gzip", **headers}
    answer = _call(destination, "GET", path, None, asked, max_bytes + 1)
    if len(answer.body) > max_bytes:
        raise ConnectionError(f"the answer has more than {max_bytes} bytes")
    if answer.headers.get("content-encoding") != "gzip":
        return answer
    try:
        inflater = zlib.decompressobj(31)
        body = inflater.decompress(answer.body, max_bytes)
    except zlib.error:
        raise ConnectionError("the answer is no gzip") from None
    if inflater.unconsumed_tail or not inflater.eof:
        raise ConnectionError(f"the answer has more than {max_bytes} bytes, or is cut")
    return answer._replace(body=body)


def authorization(destination: Destination) -> dict[str, str]:
    """The header of an address with a user or a token; none without."""
    if destination.options.get("bearer"):
        return {"Authorization": f"Bearer {destination.options['bearer']}"}
    if destination.user:
        both = f"{destination.user}:{destination.password}".encode()
        return {"Authorization": f"Basic {base64.b64encode(both).decode()}"}
    return {}


def _call(
    destination: Destination,
    method: str,
    path: str,
    body: bytes | None,
    headers: Mapping[str, str],
    max_bytes: int,
) -> Answer:
    deadline = perf_counter() + LONGEST_S
    connection = _connection(destination)
    try:
        connection.connect()
        connection.sock = TimedSocket(connection.sock, deadline)
        common = {"User-Agent": "inapp-monitor", "Connection": "close"}
        connection.request(method, path, body, {**common, **headers})
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        answer = response.read(max_bytes)
    except http.client.HTTPException as error:
        raise ConnectionError(f"no HTTP answer: {type(error).__name__}") from None
    finally:
        connection.close()
    begin = answer[:_SHOWN_BYTES].decode("utf-8", "replace")
    for name in _SECRET_HEADERS & headers.keys():
        begin = begin.replace(headers[name].rpartition(" ")[2], "…")
    begin = destination.without_secrets(begin)[:_SHOWN_CHARS]
    return Answer(response.status, found, answer, f"HTTP {response.status} {begin}".strip())


def _connection(destination: Destination) -> http.client.HTTPConnection:
    if destination.secure:
        context = _verifying()
        return http.client.HTTPSConnection(
            destination.host, destination.port, timeout=TIMEOUT_S, context=context
        )
    return http.client.HTTPConnection(destination.host, destination.port, timeout=TIMEOUT_S)


@cache
def _verifying() -> ssl.SSLContext:
    """Certificates are verified, whatever the application has made the usual case of `ssl`."""
    return ssl.create_default_context()
