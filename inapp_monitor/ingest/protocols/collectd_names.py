"""Series names of what collectd sends, as its own plugin write_graphite makes them. Pure.

`HOST.PLUGIN-INSTANCE.TYPE-INSTANCE.DATASOURCE`, dots and white space of a part as `_`; the data
source is there where a type has several. Whichever plugin a value comes by, its series is the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

_ESCAPED = re.compile(r"[\s.\x00-\x1f\x7f]")
#: Data sources of the types that have several, as types.db of collectd 5.12 names them; the network
#: protocol does not carry these names.
_SOURCES: Final[dict[str, tuple[str, ...]]] = {
    "compression": ("uncompressed", "compressed"),
    "df": ("used", "free"),
    "disk_io_time": ("io_time", "weighted_io_time"),
    "dns_octets": ("queries", "responses"),
    "domain_state": ("state", "reason"),
    "load": ("shortterm", "midterm", "longterm"),
    "ps_count": ("processes", "threads"),
    "ps_cputime": ("user", "syst"),
    "ps_pagefaults": ("minflt", "majflt"),
    "smart_attribute": ("current", "worst", "threshold", "pretty"),
    "vmpage_faults": ("minflt", "majflt"),
    "vmpage_io": ("in", "out"),
    "voltage_threshold": ("value", "threshold"),
    "arc_counts": ("demand_data", "demand_metadata", "prefetch_data", "prefetch_metadata"),
    "arc_size": ("current", "target", "minlimit", "maxlimit"),
    "mysql_qcache": ("hits", "inserts", "not_cached", "lowmem_prunes", "queries_in_cache"),
    "mysql_threads": ("running", "connected", "cached", "created"),
    **dict.fromkeys(
        (
            *("disk_latency", "disk_merged", "disk_octets", "disk_ops", "disk_time", "io_ops"),
            *("ps_disk_octets", "ps_disk_ops", "arc_l2_bytes"),
        ),
        ("read", "write"),
    ),
    **dict.fromkeys(
        (
            *("if_dropped", "if_errors", "if_octets", "if_packets", "io_octets", "io_packets"),
            *("memcached_octets", "mysql_octets", "node_octets", "serial_octets"),
        ),
        ("rx", "tx"),
    ),
    **dict.fromkeys(("vf_bytes", "vf_dropped", "vf_packets"), ("vf_rx", "vf_tx")),
}


class Identifier(NamedTuple):
    """Whose values they are."""

    host: str
    plugin: str
    plugin_instance: str
    type: str
    type_instance: str


def sources_of(type_name: str, count: int) -> Sequence[str]:
    """Names of a type's data sources; numbers where the type is not known."""
    if count == 1:
        return ("",)
    known = _SOURCES.get(type_name, ())
    return known if len(known) == count else [f"value{number}" for number in range(count)]


def name_of(identifier: Identifier, source: str = "") -> str:
    """The series' name.

    Args:
        source: Of the data sources of a type; "" where it has one only.
    """
    host, plugin, plugin_instance, type_name, type_instance = map(_part, identifier)
    nodes = [
        host,
        f"{plugin}-{plugin_instance}" if plugin_instance else plugin,
        f"{type_name}-{type_instance}" if type_instance else type_name,
    ]
    return ".".join([*nodes, _part(source)] if source else nodes)


def identifier_of(text: str) -> Identifier | None:
    """The parts of `host/plugin-instance/type-instance`; None when it is none."""
    parts = text.split("/", 2)
    if len(parts) != 3 or not all(parts):
        return None
    plugin, _, plugin_instance = parts[1].partition("-")
    type_name, _, type_instance = parts[2].partition("-")
    return Identifier(parts[0], plugin, plugin_instance, type_name, type_instance)


def _part(text: str) -> str:
    return _ESCAPED.sub("_", text)
