"""The protocols that doors speak, by the name in their address; a further one is a row. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from inapp_monitor.ingest.addresses import Usage
from inapp_monitor.ingest.protocols import (
    carbon,
    collectd,
    ganglia,
    influx,
    opentsdb,
    pickled,
    statsd,
)
from inapp_monitor.ingest.protocols.absolute_counters import AbsoluteCounters
from inapp_monitor.ingest.protocols.framing import (
    Framing,
    LengthFraming,
    LineFraming,
    StatsDFraming,
    pieces_of_lines,
)
from inapp_monitor.ingest.protocols.mixed import MixedParser
from inapp_monitor.ingest.protocols.parsed import Parsed
from inapp_monitor.ingest.protocols.statsd_flush import OPTION_NAMES

#: (whole units, seconds since the epoch) to what is in them.
Parse = Callable[[bytes, float], Parsed]


#: (a unit, bytes of a piece) to pieces, each of which is parsed alone.
Cut = Callable[[bytes, int], Iterable[bytes]]

#: Options that name a file.
FILES = frozenset(("auth_file",))


@dataclass(frozen=True, slots=True)
class Spoken:
    """One protocol.

    Attributes:
        usage: What an address may say of it.
        parser: Makes the function that parses, from an address's options; of an option in FILES it
            gets what the file holds. Raises ValueError for one that it cannot use.
        cut: Cuts a unit of lines into pieces that are parsed one at a time, of about so many bytes;
            None: a unit is parsed as a whole.
        framing: Makes what cuts a stream into units; unused for datagrams.
    """

    usage: Usage
    parser: Callable[[Mapping[str, str]], Parse]
    framing: Callable[[], Framing] = LineFraming
    cut: Cut | None = pieces_of_lines


def _statsd_of(options: Mapping[str, str]) -> statsd.StatsDParser:
    dialect = options.get("dialect", "statsd")
    if dialect not in ("statsd", "dogstatsd"):
        raise ValueError(f"dialect={dialect}: expected statsd or dogstatsd")
    return statsd.StatsDParser(sign_is_delta=dialect == "statsd")


def _statsd_parser(options: Mapping[str, str]) -> Parse:
    return _statsd_of(options).parse


def _collectd_parser(options: Mapping[str, str]) -> Parse:
    security = options.get("security", "none")
    if security not in collectd.SECURITY:
        raise ValueError(f"security={security}: expected one of {', '.join(collectd.SECURITY)}")
    passwords = collectd.parse_passwords(options.get("auth_file", ""))
    if security != "none" and not passwords:
        raise ValueError(f"security={security} needs auth_file, with lines `user: password`")
    return collectd.Receiver(security, passwords).parse


PROTOCOLS: dict[str, Spoken] = {
    "carbon": Spoken(
        Usage(("tcp", "udp", "unix", "unixstream", "fifo", "spool"), 2003),
        lambda options: carbon.parse_columns,  # noqa: ARG005
    ),
    "carbon+pickle": Spoken(
        Usage(("tcp", "unixstream"), 2004),
        lambda options: pickled.parse,  # noqa: ARG005
        LengthFraming,
        cut=None,
    ),
    "statsd": Spoken(
        Usage(
            ("udp", "tcp", "unix", "unixstream", "fifo", "spool"),
            8125,
            {
                "dialect": "statsd or dogstatsd: whether a gauge with a sign is moved or set",
                "names": "native, or statsd: what StatsD would have sent to Graphite",
                **dict.fromkeys(OPTION_NAMES, "as in StatsD's configuration, with names=statsd"),
            },
        ),
        _statsd_parser,
        StatsDFraming,
    ),
    "lines": Spoken(
        Usage(
            ("tcp", "udp", "unix", "unixstream", "fifo", "spool"),
            0,
            {"dialect": "of StatsD's lines: statsd or dogstatsd"},
        ),
        lambda options: MixedParser(_statsd_of(options)).parse,
    ),
    "gunicorn": Spoken(  # `gunicorn --statsd-host`: plain StatsD
        Usage(("udp", "unix"), 8125), _statsd_parser, framing=StatsDFraming
    ),
    "uwsgi": Spoken(  # `uwsgi --stats-push statsd:...`: StatsD with totals as counters
        Usage(("udp", "unix"), 8125),
        lambda options: AbsoluteCounters(_statsd_parser(options)).parse,
        framing=StatsDFraming,
    ),
    "influx": Spoken(
        Usage(("udp", "tcp", "unix", "unixstream"), 8089),
        lambda options: influx.parse,  # noqa: ARG005
        influx.PointFraming,
        influx.pieces,
    ),
    "opentsdb": Spoken(
        Usage(("tcp", "unix", "unixstream"), 4242),
        lambda options: opentsdb.parse,  # noqa: ARG005
    ),
    "collectd": Spoken(
        Usage(
            ("udp",),
            25_826,
            {
                "security": "none, sign or encrypt: what a packet must be",
                "auth_file": "path of collectd's file of users and passwords",
            },
        ),
        _collectd_parser,
        cut=None,
    ),
    "ganglia": Spoken(
        Usage(("udp",), 8_649),
        lambda options: ganglia.Receiver().parse,  # noqa: ARG005
        cut=None,
    ),
}


def usages() -> dict[str, Usage]:
    """What addresses may say, by protocol."""
    return {name: spoken.usage for name, spoken in PROTOCOLS.items()}
