"""What real clients sent, and what was meant to break servers, with what servers made of it."""

from __future__ import annotations

import json
import lzma
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "data" / "ingest"


@cache
def load(name: str) -> list[dict[str, Any]]:
    """`captures`, `statsd` or `malformed`."""
    with lzma.open(DATA / f"{name}.json.xz", "rt") as file:
        rows: list[dict[str, Any]] = json.load(file)
    return rows


def malformed(transport: str) -> list[dict[str, Any]]:
    """The odd inputs of one transport whose bytes are recorded."""
    return [row for row in load("malformed") if row["transport"] == transport and row["hex"]]


def bytes_of(row: dict[str, Any], now: float) -> bytes:
    """The bytes to send: `@T@` stands for the present second."""
    data = bytes.fromhex(row["hex"])
    return data.replace(b"@T@", b"%d" % now).replace(b"@\0T\0@", b"%d" % now)


def capture(name: str) -> dict[str, Any]:
    """One capture."""
    return next(row for row in load("captures") if row["name"] == name)
