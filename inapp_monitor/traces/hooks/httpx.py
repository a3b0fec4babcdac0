"""httpx: its transports, so that a redirect is a call of its own. Only method and host are kept."""

from __future__ import annotations

from typing import Any

from inapp_monitor.traces.patches import Patches
from inapp_monitor.traces.spans import HTTP
from inapp_monitor.traces.timed_calls import timed, timed_coroutine
from inapp_monitor.traces.trace_hosts import HEADER, trace_hosts


class Hook:
    """`HTTPTransport` and `AsyncHTTPTransport`."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._patches = Patches()

    def attach(self) -> None:
        """Replace their methods once."""
        plain, asynchronous = self._module.HTTPTransport, self._module.AsyncHTTPTransport
        if not self._patches.has(plain, "handle_request"):
            self._patches.replace(plain, "handle_request", _timed)
            self._patches.replace(asynchronous, "handle_async_request", _timed_coroutine)

    def detach(self) -> None:
        """Put them back."""
        self._patches.undo()


def _timed(original: Any) -> Any:
    def handle_request(self: Any, request: Any) -> Any:
        _add_trace(request)
        return original(self, request)

    return timed(HTTP, _text, _status)(handle_request)


def _timed_coroutine(original: Any) -> Any:
    async def handle_async_request(self: Any, request: Any) -> Any:
        _add_trace(request)
        return await original(self, request)

    return timed_coroutine(HTTP, _text, _status)(handle_async_request)


def _add_trace(request: Any) -> None:
    """Unless the application sends one itself."""
    try:
        url = request.url
        value = trace_hosts.header_for(str(url.host), url.port)
        if value is not None:
            request.headers.setdefault(HEADER, value)
    except Exception:  # noqa: BLE001, S110  # another version: the call goes out as it is
        pass


def _text(_transport: Any, request: Any) -> str:
    url = request.url
    host = f"{url.host}:{url.port}" if url.port else url.host
    return f"{str(request.method)[:20]} {host}"


def _status(response: Any) -> int:
    return int(response.status_code)
