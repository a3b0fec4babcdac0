"""How many notices people get: which are sent now, which together, and which wait. Pure.

Three limits, each with its reason:

    a state      more than 10 in an hour: one each 30 min; more than 20 in 3 hours: one an hour (a
                 problem that comes and goes is one piece of news; the levels are Moira's)
    a notifier   `max_per_hour`: further ones wait, and come as one
    a storm      more than 10 at once are one summary
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

HOUR_S = 3_600.0
#: More notices than that at once are one.
STORM = 10
_LEVELS = ((20, 3 * HOUR_S, HOUR_S), (10, HOUR_S, HOUR_S / 2))
#: For how long sent notices are looked at.
LOOK_BACK_S = 3 * HOUR_S

#: Rule and series.
Key = tuple[str, str]


class Waiting(NamedTuple):
    """A notice that has not been sent.

    Attributes:
        id: Its row.
        key: The state that it speaks of.
    """

    id: int
    key: Key


@dataclass(slots=True)
class Plan:
    """What to do now.

    Attributes:
        together: Rows, by the message that they become; those alone in one stay as they are.
        postponed: Until when the others wait, by row.
    """

    together: list[list[int]] = field(default_factory=list)
    postponed: dict[int, float] = field(default_factory=dict)


def plan(
    waiting: Sequence[Waiting],
    sent: Mapping[Key, Sequence[float]],
    now: float,
    max_per_hour: int,
) -> Plan:
    """Decide about the notices of one notifier.

    Args:
        waiting: In the order in which they were caused.
        sent: When messages were sent of each state in the last three hours.
    """
    made = Plan()
    last_hour = sorted(at for times in sent.values() for at in times if now - HOUR_S < at <= now)
    if len(last_hour) >= max_per_hour:
        free = last_hour[len(last_hour) - max_per_hour] + HOUR_S
        made.postponed = {each.id: free for each in waiting}
        return made
    ready: dict[Key, list[int]] = {}
    joined: set[Key] = set()
    for each in waiting:
        times = [at for at in sent.get(each.key, ()) if at <= now]
        delay_s = delay_of(times, now)
        if delay_s and now < max(times) + delay_s:
            made.postponed[each.id] = max(times) + delay_s
            continue
        ready.setdefault(each.key, []).append(each.id)
        if delay_s:
            joined.add(each.key)
    count = sum(1 if key in joined else len(ids) for key, ids in ready.items())
    if count > min(STORM, max_per_hour - len(last_hour)):
        made.together = [[each.id for each in waiting if each.id not in made.postponed]]
        return made
    alone = [[each.id] for each in waiting if each.key in ready and each.key not in joined]
    made.together = sorted([*alone, *(ready[key] for key in joined)])
    return made


def delay_of(times: Sequence[float], now: float) -> float:
    """Seconds between two messages of a state about which so many were sent."""
    for most, span_s, delay_s in _LEVELS:
        if sum(now - span_s < at <= now for at in times) > most:
            return delay_s
    return 0.0
