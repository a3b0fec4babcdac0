"""Moments are the same text wherever they are read."""

from __future__ import annotations

import time

import pytest

from inapp_monitor.ground.utc_text import utc_text


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Auckland"])
def test_the_machine_s_zone_makes_no_difference(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """UTC, and it says so."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert utc_text(86_400.9) == "1970-01-02 00:00:00 UTC"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("value", [None, "1", 1e300, float("nan"), float("inf")])
def test_what_is_no_moment_is_refused(value: object) -> None:
    """By one of the errors that are named, whatever another version wrote."""
    with pytest.raises((TypeError, ValueError, OverflowError, OSError)):
        utc_text(value)  # type: ignore[arg-type]
