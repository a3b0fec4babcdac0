"""A moment as text that means the same in every time zone. Pure."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_text(seconds: float) -> str:
    """Epoch seconds as `2026-05-01 12:00:00 UTC`.

    Raises:
        TypeError, ValueError, OverflowError, OSError: that is no moment.
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
