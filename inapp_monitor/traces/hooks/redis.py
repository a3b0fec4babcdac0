"""redis-py: commands, and pipelines, which do not pass through `execute_command`. Neither keys nor
values are kept."""

from __future__ import annotations

from typing import Any

from inapp_monitor.traces.patches import Patches
from inapp_monitor.traces.spans import CACHE
from inapp_monitor.traces.timed_calls import timed_cache, timed_coroutine

_SYSTEM = "redis"


class Hook:
    """`Redis` and its pipeline, with their asynchronous twins."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._patches = Patches()

    def attach(self) -> None:
        """Replace their methods once."""
        if self._patches.has(self._module.Redis, "execute_command"):
            return
        command = timed_cache(_SYSTEM, _command, _hit)
        self._patches.replace(self._module.Redis, "execute_command", command)
        pipeline = timed_cache(_SYSTEM, _pipeline)
        self._patches.replace(self._module.client.Pipeline, "execute", pipeline)
        twin = getattr(self._module, "asyncio", None)
        if twin is not None:
            make = timed_coroutine(CACHE, _command, _hit, _SYSTEM)
            self._patches.replace(twin.Redis, "execute_command", make)
            make = timed_coroutine(CACHE, _pipeline, system=_SYSTEM)
            self._patches.replace(twin.client.Pipeline, "execute", make)

    def detach(self) -> None:
        """Put them back."""
        self._patches.undo()


def _command(_client: Any, name: Any = "", *_args: Any, **_kwargs: Any) -> str:
    return str(name).upper()[:40]


def _pipeline(_client: Any, *_args: Any, **_kwargs: Any) -> str:
    return "PIPELINE"


def _hit(answer: Any) -> int | None:
    """A miss is None; what else comes back says nothing of that."""
    return 0 if answer is None else None
