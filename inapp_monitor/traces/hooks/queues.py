"""Celery and RQ, as producers: handing a task to the broker. Its name is kept, no arguments."""

from __future__ import annotations

from typing import Any

from inapp_monitor.traces.patches import Patches
from inapp_monitor.traces.spans import QUEUE
from inapp_monitor.traces.timed_calls import timed


class Hook:
    """Celery's `send_task` and tasks' `apply_async`, or RQ's `Queue.enqueue_job`."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._patches = Patches()

    def attach(self) -> None:
        """Replace it once."""
        queue = getattr(self._module, "Queue", None)
        owner = queue if queue is not None else self._module.Celery
        name = "enqueue_job" if queue is not None else "send_task"
        if not self._patches.has(owner, name):
            self._patches.replace(owner, name, timed(QUEUE, _job if queue is not None else _task))

    def detach(self) -> None:
        """Put it back."""
        self._patches.undo()


def _task(_app: Any, name: Any, *_args: Any, **_kwargs: Any) -> str:
    return f"send {str(name)[:100]}"


def _job(_queue: Any, job: Any, *_args: Any, **_kwargs: Any) -> str:
    return f"enqueue {str(job.func_name)[:100]}"
