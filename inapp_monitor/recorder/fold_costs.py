"""What folding costs a request once it is warm: the median over the latest folds.

The first folds of a process load code and touch new memory; a mean would carry them for hours.
"""

from __future__ import annotations

from collections import deque

#: Folds that are looked at: a few minutes of them.
_FOLDS = 256


class FoldCosts:
    """Requests and seconds of a processor of the latest folds.

    *Threads:* one adds, any reads.
    """

    def __init__(self) -> None:
        self._folds: deque[tuple[int, float]] = deque(maxlen=_FOLDS)

    def add(self, requests: int, cpu_s: float) -> None:
        """A fold of so many requests took so many seconds."""
        if requests:
            self._folds.append((requests, cpu_s))

    def median_us(self) -> float:
        """Microseconds a request: half of the requests were folded for less; 0.0 for none."""
        folds = sorted((cpu_s / requests, requests) for requests, cpu_s in self._folds.copy())
        half = sum(requests for _, requests in folds) / 2
        for each_s, requests in folds:
            half -= requests
            if half <= 0:
                return each_s * 1e6
        return 0.0
