"""The slowest requests of each route, of all workers and those before them; bounded in number, age.

Each worker knows its own (`recorder.slowest`); here they meet in the file `DATA_DIR/slowest`: a
line a route and method, `slug<TAB>method<TAB>latest start<TAB>[[ms, path, started, status, issue],
...]`, slowest first. Who has news merges them into the lines they belong to, copies the others
unread, and puts the whole in place by a rename, under a lock that nobody waits for. Small and
rare, since a request must be slower than what is there already. No database: a worker of an app
without errors does not load one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inapp_monitor.ground import data_directory, private_files, wsgi_text
from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.file_lock import LockFile
from inapp_monitor.recorder.recorder import Recorder
from inapp_monitor.recorder.slowest import KEPT, MAX_AGE_S, Key, Slow

FILE_NAME = "slowest"
#: Holds when all was cleared last, in seconds since the epoch.
CLEARED_NAME = "slowest-cleared"
#: Seconds between two merges by one worker.
INTERVAL_S = 5.0
#: The file is not read past this; routes that were not slow for longest go first.
MAX_SIZE_BYTES = 2 * 2**20
_MAX_STATUS = 60
#: What `_line` writes, as far as it can be seen without reading the entries.
_LINE = re.compile(rb"[!-~]+\t[!-~]+\t[0-9]+\t\[\[[ -~]*\]\]", re.ASCII)


@dataclass(frozen=True, slots=True)
class SlowestFacts:
    """The slowest requests of the last hour, the slowest first, see `SlowRequests.rows`."""

    slowest: Sequence[Mapping[str, Any]] = ()


class SlowRequests:
    """The slowest requests that the workers of one data directory answered.

    Args:
        recorder: Knows this worker's.
        clean: Takes secrets out of a path.
        damaged: Called with what was done when the file held what nobody has written.

    *Threads:* `share` is for one thread at a time, `rows` for any.
    """

    def __init__(
        self,
        data_dir: Path,
        clock: Clock,
        recorder: Recorder,
        clean: Callable[[str], str],
        damaged: Callable[[str], object] = str,
    ) -> None:
        self._path = data_dir / FILE_NAME
        self._clock = clock
        self._recorder = recorder
        self._clean = clean
        self._damaged = damaged
        self._waiting: set[Key] = set()
        self._shared_at = float("-inf")

    def share(self, *, at_once: bool = False) -> bool:
        """Merge this worker's news into the file, unless that was done lately.

        Returns:
            Whether the file was tried.

        Raises:
            OSError: it cannot be written; the news are kept for the next time.
        """
        self._waiting |= self._recorder.slowest.take_changed()
        now = self._clock.perf()
        if not self._waiting or (now - self._shared_at < INTERVAL_S and not at_once):
            return False
        self._shared_at = now
        data_directory.prepare(self._path.parent)
        lock = LockFile(self._path.with_suffix(".lock"))
        try:
            if lock.acquire():  # else another worker is at it: next time
                self._merge()
                self._waiting = set()
        finally:
            lock.close()
        return True

    def rows(self) -> list[dict[str, object]]:
        """All of the last hour as plain data (`slug`, `method`, `ms`, `path`, `started`, `status`,
        `issue`), slowest first."""
        tables = stored(self._path.parent, self._clock.wall())
        oldest = _oldest(self._path.parent, self._clock.wall())
        for key, own in self._recorder.slowest.tables().items():
            tables[key] = _slowest([*tables.get(key, ()), *map(self._cleaned, own)], oldest)
        return as_rows(tables)

    def _merge(self) -> None:
        oldest = _oldest(self._path.parent, self._clock.wall())
        mine = self._recorder.slowest.tables()
        lines: list[tuple[float, bytes]] = []
        changed = {_name(key): key for key in self._waiting}
        self._set_aside_damage()
        for line in _lines(self._path):
            name, latest = line.rsplit(b"\t", 2)[0], _latest(line)
            key = changed.pop(name, None)
            if key is not None:
                found = _slowest([*_parsed(line), *map(self._cleaned, mine.get(key, ()))], oldest)
                lines += _line(key, found)
            elif latest >= oldest:
                lines.append((latest, line))
        for key in changed.values():
            lines += _line(key, _slowest(map(self._cleaned, mine.get(key, ())), oldest))
        private_files.replace(self._path, _bounded(lines))

    def _set_aside_damage(self) -> None:
        """Keep a copy of a damaged file: what is sound in it goes on. Needs the lock."""
        try:
            data = private_files.read(self._path, MAX_SIZE_BYTES)
        except FileNotFoundError:
            return
        if data and not all(map(_LINE.fullmatch, data.removesuffix(b"\n").split(b"\n"))):
            kept = self._path.with_name(f"{FILE_NAME}.bad-{int(self._clock.wall())}")
            private_files.replace(kept, data)
            self._damaged(f"what was sound is kept; a copy is in {kept.name}")

    def _cleaned(self, slow: Slow) -> Slow:
        status = slow.status if slow.status is None else slow.status[:_MAX_STATUS]
        return slow._replace(path=self._clean(wsgi_text.decode(slow.path)), status=status)


def stored(data_dir: Path, now: float) -> dict[Key, list[Slow]]:
    """What all workers have shared, by route and method; nothing of an unreadable file."""
    try:
        lines = _lines(data_dir / FILE_NAME)
    except OSError:
        return {}
    oldest = _oldest(data_dir, now)
    tables: dict[Key, list[Slow]] = {}
    for line in lines:
        slug, method = line.decode("utf-8", "replace").split("\t")[:2]
        tables[slug, method] = _slowest(_parsed(line), oldest)
    return tables


def clear(data_dir: Path, now: float) -> None:
    """Forget all that began until now, also what running workers remember.

    Raises:
        OSError: the disk refused.
    """
    private_files.replace(data_dir / CLEARED_NAME, b"%.3f\n" % now)
    if (data_dir / FILE_NAME).exists():
        private_files.replace(data_dir / FILE_NAME, b"")


def _oldest(data_dir: Path, now: float) -> float:
    """From when on requests count: of the last hour, and not before they were cleared."""
    try:
        cleared = float(private_files.read(data_dir / CLEARED_NAME, 64))
    except (OSError, ValueError):
        cleared = 0.0
    return max(now - MAX_AGE_S, min(cleared, now))


def as_rows(tables: dict[Key, list[Slow]]) -> list[dict[str, object]]:
    """Tables as plain data, slowest first."""
    found: list[tuple[float, dict[str, object]]] = [
        (-slow.ms, {"slug": slug, "method": method, **slow._asdict()})
        for (slug, method), table in tables.items()
        for slow in table
    ]
    found.sort(key=lambda entry: entry[0])
    return [row for _, row in found]


def _slowest(entries: Iterable[Slow], oldest: float) -> list[Slow]:
    """The slowest few, each once: a worker's own come back from the file."""
    once = {(e.ms, e.started): e for e in entries if e.started >= oldest}
    return sorted(once.values(), key=lambda entry: -entry.ms)[:KEPT]


def _lines(path: Path) -> list[bytes]:
    """The whole lines of the file; [] when there is none.

    Raises:
        OSError: it is there and cannot be read.
    """
    try:
        data = private_files.read(path, MAX_SIZE_BYTES)
    except FileNotFoundError:
        return []
    return [line for line in data.split(b"\n")[:-1] if line.count(b"\t") == 3]


def _name(key: Key) -> bytes:
    return f"{key[0]}\t{key[1]}".encode("ascii", "replace")


def _latest(line: bytes) -> float:
    try:
        return float(line.rsplit(b"\t", 2)[1])
    except ValueError:
        return 0.0


def _parsed(line: bytes) -> list[Slow]:
    """The entries of a line; [] when it is garbled."""
    try:
        return [_slow(*entry) for entry in json.loads(line.rsplit(b"\t", 1)[1])]
    except (ValueError, TypeError, RecursionError):
        return []


def _slow(ms: Any, path: Any, started: Any, status: Any, issue: Any) -> Slow:
    status = None if status is None else str(status)
    return Slow(float(ms), str(path), float(started), status, str(issue) if issue else None)


def _line(key: Key, entries: list[Slow]) -> list[tuple[float, bytes]]:
    """The line of a table with its latest start; nothing for an empty one."""
    if not entries:
        return []
    latest = max(entry.started for entry in entries)
    text = json.dumps(entries, separators=(",", ":"))
    return [(latest, b"\t".join((_name(key), b"%d" % latest, text.encode())))]


def _bounded(lines: list[tuple[float, bytes]]) -> bytes:
    lines.sort(key=lambda entry: -entry[0])
    room, kept = MAX_SIZE_BYTES, []
    for _, line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line + b"\n")
    return b"".join(kept)
