"""How many requests of a key one process accepts: a token bucket a key.

SDKs obey the answer: they drop what they have for so long, count it, and send the count later.
"""

from __future__ import annotations

import math
import threading

#: Keys with a bucket of their own; those that are known are fewer.
_MOST = 1_000


class RateLimit:
    """Token buckets by key. *Threads:* any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait_s(self, key: str, per_minute: int, now: float) -> int:
        """0 when one more request may come, else the whole seconds until it may.

        Args:
            key: Whose bucket.
            per_minute: What flows into it; it holds half of that, and at least ten.
            now: Seconds of a clock that never goes back.
        """
        capacity = max(per_minute / 2, 10.0)
        rate = per_minute / 60
        with self._lock:
            if key not in self._buckets and len(self._buckets) >= _MOST:
                self._buckets.clear()
            level, since = self._buckets.get(key, (capacity, now))
            level = min(capacity, level + max(now - since, 0.0) * rate)
            if level >= 1:
                self._buckets[key] = (level - 1, now)
                return 0
            self._buckets[key] = (level, now)
        return min(max(math.ceil((1 - level) / rate), 1), 60)

    def forked(self) -> None:
        """In a child process: a thread of the parent may hold the lock."""
        self._lock = threading.Lock()
