"""In which time zone pages, charts and words such as `midnight` are meant.

The setting `time_zone` says so, or else the machine; `tz=` in an address asks for another one.
Stored times and the JSON of pages are epoch seconds and have no zone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, tzinfo
from functools import cache
from pathlib import Path
from typing import NamedTuple

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.ground.guard import logger
from inapp_monitor.ground.setting_values import LOCAL_ZONE
from inapp_monitor.query.timespec import parse_zone

LOCALTIME = Path("/etc/localtime")
TIMEZONE = Path("/etc/timezone")
#: What precedes a zone's name in the path of its file.
_DIRECTORY = "zoneinfo/"


class Zone(NamedTuple):
    """A time zone and how it is called: an IANA name, or UTC."""

    name: str
    tz: tzinfo


UNIVERSAL = Zone("UTC", UTC)


def configured(name: str) -> Zone:
    """The zone of the setting `time_zone`. Where it is not known, UTC, and the log says so once."""
    return _named(_name_of_machine() if name == LOCAL_ZONE else name)


def asked(arguments: Mapping[str, str], setting: str) -> Zone:
    """The zone of a page: `tz=`, else the configured one.

    Raises:
        QueryError: there is no zone of that name.
    """
    name = arguments.get("tz", "").strip()
    if not name:
        return configured(setting)
    found = parse_zone(name)
    if found is None:
        raise QueryError(f"tz {name[:60]!r} must be a zone of IANA such as Europe/Berlin, or UTC")
    return Zone("UTC" if found is UTC else name, found)


@cache
def _named(name: str) -> Zone:
    found = parse_zone(name)
    if found is None:
        logger.warning(
            "time zone %r is not known here (is tzdata installed?): times are shown in UTC", name
        )
        return UNIVERSAL
    return Zone("UTC" if found is UTC else name, found)


def _name_of_machine() -> str:
    """The machine's zone as `TZ`, `/etc/localtime` or `/etc/timezone` name it, else UTC."""
    given = os.environ.get("TZ", "").lstrip(":")
    if given:
        return given.rpartition(_DIRECTORY)[2]
    try:
        _, found, name = os.path.realpath(LOCALTIME).rpartition(_DIRECTORY)
        name = name if found else TIMEZONE.read_text("ascii").strip()
    except (OSError, ValueError):
        return "UTC"
    name = name.removeprefix("posix/").removeprefix("right/")
    return "UTC" if name in ("", "Etc/UTC", "Etc/UCT", "Universal", "Zulu", "UCT") else name
