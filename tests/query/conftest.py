"""Series that Graphite answered about, and small sources of known values."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import whisper

from inapp_monitor.ground.points import Method
from inapp_monitor.ground.ranges import Leaf, ScalarRange
from inapp_monitor.query.sources import StoreSource

RECORDED = Path(__file__).parents[1] / "data" / "graphite"
NOW = 1_700_000_000


class WhisperFiles:
    """A tree of Whisper files read by whisper itself."""

    generation = 0
    past = None

    def __init__(self, root: Path) -> None:
        self._files = {
            str(file.relative_to(root))[: -len(".wsp")].replace("/", "."): file
            for file in root.rglob("*.wsp")
        }

    def leaves(self) -> list[Leaf]:
        return [Leaf(path, "whisper", Method.AVERAGE) for path in sorted(self._files)]

    def fetch(self, paths: Sequence[str], start: int, end: int, now: int) -> list[ScalarRange]:
        found = []
        for path in paths:
            try:
                result = whisper.fetch(str(self._files[path]), start, end, now)
            except ValueError:  # the window lies in the future
                continue
            if result is not None:
                (first, last, step), values = result
                cells = array("d", [math.nan if v is None else v for v in values])
                found.append(ScalarRange(path, first, last, step, cells, Method.AVERAGE, 0.0))
        return found

    def fetch_distribution(
        self, path: str, start: int, end: int, now: int, max_step_s: int = 0
    ) -> None:
        return None


class RecordedEvents:
    """The events that were posted before Graphite was asked."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self._events = events

    def times(self, start: int, end: int, tags: Sequence[str] | None) -> list[int]:
        found = []
        for event in self._events:
            own = event["tags"] if isinstance(event["tags"], list) else event["tags"].split()
            if start <= event["when"] <= end and (tags is None or set(tags) <= set(own)):
                found.append(event["when"])
        return found


@pytest.fixture(scope="session")
def setup() -> dict[str, Any]:
    text = (RECORDED / "setup.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)["setup"]
    return loaded


@pytest.fixture(scope="session")
def recorded(setup: dict[str, Any]) -> StoreSource:
    """The series that Graphite was asked about."""
    return StoreSource(WhisperFiles(RECORDED / "whisper"), lambda: setup["tags"])


@pytest.fixture(scope="session")
def recorded_events(setup: dict[str, Any]) -> RecordedEvents:
    return RecordedEvents(setup["events"])
