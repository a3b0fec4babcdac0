"""How many requests of a key all workers together accept: a token bucket a key, in a file.

SDKs obey the answer: they drop what they have for so long, count it, and send the count later.

The file has a slot a key, which is locked for some microseconds. Nobody waits for a lock that is
held for longer, by a process that was stopped, say, nor for a disk that is gone: for that time this
process counts alone, going on from what it read last.
"""

from __future__ import annotations

import hashlib
import math
import os
import struct
import threading
from pathlib import Path

from inapp_monitor.ground.file_lock import LockFile

FILE_NAME = "sentry_rates"
#: Keys with a bucket of their own; those that are known are fewer.
SLOTS = 512
#: Slots that are looked at for a key.
_PROBES = 8
#: Whose slot it is, what its bucket held, and when (seconds of a clock since the machine started).
_SLOT = struct.Struct("<8sdd")
#: How often a lock is tried; each takes a microsecond or two.
TRIES = 50
#: A process may read the clock before another one and get the lock after it.
_OVERTAKEN_S = 5.0

#: What a bucket held, and when.
Bucket = tuple[float, float]


class RateLimit:
    """Token buckets by key. *Threads:* any.

    Args:
        data_dir: Where the file is that all workers share.
        tries: How often a lock that is held is tried.
    """

    def __init__(self, data_dir: Path, tries: int = TRIES) -> None:
        self._tries = tries
        self._path = data_dir / FILE_NAME
        self._lock = threading.Lock()
        self._file: LockFile | None = None
        self._alone: dict[str, Bucket] = {}
        #: Requests accepted alone, which the file does not know of yet.
        self._owed: dict[str, int] = {}

    def wait_s(self, key: str, per_minute: int, now: float) -> int:
        """0 when one more request may come, else the whole seconds until it may.

        Args:
            key: Whose bucket.
            per_minute: What flows into it; it holds half of that, and at least ten.
            now: Seconds of a clock that never goes back, the same in all processes.

        *Cost:* 20 us; 1 us where it is refused again.
        """
        capacity, rate = max(per_minute / 2, 10.0), per_minute / 60
        with self._lock:
            most = self._most(key, capacity, rate, now)
            if most < 1:
                return _wait_s(most, rate)
            try:
                level = self._shared(key, capacity, rate, now)
            except OSError:
                level = None
            if level is None:
                level, bucket = _taken(self._alone.get(key), capacity, rate, now)
                self._keep(key, bucket)
                if level >= 1:
                    self._owed[key] = self._owed.get(key, 0) + 1
        return _wait_s(level, rate)

    def _most(self, key: str, capacity: float, rate: float, now: float) -> float:
        """What the bucket holds at most: since it was last seen, others only took from it.

        In a storm most requests are refused by this, without a look into the file; not while the
        file does not know yet what was accepted alone.
        """
        known = None if self._owed.get(key) else self._alone.get(key)
        return capacity if known is None else _taken(known, capacity, rate, now)[0]

    def _shared(self, key: str, capacity: float, rate: float, now: float) -> float | None:
        """What the bucket in the file held; None when the file is not to be had."""
        file = self._opened()
        if not any(file.acquire(0, 1) for _ in range(self._tries)):
            return None
        try:
            name = hashlib.blake2b(key.encode(), digest_size=8).digest()
            place, known = self._slot(file, name)
            level, bucket = _taken(known, capacity, rate, now, self._owed.pop(key, 0))
            os.pwrite(file.descriptor, _SLOT.pack(name, *bucket), place)
        finally:
            file.release(0, 1)
        self._keep(key, bucket)
        return level

    def _opened(self) -> LockFile:
        if self._file is None or not self._file.is_at(self._path):
            self._file = LockFile(self._path)
        return self._file

    def _slot(self, file: LockFile, name: bytes) -> tuple[int, Bucket | None]:
        """Where the bucket of a key is, and what is in it; the oldest of its places when none is
        free."""
        first = int.from_bytes(name[:4], "little") % SLOTS
        found: list[tuple[float, int]] = []
        for step in range(_PROBES):
            place = (first + step) % SLOTS * _SLOT.size
            data = os.pread(file.descriptor, _SLOT.size, place)
            if len(data) < _SLOT.size or not any(data[:8]):
                found.append((-math.inf, place))
                continue
            owner, level, since = _SLOT.unpack(data)
            if owner == name:
                return place, (level, since)
            found.append((since if math.isfinite(since) else -math.inf, place))
        return min(found)[1], None

    def _keep(self, key: str, bucket: Bucket) -> None:
        if key not in self._alone and len(self._alone) >= SLOTS:
            self._alone.clear()
            self._owed.clear()
        self._alone[key] = bucket

    def forked(self) -> None:
        """In a child process: a thread of the parent may hold the lock."""
        self._lock = threading.Lock()
        self._file = None
        self._owed.clear()


def _wait_s(level: float, rate: float) -> int:
    return 0 if level >= 1 else min(max(math.ceil((1 - level) / rate), 1), 60)


def _taken(
    known: Bucket | None, capacity: float, rate: float, now: float, owed: int = 0
) -> tuple[float, Bucket]:
    """What a bucket holds now, and the bucket when one has been taken, if one could be."""
    level, since = known or (capacity, now)
    if not (level >= 0 and since <= now + _OVERTAKEN_S):  # damaged, or the machine started again
        level, since = capacity, now
    level = max(min(capacity, level + max(now - since, 0.0) * rate) - owed, 0.0)
    return level, (level - 1 if level >= 1 else level, max(now, since))
