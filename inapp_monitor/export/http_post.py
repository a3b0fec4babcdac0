"""One POST to an engine: with a time limit, no redirect followed, and little of the answer read."""

from __future__ import annotations

import gzip
import http.client
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

from inapp_monitor.ground.destination import Destination

#: Seconds for each step of a connection.
TIMEOUT_S: Final = 10.0
_MAX_ANSWER: Final = 64 * 2**10


class Answer(NamedTuple):
    """What the peer said. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """Status and the beginning of the body, for people."""
        return f"HTTP {self.status} {self.body[:120].decode('utf-8', 'replace')}".strip()

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
    """Post a body, compressed, on a connection of its own.

    Args:
        destination: Host, port and whether by TLS.
        path: Below the host.
        headers: Further ones.

    Raises:
        OSError: no answer.
    """
    connection = _connection(destination)
    try:
        packed = gzip.compress(body, 5, mtime=0)
        common = {"Content-Encoding": "gzip", "User-Agent": "inapp-monitor", "Connection": "close"}
        connection.request("POST", path, packed, {**common, **headers})
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read(_MAX_ANSWER))
    except http.client.HTTPException as error:
        raise ConnectionError(f"no HTTP answer: {type(error).__name__}") from None
    finally:
        connection.close()


def _connection(destination: Destination) -> http.client.HTTPConnection:
    if destination.secure:
        return http.client.HTTPSConnection(destination.host, destination.port, timeout=TIMEOUT_S)
    return http.client.HTTPConnection(destination.host, destination.port, timeout=TIMEOUT_S)
