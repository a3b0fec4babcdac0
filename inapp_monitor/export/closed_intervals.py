"""What happened in intervals that are over: the numbers that a live relay sends on.

An interval belongs to the moment at which it ends, so that each is read once, whatever its step.
The store is the queue: what could not be sent is read again later, as long as it is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from inapp_monitor.export.portions import Counted, Number, Portion
from inapp_monitor.export.running_totals import Series
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.process.gil_yield import GilYield
from inapp_monitor.ground.ranges import Leaf

#: Seconds of one portion at most: what is sent again when a connection breaks.
PORTION_S: Final = 300
#: Seconds after its end until which workers add to an interval, as a rule.
LATE_S: Final = 15
#: Every interval ends at a multiple of it, or is read with the next one that does.
STEP_S: Final = 10
#: What is older is not read any more: as long as the finest archive.
KEPT_S: Final = 6 * 3_600
_COARSER_S: Final = 60


def settled(now: float, late_s: int = LATE_S) -> int:
    """The moment up to which intervals are over, and complete."""
    moment = int(now) - late_s
    return moment - moment % STEP_S


def window(after: int, now: float, late_s: int = LATE_S) -> tuple[int, int] | None:
    """What may be read at once after a moment; None when nothing may be yet.

    It begins later where what follows the moment is not kept. It ends with a whole minute unless it
    ends now, so that the intervals of coarser archives are neither cut nor repeated.
    """
    latest = settled(now, late_s)
    after = max(after, settled(now - KEPT_S, late_s))
    if after >= latest:
        return None
    return after, min(latest, (after + PORTION_S) // _COARSER_S * _COARSER_S)


def read(store: Series, after: int, until: int, now: int) -> Portion:
    """What intervals that ended in that time hold. *Cost:* that of reading all series.

    Args:
        store: The series; those of Whisper files are others'.
        after: Exclusive, seconds since the epoch.
        until: Inclusive.
        now: Wall time.
    """
    portion = Portion(after, until)
    by_step: dict[int, list[Leaf]] = {}
    for leaf in store.leaves():
        found = store.retention_of(leaf.path) if leaf.kind != "whisper" else None
        if found is not None:
            by_step.setdefault(found[0].step, []).append(leaf)
    pause = GilYield()
    pause.begin()
    for step, leaves in by_step.items():
        window = (after - step, until - step, now)  # of the beginnings
        scalars = [leaf.path for leaf in leaves if leaf.kind == "scalar"]
        for answer in store.fetch(scalars, *window) if scalars else ():
            pause()
            for begin in _within(answer.start, len(answer.values), answer.step, step, portion):
                value = answer.values[(begin - answer.start) // answer.step]
                if value == value:
                    found_number = Number(answer.path, answer.method, begin, answer.step, value)
                    portion.numbers.append(found_number)
        for leaf in leaves:
            if leaf.kind == "distribution":
                pause()
                _add_distribution(store, leaf.path, step, window, portion)
    return portion


def _add_distribution(
    store: Series, path: str, step: int, window: tuple[int, int, int], portion: Portion
) -> None:
    answer = store.fetch_distribution(path, *window)
    if answer is None:
        return
    slots: Sequence[Histogram | None] = answer.slots
    for begin in _within(answer.start, len(slots), answer.step, step, portion):
        slot = slots[(begin - answer.start) // answer.step]
        if slot is not None and slot.count:
            portion.counted.append(Counted(path, begin, answer.step, slot))


def _within(start: int, count: int, step: int, finest: int, portion: Portion) -> Iterator[int]:
    """The beginnings of intervals that ended in the portion's time.

    Those of a coarser archive, where the finest does not go back that far, begin in it as well:
    what was sent before must not be sent again as a part of them.
    """
    for begin in range(start, start + count * step, step):
        is_whole = step == finest or begin >= portion.after
        if is_whole and portion.after < begin + step <= portion.until:
            yield begin
