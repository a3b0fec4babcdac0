"""`from inapp_monitor.compat.statsd import StatsClient`: the signatures of the package `statsd`.

No server and no socket: what is counted goes to the monitor of the process, as by
`inapp_monitor.metrics`. Hosts, ports and paths are accepted and have no meaning; a misuse is
counted and shown with its line of code, and raises nothing; `rate` samples nothing.
"""

from inapp_monitor.compat.statsd.clients import (
    Pipeline,
    StatsClient,
    StatsTimer,
    TCPStatsClient,
    UnixSocketStatsClient,
)

__all__ = ["Pipeline", "StatsClient", "StatsTimer", "TCPStatsClient", "UnixSocketStatsClient"]
