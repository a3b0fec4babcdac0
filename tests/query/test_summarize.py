"""Series that are summarized together are summarized as each is alone."""

from __future__ import annotations

import random

import numpy as np
import pytest

from inapp_monitor.query.aggregation import AGGREGATIONS
from inapp_monitor.query.evaluate import evaluate
from inapp_monitor.query.functions import resample
from inapp_monitor.query.memory_source import MemorySource
from inapp_monitor.query.request import RenderRequest
from inapp_monitor.query.series import Series
from inapp_monitor.query.sources import Window

NOW = 1_700_000_000


class Mixed(MemorySource):
    """Series of several grids, some of them next to others of the same one."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.series = []
        for _ in range(6):
            step, length = chance.choice([7, 10, 60, 300]), chance.choice([0, 1, 2, 40, 200])
            start = NOW - chance.randrange(5_000) * chance.choice([1, step])
            end = start + step * length + chance.choice([0, 0, -step, 3])
            factor = chance.choice([0.0, 0.0, 0.5])
            for _ in range(chance.randrange(1, 5)):
                unknown = [chance.random() < 0.2 for _ in range(length)]
                values = np.where(unknown, np.nan, [chance.random() for _ in range(length)])
                name = f"s{len(self.series)}"
                made = Series(name, start, end, step, values, x_files_factor=factor)
                self.series.append(made)

    def fetch(self, pattern: str, window: Window) -> list[Series]:
        """Those with the name, or all."""
        return [s for s in self.series if pattern in ("*", s.name)]


@pytest.mark.parametrize("seed", range(20))
def test_together_as_alone(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name, grid and every value to the last bit, however many are joined at once."""
    chance = random.Random(seed)
    monkeypatch.setattr(resample, "VALUES_AT_ONCE", chance.choice([1, 500, 2**15]))
    source, func = Mixed(chance), chance.choice(AGGREGATIONS)
    interval, align = chance.choice(["7s", "1min", "10min", "1h"]), chance.choice(["", ",true"])
    request = RenderRequest(start=NOW - 9_000, end=NOW, now=NOW)

    def summarized(pattern: str) -> list[Series]:
        return evaluate([f'summarize({pattern},"{interval}","{func}"{align})'], request, source)

    together, alone = summarized("*"), [summarized(s.name)[0] for s in source.series]
    assert [(s.name, s.start, s.end, s.step) for s in together] == [
        (s.name, s.start, s.end, s.step) for s in alone
    ]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
