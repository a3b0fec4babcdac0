"""Which routes have become slower of late: their requests are then profiled sooner. No I/O.

Of each route two running means of the logarithm of durations: one of the last few requests, one of
the last sixty. A single slow request moves neither far; of a change, both know after a while.
"""

from __future__ import annotations

import math
from typing import Final

#: A route has risen while its last requests take so many times as long as usual.
RISE: Final = 1.5
#: Weights of a request in the two means.
_LATELY, _USUALLY = 1 / 4, 1 / 60
#: Routes and methods that are followed.
MAX_ROUTES: Final = 1_000


class Pace:
    """The routes of one process. *Threads:* for the one that folds."""

    def __init__(self) -> None:
        self._means: dict[tuple[str, str], list[float]] = {}

    def has_risen(self, key: tuple[str, str], ms: float) -> bool:
        """Note a request of a route and method that took so long. Returns whether the route is
        slower than it was. *Cost:* 0.3 us."""
        log = math.log(max(ms, 0.0) + 1.0)
        means = self._means.get(key)
        if means is None:
            if len(self._means) < MAX_ROUTES:
                self._means[key] = [log, log, 1.0]
            return False
        means[2] = seen = means[2] + 1.0
        # Of the first requests a plain mean: a cold start must not be what is usual.
        lately = means[0] = means[0] + (log - means[0]) * max(_LATELY, 1.0 / seen)
        means[1] += (log - means[1]) * max(_USUALLY, 1.0 / seen)
        return lately - means[1] > _LOG_RISE

    def clear(self) -> None:
        """Forget all: it is another process's."""
        self._means.clear()


_LOG_RISE: Final = math.log(RISE)
