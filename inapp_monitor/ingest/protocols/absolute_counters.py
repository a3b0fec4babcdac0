"""StatsD's counters of senders that push their totals again and again, as uWSGI does. Pure.

A total is no number of new events: what is counted is what it grew by. The first total of a name is
where counting begins; a lower one than before means that the sender began anew at zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from inapp_monitor.ingest.protocols.parsed import COUNTER, Parsed, Sample

#: Names whose last total is remembered.
MAX_NAMES: Final = 10_000


class AbsoluteCounters:
    """Parses for one door.

    Args:
        parse: Of StatsD's lines.

    *Threads:* one at a time.
    """

    def __init__(self, parse: Callable[[bytes, float], Parsed]) -> None:
        self._parse = parse
        self._totals: dict[str, float] = {}

    def parse(self, data: bytes, now: float) -> Parsed:
        """The samples of some whole lines, counters as what they grew by."""
        parsed = self._parse(data, now)
        samples: list[Sample] = []
        for sample in parsed.samples:
            kind, name, value, _ = sample
            if kind != COUNTER or isinstance(value, str):
                samples.append(sample)
                continue
            grown = self._grown(name, value)
            if grown is None:
                parsed.note("first total")
            else:
                samples.append((kind, name, grown, 1.0))
        parsed.samples = samples
        return parsed

    def _grown(self, name: str, total: float) -> float | None:
        before = self._totals.pop(name, None)
        self._totals[name] = total
        if len(self._totals) > MAX_NAMES:
            del self._totals[next(iter(self._totals))]
        if before is None:
            return None
        return total - before if total >= before else total
