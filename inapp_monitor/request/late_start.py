"""What stands for the server's start_response after the end of a request. Nothing else."""

from __future__ import annotations

from typing import Any


def refuse_late_start(*_: object) -> Any:
    """Stands for the server's start_response after the end, so that nothing of it stays alive."""
    raise AssertionError("start_response called after the request has ended")
