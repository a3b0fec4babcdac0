"""The window of time that a page shows, read from its URL and written back into links."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.timespec import parse_time
from inapp_monitor.web.frame import zones
from inapp_monitor.web.frame.zones import UNIVERSAL, Zone

#: The range switch: `from` and its label.
RANGES = (
    ("-5min", "5 min"),
    ("-15min", "15 min"),
    ("-1h", "1 h"),
    ("-6h", "6 h"),
    ("-1d", "1 d"),
    ("-7d", "7 d"),
    ("-30d", "30 d"),
    ("-1y", "1 y"),
)
DEFAULT_RANGE = "-1h"
#: Parameters of every page; all others are a page's own.
VIEW_ARGUMENTS = ("from", "until", "compare", "tz")
#: What a window can be compared with: seconds back, and the words for it.
COMPARISONS = {"day": (86_400, "yesterday"), "week": (7 * 86_400, "last week")}
_LONGEST = 3 * 366 * 86_400
_SHORTEST = 60


@dataclass(frozen=True, slots=True)
class View:
    """A window and how it was asked for.

    Attributes:
        start, end, now: Epoch seconds; `end` is at most `now`.
        from_text, until_text: The URL's words, normalised; `until_text` is "" for now.
        compare: "", or a key of `COMPARISONS`, or `deploy`.
        is_default: No window was asked for: links leave it out.
        zone: In which the words are meant and times are shown.
        zone_text: The URL's `tz`, "" for the configured zone.
    """

    start: int
    end: int
    now: int
    from_text: str
    until_text: str = ""
    compare: str = ""
    is_default: bool = False
    zone: Zone = UNIVERSAL
    zone_text: str = ""

    @property
    def span(self) -> int:
        """Seconds shown."""
        return self.end - self.start

    @property
    def is_live(self) -> bool:
        """Whether the window moves with the time."""
        return not self.until_text

    @property
    def label(self) -> str:
        """The window in words, for titles."""
        names = {"-15min": "15 minutes", "-1h": "hour", "-6h": "6 hours", "-1d": "day"}
        names |= {"-7d": "7 days", "-30d": "30 days", "-1y": "year"}
        return f"last {names[self.from_text]}" if self._is_named(names) else "chosen period"

    def _is_named(self, names: Mapping[str, str]) -> bool:
        return self.from_text in names and self.is_live

    def query(self, **changes: str) -> list[tuple[str, str]]:
        """The parameters that lead to this view again, with some changed; defaults left out."""
        state = {
            "from": "" if self.is_default else self.from_text,
            "until": self.until_text,
            "compare": self.compare,
            "tz": self.zone_text,
        }
        return list({**state, **changes}.items())


def from_arguments(
    arguments: Mapping[str, str],
    now: int,
    default: str = DEFAULT_RANGE,
    time_zone: str = UNIVERSAL.name,
) -> View:
    """Read `from` and `until` (any time of Graphite's language), `compare` and `tz`; `default` is
    where a window begins when none is given, `time_zone` the setting.

    Raises:
        QueryError: one that cannot be read, or a window that is empty or too long.
    """
    from_text = arguments.get("from", "").strip() or default
    until_text = arguments.get("until", "").strip()
    is_default = not arguments.get("from") and not until_text
    zone = zones.asked(arguments, time_zone)
    end = now if until_text in ("", "now") else parse_time(until_text, now, zone.tz)
    start = parse_time(from_text, now, zone.tz)
    end = min(end, now)
    if start >= end:
        raise QueryError(f"from {from_text!r} must be before until {until_text or 'now'!r}")
    if end - start > _LONGEST:
        raise QueryError(f"from {from_text!r} is too far back, at most three years are shown")
    start = min(start, end - _SHORTEST)
    compare = arguments.get("compare", "")
    if compare and compare != "deploy" and compare not in COMPARISONS:
        known = ", ".join([*COMPARISONS, "deploy"])
        raise QueryError(f"compare {compare!r} must be one of {known}")
    until_text = "" if until_text == "now" else until_text
    zone_text = "" if zone == zones.configured(time_zone) else zone.name
    return View(start, end, now, from_text, until_text, compare, is_default, zone, zone_text)
