"""The link that opens a frame's line in the developer's editor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inapp_monitor.ground import editors


def editor_link(editor: str, frame: Mapping[str, Any]) -> str:
    """Its address; empty without the setting, and for what is no file of this machine."""
    file, line = frame.get("file"), frame.get("line")
    if not editor or not isinstance(file, str) or not isinstance(line, int):
        return ""
    try:
        is_here = file.startswith("/") and Path(file).is_file()
    except (OSError, ValueError):  # a name that no file can have
        return ""
    return editors.link(editor, file, line) if is_here else ""
