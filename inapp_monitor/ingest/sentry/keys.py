"""The keys of SDKs: one for each place that sends, with its project, origins and rate.

They are kept in `DATA_DIR/sentry_keys.json` (mode 0600), which every worker and the command line
read; a change is seen at the next request, because the file is then another one. A key only lets
its holder write: the one of a browser is public.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from inapp_monitor.ground import private_files
from inapp_monitor.ground.exceptions import FormatError, MonitorError
from inapp_monitor.ground.file_lock import LockFile
from inapp_monitor.ingest.sentry.authentication import KEY
from inapp_monitor.ingest.sentry.facts import KEYS_FILE

MAX_KEYS = 200
#: Requests a minute, of all workers, unless a key says otherwise; half of them may come at once.
DEFAULT_PER_MINUTE = 600
MAX_PER_MINUTE = 1_000_000
_MAX_FILE = 2**20
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_ORIGIN = re.compile(r"\*|(https?://)?(\*\.)?[a-z0-9.-]{1,200}(:\d{1,5})?")


@dataclass(frozen=True, slots=True)
class Key:
    """One key.

    Attributes:
        key: As it stands in the DSN.
        project: Its name, shown with every event.
        number: Of the project, the last part of the DSN.
        created: Seconds since 1970 UTC.
        revoked: When it was revoked; 0 while it is good.
        origins: Pages of which other origins may send with it: `https://shop.example`,
            `*.example.com`, or `*`; empty: those of the setting.
        per_minute: Requests a minute that a worker accepts.
    """

    key: str
    project: str
    number: int
    created: float
    revoked: float = 0.0
    origins: tuple[str, ...] = ()
    per_minute: int = DEFAULT_PER_MINUTE


class Keys:
    """The keys of a data directory.

    *Threads:* any. *Cost:* of `find` one `stat`.
    """

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / KEYS_FILE
        self._known: dict[str, Key] = {}
        self._seen: tuple[int, int, int] | None = None

    def find(self, key: str) -> Key | None:
        """The key of this text, revoked ones included; None when there is none.

        Raises:
            FormatError: the file cannot be understood.
            OSError: it cannot be read.
        """
        return self._load().get(key) if KEY.fullmatch(key) else None

    def all(self) -> list[Key]:
        """All keys, by project.

        Raises:
            FormatError, OSError: as for `find`.
        """
        return sorted(self._load().values(), key=lambda each: (each.number, each.created))

    def make(
        self,
        project: str,
        now: float,
        *,
        key: str = "",
        origins: Sequence[str] = (),
        per_minute: int = DEFAULT_PER_MINUTE,
    ) -> Key:
        """A new key of a project, which is made with its first one.

        Args:
            project: Letters, digits, `_`, `-` and `.`.
            now: Seconds since 1970 UTC.
            key: One of another installation that goes on here; default: a new one.
            origins, per_minute: See `Key`.

        Raises:
            MonitorError: an argument that cannot be, or too many keys.
            OSError: the file cannot be written.
        """
        if not _PROJECT.fullmatch(project):
            raise MonitorError(
                f"project {project!r} must be letters, digits, '_', '-' and '.', at most 40"
            )
        if key and not KEY.fullmatch(key):
            raise MonitorError(f"key {key!r} must be 16 to 64 letters, digits, '-' and '_'")
        origins = checked_origins(origins)
        if not 1 <= per_minute <= MAX_PER_MINUTE:
            raise MonitorError(f"per_minute must be from 1 to {MAX_PER_MINUTE}, got {per_minute}")

        def add(known: dict[str, Key]) -> Key:
            if key in known:
                raise MonitorError(f"key {key!r} is there already")
            if len(known) >= MAX_KEYS:
                raise MonitorError(f"there are {MAX_KEYS} keys already: delete revoked ones first")
            number = next(
                (each.number for each in known.values() if each.project == project),
                max((each.number for each in known.values()), default=0) + 1,
            )
            text = key or os.urandom(16).hex()
            made = Key(text, project, number, now, 0.0, tuple(origins), per_minute)
            known[text] = made
            return made

        return self._change(add)

    def revoke(self, key: str, now: float) -> Key:
        """Refuse a key from now on; it stays in the list.

        Raises:
            MonitorError: there is none like it.
        """
        return self._replace(key, lambda found: replace(found, revoked=found.revoked or now))

    def delete(self, key: str) -> Key:
        """Take a key out of the list.

        Raises:
            MonitorError: there is none like it.
        """

        def remove(known: dict[str, Key]) -> Key:
            if key not in known:
                raise MonitorError(f"no key {key!r}")
            return known.pop(key)

        return self._change(remove)

    def set_limits(self, key: str, origins: Sequence[str], per_minute: int) -> Key:
        """Change which origins may use a key, and how often.

        Raises:
            MonitorError: there is none like it, or an argument that cannot be.
        """
        allowed = checked_origins(origins)
        if not 1 <= per_minute <= MAX_PER_MINUTE:
            raise MonitorError(f"per_minute must be from 1 to {MAX_PER_MINUTE}, got {per_minute}")
        return self._replace(
            key, lambda found: replace(found, origins=allowed, per_minute=per_minute)
        )

    def _replace(self, key: str, change: Callable[[Key], Key]) -> Key:
        def apply(known: dict[str, Key]) -> Key:
            if key not in known:
                raise MonitorError(f"no key {key!r}")
            known[key] = change(known[key])
            return known[key]

        return self._change(apply)

    def _change(self, change: Callable[[dict[str, Key]], Key]) -> Key:
        """Read, change and write, one process at a time."""
        lock = LockFile(self.path.with_name(f"{KEYS_FILE}.lock"))
        try:
            if not lock.acquire():
                raise MonitorError("another process is changing the keys: try again")
            known = dict(self._load(anew=True))
            result = change(known)
            document = {"version": 1, "keys": [asdict(key) for key in known.values()]}
            private_files.replace_secret(self.path, json.dumps(document, indent=1).encode())
            return result
        finally:
            lock.close()

    def _load(self, *, anew: bool = False) -> dict[str, Key]:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            self._known, self._seen = {}, None
            return self._known
        seen = (found.st_ino, found.st_mtime_ns, found.st_size)
        if anew or seen != self._seen:
            self._known = _parse(private_files.read_secret(self.path, _MAX_FILE))
            self._seen = seen
        return self._known


def checked_origins(origins: Sequence[str]) -> tuple[str, ...]:
    """Origins as they are compared: lower case, without a slash at the end.

    Raises:
        MonitorError: one that cannot be an origin.
    """
    cleaned = tuple(origin.strip().lower().rstrip("/") for origin in origins if origin.strip())
    for origin in cleaned[:50]:
        if not _ORIGIN.fullmatch(origin):
            raise MonitorError(
                f"origin {origin!r} must be like https://shop.example, *.example.com or *"
            )
    return cleaned[:50]


def _parse(data: bytes) -> dict[str, Key]:
    try:
        document = json.loads(data)
        rows = [Key(**{**row, "origins": tuple(row["origins"])}) for row in document["keys"]]
        known = {row.key: row for row in rows if KEY.fullmatch(row.key) and type(row.number) is int}
        if document["version"] != 1 or len(known) != len(rows):
            raise ValueError("of another version")
    except (ValueError, TypeError, KeyError) as error:
        why = f"{KEYS_FILE} cannot be understood ({error}): mend it, or remove it and make new keys"
        raise FormatError(why) from None
    return known
