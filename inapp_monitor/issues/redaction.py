"""What other parts may show of texts and of running code: without secrets and unsafe characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import CodeType, FrameType

from inapp_monitor.issues import source_files, stack
from inapp_monitor.issues.event import Event, EventBuilder
from inapp_monitor.issues.finished_event import finish
from inapp_monitor.issues.safe_text import clean_text
from inapp_monitor.issues.scrub import Scrubber


class Redactor:
    """The scrubbing of one monitor, for parts that show something which is no event."""

    def __init__(self, scrubber: Scrubber, builder: EventBuilder) -> None:
        self._scrubber = scrubber
        self._builder = builder

    def text(self, text: str) -> str:
        """A text as it may be shown."""
        return clean_text(self._scrubber.text(text))

    def values(self, values: Mapping[str, str]) -> dict[str, str]:
        """Texts under names, as they may be shown: what a name says is secret is hidden."""
        shown = self._scrubber.tree(dict(values))
        return {clean_text(str(name)): clean_text(str(value)) for name, value in shown.items()}

    def source_line(self, code: CodeType, line: int) -> str:
        """A line of a function's source; "" when it is not known, or of other code by now."""
        lines = source_files.lines_of(code, line)
        if not 0 < line <= len(lines):
            return ""
        return clean_text(self._scrubber.source([lines[line - 1].strip()[:200]])[0])

    def running_frames(self, frames: Sequence[FrameType]) -> list[Event]:
        """Frames that are running now (innermost first) as plain data, outermost first: with their
        source, without variables."""
        steps = stack.running_steps(frames)
        event = {"exceptions": [{"frames": self._builder.frames(steps)}]}
        done: list[Event] = finish(event, self._scrubber)["exceptions"][0]["frames"]
        return done
