"""pymongo: its own listener of commands, for clients that are made after it is registered."""

from __future__ import annotations

from typing import Any

from inapp_monitor.ground.clock import perf_counter
from inapp_monitor.traces.spans import DATABASE, note

#: What drivers send by themselves.
_OWN = frozenset(("hello", "ismaster", "isMaster", "ping", "saslStart", "saslContinue"))


class Hook:
    """A listener, which pymongo cannot take off again: detached, it notes nothing."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._listener: Any = None
        self._is_attached = False

    def attach(self) -> None:
        """Register it once."""
        self._is_attached = True
        if self._listener is None:
            self._listener = self._make()
            self._module.register(self._listener)

    def detach(self) -> None:
        """Note nothing from now on."""
        self._is_attached = False

    def _make(self) -> Any:
        hook = self

        class Listener(self._module.CommandListener):  # type: ignore[name-defined,misc]
            """Called in the thread that runs the command."""

            def __init__(self) -> None:
                self._collections: dict[int, str] = {}

            def started(self, event: Any) -> None:
                if hook._is_attached and event.command_name not in _OWN:
                    name = event.command.get(event.command_name)
                    if len(self._collections) < 10_000:
                        text = name if isinstance(name, str) else ""
                        self._collections[event.request_id] = text[:100]

            def succeeded(self, event: Any) -> None:
                self._ended(event, None)

            def failed(self, event: Any) -> None:
                self._ended(event, "OperationFailure")

            def _ended(self, event: Any, error: str | None) -> None:
                collection = self._collections.pop(event.request_id, None)
                if collection is not None and hook._is_attached:
                    begun = perf_counter() - event.duration_micros / 1e6
                    system = f"mongodb {getattr(event, 'database_name', '')}".strip()
                    note(DATABASE, begun, f"{event.command_name} {collection}", system, error)

        return Listener()
