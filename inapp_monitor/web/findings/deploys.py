"""When a new release came into use: the vertical lines of charts.

A deploy is an event posted with the tag `deploy`, or the first error of a release that had not been
seen before.
"""

from __future__ import annotations

from typing import Any

from inapp_monitor.web.backend import Backend
from inapp_monitor.web.kept.process_state import process_state

_MOST = 12
_LABEL = 12


def between(backend: Backend, start: float, end: float) -> list[dict[str, Any]]:
    """Deploys of a window, oldest first: `timestamp` and `label`; the latest ones when many."""
    found: dict[str, dict[str, Any]] = {}
    for entry in [*_posted(backend, start, end), *_releases(backend)]:
        timestamp, label = float(entry["timestamp"]), str(entry["label"])
        if label not in found or timestamp < found[label]["timestamp"]:
            found[label] = {"timestamp": timestamp, "label": label}
    marks = [mark for mark in found.values() if start <= mark["timestamp"] <= end]
    marks.sort(key=lambda mark: float(mark["timestamp"]))
    return marks[-_MOST:]


def latest(backend: Backend, before: float) -> dict[str, Any] | None:
    """The latest deploy, if any is known."""
    marks = between(backend, 0, before)
    return marks[-1] if marks else None


def _posted(backend: Backend, start: float, end: float) -> list[dict[str, Any]]:
    if backend.database is None:
        return []
    events = process_state(backend).events.find(int(start), int(end) + 1, ["deploy"])
    return [{"timestamp": event.moment, "label": event.what[: _LABEL * 2]} for event in events]


def _releases(backend: Backend) -> list[dict[str, Any]]:
    """Releases by their first error; the very first one is no change."""
    first_seen = sorted(backend.triage.releases_first_seen().items(), key=lambda pair: pair[1])
    return [{"timestamp": when, "label": name[:_LABEL]} for name, when in first_seen[1:]]
