"""httpx: its transports, so that a redirect is a call of its own. Only method and host are kept."""

from __future__ import annotations

from typing import Any

from inapp_monitor.traces.patches import Patches
from inapp_monitor.traces.spans import HTTP
from inapp_monitor.traces.timed_calls import timed, timed_coroutine


class Hook:
    """`HTTPTransport` and `AsyncHTTPTransport`."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._patches = Patches()

    def attach(self) -> None:
        """Replace their methods once."""
        plain, asynchronous = self._module.HTTPTransport, self._module.AsyncHTTPTransport
        if not self._patches.has(plain, "handle_request"):
            self._patches.replace(plain, "handle_request", timed(HTTP, _text, _status))
            make = timed_coroutine(HTTP, _text, _status)
            self._patches.replace(asynchronous, "handle_async_request", make)

    def detach(self) -> None:
        """Put them back."""
        self._patches.undo()


def _text(_transport: Any, request: Any) -> str:
    url = request.url
    host = f"{url.host}:{url.port}" if url.port else url.host
    return f"{str(request.method)[:20]} {host}"


def _status(response: Any) -> int:
    return int(response.status_code)
