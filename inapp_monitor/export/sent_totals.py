"""What the counters of one destination have grown to, for engines that want totals, not rises.

A small file beside that of the position. It is written once the peer has what it is the end of, or
has refused it: the next total holds that, too, and never falls. A portion that comes again after
`kill -9` finds its intervals in it, and is not sent a second time.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from inapp_monitor.export.portions import Portion
from inapp_monitor.export.progress_file import Written, ignore
from inapp_monitor.export.totals import Totals, pack, parse_totals
from inapp_monitor.ground import private_files
from inapp_monitor.ground.destination import Destination

_MAX_FILE_BYTES: Final = 64 * 2**20


def totals_path(data_dir: Path, destination: Destination) -> Path:
    """The file of a destination."""
    return data_dir / "export" / f"{destination.node}_totals"


class SentTotals:
    """The totals of one destination.

    Args:
        path: Their file.
        written: See `progress_file.Written`.

    *Threads:* for the forwarder's alone.
    """

    def __init__(self, path: Path, written: Written = ignore) -> None:
        self._path = path
        self._written = written
        self._known: Totals | None = None

    @property
    def until(self) -> int | None:
        """The moment up to which they hold everything; None where nothing was sent yet."""
        if self._known is None:
            self._known = _load(self._path)
        return None if self._known is None else self._known.at

    def before(self, portion: Portion) -> Totals:
        """A copy of what was sent before a portion: to be added to, and noted once it is sent."""
        if self.until is None or self._known is None:
            self._known = Totals(portion.after, portion.after)
        return self._known.copy()

    def unsent(self, portion: Portion) -> Portion:
        """The intervals of a portion that the totals do not hold."""
        at = self.before(portion).at
        numbers = [each for each in portion.numbers if each.timestamp + each.step_s > at]
        counted = [each for each in portion.counted if each.timestamp + each.step_s > at]
        return Portion(portion.after, portion.until, numbers, counted)

    def note(self, totals: Totals, portion: Portion) -> None:
        """The peer has a portion, or will never take it.

        Args:
            totals: What `before` gave, with the portion.
        """
        totals.at = max(totals.at, portion.until)
        self._known = totals
        text = json.dumps(pack(totals), separators=(",", ":"))
        try:
            private_files.make_directory(self._path.parent)
            private_files.replace(self._path, text.encode())
        except OSError as error:  # this process knows them; the next one begins where the file does
            self._written(error)
        else:
            self._written(None)


def _load(path: Path) -> Totals | None:
    try:
        return parse_totals(json.loads(private_files.read(path, _MAX_FILE_BYTES)))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
