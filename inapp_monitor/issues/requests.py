"""What the capture of errors asks about a request, by its environ and the request path's record.

Nothing is kept here; events show other facts, see `event`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inapp_monitor.ground.current_request import ENVIRON_KEY


def identity_of(environ: Mapping[str, Any] | None) -> object:
    """What distinguishes two requests, None without a request.

    The middleware's record of the request, which copies of the environ share; its start time is
    part of it, because the next record may well get the same address.
    """
    if environ is None:
        return None
    record = environ.get(ENVIRON_KEY)
    return id(environ) if record is None else (id(record), getattr(record, "start", None))


def is_below(mount: str, environ: Mapping[str, Any]) -> bool:
    """Whether a request is for what is mounted there."""
    path = environ.get("PATH_INFO", "")
    if path.startswith(mount) and path[len(mount) : len(mount) + 1] in ("", "/"):
        return True
    return bool(environ.get("SCRIPT_NAME", "").endswith(mount))


def note_recorded(environ: Mapping[str, Any] | None, by: object) -> None:
    """Have the record of a request know that an error of it has been recorded."""
    record = None if environ is None else environ.get(ENVIRON_KEY)
    note = getattr(record, "note_recorded", None)
    if note is not None:
        note(by)
