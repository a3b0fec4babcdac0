"""When a new release came into use: the vertical lines of charts."""

from __future__ import annotations

from typing import Any

from inapp_monitor.web.backend import Backend

_MOST = 12


def between(backend: Backend, start: float, end: float) -> list[dict[str, Any]]:
    """Deploys of a window, oldest first: `timestamp` and `label`; the latest ones when many."""
    found: list[dict[str, Any]] = []
    for entry in backend.known().get("deploys") or ():
        timestamp, label = float(entry["timestamp"]), str(entry["label"])
        if start <= timestamp <= end:
            found.append({"timestamp": timestamp, "label": label})
    found.sort(key=lambda mark: mark["timestamp"])
    return found[-_MOST:]


def latest(backend: Backend, before: float) -> dict[str, Any] | None:
    """The latest deploy, if any is known."""
    marks = between(backend, 0, before)
    return marks[-1] if marks else None
