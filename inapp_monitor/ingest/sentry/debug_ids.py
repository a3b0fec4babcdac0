"""Debug ids: which build a shipped JavaScript file and its source map are of. Pure.

A bundler writes the same id into both, and an SDK sends it along, by the file's address. A file
that has kept its name from one release to the next is told apart by it.

Source: the proposal "debug id" of ECMA-426, and `debug_meta` of develop.sentry.dev.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from inapp_monitor.ingest.sentry import values
from inapp_monitor.ingest.sentry.envelope import event_id_of

_MAX_IMAGES = 200
_COMMENT = re.compile(rb"//# debugId=([0-9a-fA-F-]{32,36})\s")
_MEMBER = re.compile(rb'"debug_?[iI]d"\s*:\s*"([0-9a-fA-F-]{32,36})"')


def debug_ids_of(event: Mapping[str, object]) -> dict[str, str]:
    """Of an event's files of JavaScript, by address: 32 hexadecimal digits each."""
    found = {}
    images = values.mapping(event.get("debug_meta")).get("images")
    for image in values.mappings(images, _MAX_IMAGES):
        number = event_id_of(image.get("debug_id"))
        if image.get("type") == "sourcemap" and number:
            found[values.first_text(image, "code_file", limit=2_000)] = number
    return found


def debug_id_in_map(document: Mapping[str, object]) -> str:
    """That of a source map, "" without one."""
    return event_id_of(document.get("debug_id")) or event_id_of(document.get("debugId"))


def debug_id_in_text(text: bytes) -> str:
    """That of a piece of a shipped file or of a source map, "" where it has none."""
    found = _COMMENT.search(text + b"\n") or _MEMBER.search(text)
    return event_id_of(found[1].decode()) if found is not None else ""
