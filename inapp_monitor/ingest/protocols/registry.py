"""The protocols that doors speak, by the name in their address; a further one is a row. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from inapp_monitor.ingest.addresses import Usage
from inapp_monitor.ingest.protocols import carbon
from inapp_monitor.ingest.protocols.framing import Framing, LineFraming
from inapp_monitor.ingest.protocols.parsed import Parsed

#: (whole units, seconds since the epoch) to what is in them.
Parse = Callable[[bytes, float], Parsed]


@dataclass(frozen=True, slots=True)
class Spoken:
    """One protocol.

    Attributes:
        usage: What an address may say of it.
        parser: Makes the function that parses, from an address's options.
        framing: Makes what cuts a stream into units; unused for datagrams.
    """

    usage: Usage
    parser: Callable[[Mapping[str, str]], Parse]
    framing: Callable[[], Framing] = LineFraming


PROTOCOLS: dict[str, Spoken] = {
    "carbon": Spoken(
        Usage(("tcp", "udp", "unix", "unixstream", "fifo", "spool"), 2003),
        lambda options: carbon.parse,  # noqa: ARG005
    ),
}


def usages() -> dict[str, Usage]:
    """What addresses may say, by protocol."""
    return {name: spoken.usage for name, spoken in PROTOCOLS.items()}
