"""Posted events: what a database keeps, and what is kept where none can be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from inapp_monitor.database.file import Database
from inapp_monitor.database.posted_events import PostedEvent, PostedEvents
from inapp_monitor.ground import config
from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.ground.guard import Guard


def database(data_dir: Path, *, read_only: bool = False) -> Database:
    settings = config.load({"data_dir": data_dir}, environ={}).settings
    return Database(data_dir, settings, SYSTEM, Guard(), read_only=read_only)


@pytest.mark.parametrize("stored", [0, 3])
def test_events_in_memory_have_numbers(tmp_path: Path, stored: int) -> None:
    """An event can be asked for by the number that it is shown by, whatever is stored already."""
    writer = database(tmp_path)
    for number in range(stored):
        PostedEvents(writer).add(PostedEvent(number, f"stored {number}", (), ""))
    writer.close()
    events = PostedEvents(database(tmp_path, read_only=True) if stored else None)
    for what in ("one", "two", "two"):
        events.add(PostedEvent(100, what, ("web",), ""))
    found = events.find(0, 200)
    assert len(found) == stored + 2 == len({event.id for event in found})
    for event in found:
        assert event.id and events.get(event.id) == event
    assert events.get(999) is None


def test_an_event_in_memory_goes_when_it_is_written(tmp_path: Path) -> None:
    """It has one number from then on, and is there once."""
    events = PostedEvents(database(tmp_path))
    events.add(PostedEvent(100, "one", ("web", "stage"), "by hand"))
    (event,) = events.find(0, 200, ["stage"])
    assert event.id == 1 and events.get(1) == event
