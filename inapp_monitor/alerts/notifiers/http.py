"""One HTTP request to a configured address, and nothing else that it could be led to.

The host is resolved once, and the connection goes to that address: a name that is answered anew
cannot lead elsewhere. Addresses of this machine and of private networks are refused unless
`allow_private` is set. Redirects are not followed. No step waits longer than its timeout, and all
of them no longer than thrice that, however slowly the receiver answers.
"""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from inapp_monitor.alerts.notifiers.base import BusyError, FailedError, RefusedError
from inapp_monitor.alerts.notifiers.deadline import Deadline
from inapp_monitor.alerts.notifiers.options import Options

_MAX_ANSWER = 65_536
_URL = re.compile(r"[!-~]{1,2000}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}", re.ASCII)
#: Statuses after which another attempt makes sense.
_PASSING = frozenset({408, 425, 429, *range(500, 600)})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Address:
    """A checked URL.

    Attributes:
        https: Whether the connection is encrypted.
        host: Name or address, without brackets.
        port: Where.
        path: Path and query.
        allow_private: Whether it may be on this machine or in a private network.
        timeout_s: For each step, and for all together thrice that.
    """

    https: bool
    host: str
    port: int
    path: str
    allow_private: bool
    timeout_s: float

    def at(self, path: str) -> Address:
        """Another path below this one."""
        return Address(
            *(self.https, self.host, self.port, self.path.rstrip("/") + path),
            *(self.allow_private, self.timeout_s),
        )


def address_of(options: Options, key: str = "url") -> Address:
    """The URL of a notifier's table, with `allow_private` and `timeout`.

    Raises:
        ValueError: it is none that may be used.
    """
    url = options.secret(key)
    allow_private = options.flag("allow_private", False)
    timeout_s = options.seconds("timeout", 5.0, 0.1, 30.0)
    wrong = options.error(key, "an address such as https://host/path", None)
    if not _URL.fullmatch(url):
        raise wrong
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise wrong from None
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host):
        raise wrong
    if parts.username is not None or parts.password is not None:
        raise options.error(key, "an address without user and password", None)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    https = parts.scheme == "https"
    return Address(https, host, port or (443 if https else 80), path, allow_private, timeout_s)


def is_public(text: str) -> bool:
    """Whether an IP address is one of the internet, in all its spellings."""
    found = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if inner is None and found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is None and found.teredo is not None:
            return False
        if inner is not None:
            found = inner
    if isinstance(found, ipaddress.IPv6Address) and found.is_site_local:
        return False
    return found.is_global and not found.is_multicast and not found.is_reserved


def resolve(address: Address) -> str:
    """The IP address to connect to.

    Raises:
        FailedError: the name is not known now.
        RefusedError: it is in a private network.
    """
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FailedError(f"{address.host} cannot be resolved: {error}") from None
    texts = [str(each[4][0]) for each in found]
    allowed = [text for text in texts if address.allow_private or is_public(text)]
    if not allowed:
        where = ", ".join(texts) or "nothing"
        raise RefusedError(f"{address.host} is {where}: not public; set allow_private to use it")
    return allowed[0]


class _Pinned(http.client.HTTPConnection):
    """A connection to an address that was resolved before."""

    def __init__(self, address: Address, ip: str) -> None:
        super().__init__(address.host, address.port, timeout=address.timeout_s)
        self._address, self._ip = address, ip
        self._deadline = Deadline(address.timeout_s)

    def connect(self) -> None:
        address = self._address
        self.sock = self._deadline.connected(self._ip, address.port)
        if address.https:
            context = self._deadline.context()
            self.sock = context.wrap_socket(self.sock, server_hostname=address.host)


def request(
    address: Address,
    method: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    most: int = _MAX_ANSWER,
) -> bytes:
    """Send a request; the answer's body, at most `most` bytes of it.

    Raises:
        BusyError: it answered 503.
        FailedError: nobody answered in time, or said that it may work later.
        RefusedError: the receiver refuses it, or sends us elsewhere.
    """
    connection = _Pinned(address, resolve(address))
    try:
        sent = {"Content-Length": str(len(body)), **(headers or {}), "Connection": "close"}
        if (address.https, address.port) in ((True, 443), (False, 80)):
            sent["Host"] = _bracketed(address.host)
        else:
            sent["Host"] = f"{_bracketed(address.host)}:{address.port}"
        connection.request(method, address.path, body, sent)
        answer = connection.getresponse()
        received = b""
        while len(received) < most:
            piece = answer.read1(8_192)
            received += piece
            if not piece:
                break
    except (OSError, http.client.HTTPException, ssl.SSLError, ValueError) as error:
        raise FailedError(f"{address.host}: {type(error).__name__}: {error}") from None
    finally:
        connection.close()
    if 200 <= answer.status < 300:
        return received
    said = received[:200].decode("utf-8", "replace")
    text = f"{address.host} answered {answer.status}: {said}"
    if answer.status == 503:
        raise BusyError(text)
    raise FailedError(text) if answer.status in _PASSING else RefusedError(text)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
