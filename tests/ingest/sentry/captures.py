"""Recorded traffic of Sentry's SDKs: bodies as they were on the wire, and what is in them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parents[2] / "data" / "sentry_captures.zip"
KEY = "0123456789abcdef0123456789abcdef"


@dataclass
class Capture:
    """One request of an SDK.

    Attributes:
        name: Folder and number.
        request: Its line of the index: method, path, query, headers.
        body: Decoded.
        wire: As sent.
        items: Type and payload of each item: JSON, or bytes of an attachment.
    """

    name: str
    request: dict[str, Any]
    body: bytes
    wire: bytes
    items: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def encoding(self) -> str:
        """`Content-Encoding`, "" for none."""
        return str(self.request["headers"].get("Content-Encoding", ""))

    @property
    def is_envelope(self) -> bool:
        """Whether it is no bare event."""
        return not self.request["path"].endswith("/store/")

    def events(self) -> list[dict[str, Any]]:
        """Its events."""
        return [payload for kind, payload in self.items if kind == "event"]


@cache
def captures() -> tuple[Capture, ...]:
    """All of them."""
    return tuple(_read())


def named(name: str) -> Capture:
    """One of them, such as `python/001`."""
    return next(capture for capture in captures() if capture.name == name)


def _read() -> Iterator[Capture]:
    with zipfile.ZipFile(_FILE) as archive:
        names = archive.namelist()
        for index in (name for name in names if name.endswith("INDEX.jsonl")):
            folder = index.partition("/")[0]
            for line in archive.read(index).splitlines():
                request = json.loads(line)
                start = f"{folder}/{request['n']:03}-"
                files = sorted(name for name in names if name.startswith(start))
                body = archive.read(next(name for name in files if name.endswith(".envelope")))
                wire = next((archive.read(name) for name in files if ".wire." in name), body)
                capture = Capture(start[:-1], request, body, wire)
                for name in files:
                    parts = name.rsplit(".", 3)
                    if parts[-1] == "json":
                        capture.items.append((parts[-2], json.loads(archive.read(name))))
                    elif parts[-1] == "bin":
                        capture.items.append((parts[-2], archive.read(name)))
                if not capture.is_envelope:
                    capture.items.append(("event", json.loads(body)))
                yield capture
