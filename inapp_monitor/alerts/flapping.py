"""Whether a state flaps: the weighted share of changes among the last 21 states. Pure.

Nagios's formula: each change among the 20 neighbours weighs 0.75 (oldest) to 1.25 (newest); the
share is their sum over 20. At 20 % and more a service flaps, at 5 % and less it no longer does.
Source: Nagios Core, "Detection and Handling of State Flapping", and base/flapping.c.
"""

from __future__ import annotations

from collections.abc import Sequence

KEPT = 21
LOW_PERCENT = 5.0
HIGH_PERCENT = 20.0
_OLDEST, _NEWEST = 0.75, 1.25


def change_percent(history: Sequence[int]) -> float:
    """The share of changes in per cent.

    Args:
        history: States, the oldest first. Only the last 21 count; before the first known state
            there was OK (0).
    """
    last = [0] * (KEPT - len(history)) + list(history[-KEPT:])
    changes = 0.0
    for age in range(KEPT - 1):
        if last[age] != last[age + 1]:
            changes += age * (_NEWEST - _OLDEST) / (KEPT - 2) + _OLDEST
    return changes * 100 / (KEPT - 1)


def is_flapping(
    percent: float, before: bool, low: float = LOW_PERCENT, high: float = HIGH_PERCENT
) -> bool:
    """Whether it flaps now; between the two limits it stays as it was."""
    return before if low < percent < high else percent >= high
