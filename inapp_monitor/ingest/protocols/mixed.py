"""Lines of Carbon and of StatsD in any order, for FIFOs, spool files and shell scripts. Pure.

A line that has a bar after a colon, or begins as an event or a check of DogStatsD, is StatsD's.
"""

from __future__ import annotations

import re

from inapp_monitor.ingest.protocols import carbon
from inapp_monitor.ingest.protocols.parsed import Parsed
from inapp_monitor.ingest.protocols.statsd import StatsDParser

_IS_STATSD = re.compile(r"_e\{|_sc\||[^:|]+:[^|]*\|")


class MixedParser:
    """Parses for one door."""

    def __init__(self, statsd: StatsDParser) -> None:
        self._statsd = statsd

    def parse(self, data: bytes, now: float) -> Parsed:
        """The points and samples of some whole lines; the last one need not end."""
        parsed = Parsed()
        for line in data.split(b"\n"):
            try:
                text = line.decode()
            except UnicodeDecodeError:
                parsed.lines += 1
                parsed.reject("encoding", line)
            else:
                if _IS_STATSD.match(text):
                    self._statsd.parse_line(text, parsed)
                else:
                    carbon.parse_line(text, now, parsed)
        return parsed
