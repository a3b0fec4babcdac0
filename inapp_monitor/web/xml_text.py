"""Text as XML and HTML can hold it, escaped or not. Pure."""

from __future__ import annotations

import re

from inapp_monitor.ground.visible_text import visible

_INVALID = re.compile("[^\t\n\r\x20-\x7e\x80-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPACE = re.compile(r"\s+")


def valid(text: object) -> str:
    """The text without the characters that no document may contain, and none that acts unseen."""
    return visible(_INVALID.sub("", str(text).replace("\r", "\n")))


def one_line(text: object, length: int = 200) -> str:
    """Valid text on one line, cut at `length` characters."""
    cleaned = _SPACE.sub(" ", valid(text)).strip()
    return cleaned if len(cleaned) <= length else cleaned[: length - 1] + "…"
