"""Whether this thread is recording an error already, or runs what the app hooked into that.

What is logged meanwhile would be recorded about itself, again and again: by the same tracker, or by
two that hear of each other's records.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_recording = threading.local()


def is_recording() -> bool:
    """Whether nothing that happens in this thread is to be recorded now."""
    return getattr(_recording, "on", False)


@contextmanager
def recording() -> Iterator[None]:
    """A block in which this thread records nothing else."""
    before = is_recording()
    _recording.on = True
    try:
        yield
    finally:
        _recording.on = before
