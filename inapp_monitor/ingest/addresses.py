"""The addresses of doors: `carbon://127.0.0.1:2003`, `statsd+unix:///run/app/statsd.sock`. Pure.

    PROTOCOL[+TRANSPORT]://HOST:PORT[?option=value&...]
    PROTOCOL[+TRANSPORT]:///path/of/a/socket/or/file

Without a transport a protocol's usual one is meant, without a port its usual port, without a host
the loopback address: others reach a door only when its address says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import parse_qsl, urlsplit

from inapp_monitor.ground.exceptions import ConfigError

#: Transports that have a path; the others have a host and a port.
_WITH_PATH = ("unix", "unixstream", "fifo", "spool")
_LOOPBACK = "127.0.0.1"
#: Options that every door has.
_MODE = "mode"


@dataclass(frozen=True, slots=True)
class Usage:
    """How a protocol is spoken.

    Attributes:
        transports: Those it may come by, its usual one first.
        port: Its usual port; 0: none is usual.
        options: Names of its options, and what each takes.
    """

    transports: tuple[str, ...]
    port: int
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Address:
    """One door's address.

    Attributes:
        text: As it was given.
        host, port: Of a socket of the internet; empty and 0 where there is a path.
        path: Of a Unix socket or a file.
        options: As given, names checked.
        mode: Permissions of a Unix socket or FIFO.
    """

    text: str
    protocol: str
    transport: str
    host: str = ""
    port: int = 0
    path: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    mode: int = 0o660


def parse_address(text: str, usages: Mapping[str, Usage]) -> Address:
    """The parts of an address.

    Args:
        usages: By protocol.

    Raises:
        ConfigError: names the address and what is wrong with it.
    """
    try:
        return _parsed(text, usages)
    except ValueError as error:
        raise ConfigError(f"setting 'listen': {text!r}: {error}") from None


def _parsed(text: str, usages: Mapping[str, Usage]) -> Address:
    parts = urlsplit(text)
    protocol, usage, transport = _scheme(parts.scheme, usages)
    options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    mode = _mode(options.pop(_MODE, "660"))
    for name in options:
        if name not in usage.options:
            known = ", ".join((*usage.options, _MODE))
            raise ValueError(f"unknown option {name!r}: expected one of {known}")
    if parts.fragment or parts.username is not None:
        raise ValueError("an address has no user and no fragment")
    common = (text, protocol, transport)
    if transport in _WITH_PATH:
        if parts.netloc or not parts.path.startswith("/"):
            raise ValueError(f"expected {parts.scheme}:///path")
        return Address(*common, path=parts.path, options=options, mode=mode)
    if parts.path not in ("", "/"):
        raise ValueError(f"expected {parts.scheme}://host:port")
    port = parts.port if parts.port is not None else usage.port
    if not port and parts.port is None:
        raise ValueError("the port is missing")
    host = parts.hostname or _LOOPBACK
    if host == "localhost":
        host = _LOOPBACK
    try:
        ip_address(host)
    except ValueError:
        raise ValueError(f"{host!r} is no IP address of this machine") from None
    return Address(*common, host=host, port=port, options=options)


def _scheme(scheme: str, usages: Mapping[str, Usage]) -> tuple[str, Usage, str]:
    """Protocol and transport; `unix://` and the like alone are mixed lines by that transport."""
    if scheme in usages:
        return scheme, usages[scheme], usages[scheme].transports[0]
    if scheme in _WITH_PATH:
        return "lines", usages["lines"], scheme
    protocol, _, transport = scheme.rpartition("+")
    usage = usages.get(protocol)
    if usage is None:
        known = ", ".join(f"{name}://" for name in usages)
        raise ValueError(f"unknown protocol: expected one of {known}")
    if transport not in usage.transports:
        raise ValueError(
            f"{protocol} does not come by {transport!r}: expected {', '.join(usage.transports)}"
        )
    return protocol, usage, transport


def _mode(text: str) -> int:
    if len(text) not in (3, 4) or not set(text) <= set("01234567"):
        raise ValueError(f"mode={text}: expected permissions such as 660")
    return int(text, 8) & 0o777
