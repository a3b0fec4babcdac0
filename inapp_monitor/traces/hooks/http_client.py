"""http.client, and with it requests, urllib3, urllib and botocore: from the request line to the
first byte of the answer. A redirect is two spans, as it is two calls.

Only host and method are kept: paths, queries and headers carry secrets.
"""

from __future__ import annotations

import sys
from typing import Any

from inapp_monitor.ground.clock import perf_counter
from inapp_monitor.traces.patches import Patches
from inapp_monitor.traces.spans import HTTP, note
from inapp_monitor.traces.trace_hosts import HEADER, trace_hosts

_BEGUN = "_inapp_monitor_begun"
_STANDARD_PORTS = (None, 80, 443)
_HEADER_LINE = f"{HEADER}:".encode()


class Hook:
    """`HTTPConnection`, and urllib3's own `connect`, which does not pass through it."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._patches = Patches()

    def attach(self) -> None:
        """Replace what is not replaced yet; quick when there is nothing."""
        connection = self._module.HTTPConnection
        if not self._patches.has(connection, "putrequest"):
            self._patches.replace(connection, "putrequest", _put_request)
            self._patches.replace(connection, "endheaders", _end_headers)
            self._patches.replace(connection, "getresponse", _get_response)
        urllib3 = sys.modules.get("urllib3.connection")
        for name in ("HTTPConnection", "HTTPSConnection"):
            owner = getattr(urllib3, name, None)
            if owner is not None and not self._patches.has(owner, "connect"):
                self._patches.replace(owner, "connect", _connect)

    def detach(self) -> None:
        """Put everything back."""
        self._patches.undo()


def _peer(connection: Any) -> tuple[str, int | None]:
    proxied = getattr(connection, "_tunnel_host", None)
    if proxied:
        return str(proxied), getattr(connection, "_tunnel_port", None)
    return str(connection.host), connection.port


def _host(connection: Any) -> str:
    host, port = _peer(connection)
    return host if port in _STANDARD_PORTS else f"{host}:{port}"


def _add_trace(connection: Any) -> None:
    """Unless the application sends one itself."""
    try:
        value = trace_hosts.header_for(*_peer(connection))
        if value is None:
            return
        lines = connection.__dict__.get("_buffer", ())
        if not any(line.lower().startswith(_HEADER_LINE) for line in lines):
            connection.putheader(HEADER, value)
    except Exception:  # noqa: BLE001, S110  # a stranger's subclass: its call goes out as it is
        pass


def _put_request(original: Any) -> Any:
    def putrequest(self: Any, method: Any, url: Any, *args: Any, **kwargs: Any) -> Any:
        connected_from = self.__dict__.get(_BEGUN)
        start = perf_counter() if connected_from is None else connected_from[0]
        self.__dict__[_BEGUN] = (start, str(method)[:20])
        return original(self, method, url, *args, **kwargs)

    return putrequest


def _end(connection: Any, error: BaseException | None, status: object) -> None:
    begun = connection.__dict__.pop(_BEGUN, None)
    if begun is not None:
        try:
            text = f"{begun[1]} {_host(connection)}".lstrip()
        except Exception:  # noqa: BLE001  # a stranger's subclass
            text = "(unknown host)"
        failed = None if error is None else type(error).__name__
        note(HTTP, begun[0], text, None, failed, status if type(status) is int else None)


def _end_headers(original: Any) -> Any:
    def endheaders(self: Any, *args: Any, **kwargs: Any) -> Any:
        _add_trace(self)
        try:
            return original(self, *args, **kwargs)
        except BaseException as error:  # not connected, or not sent: there will be no answer
            _end(self, error, None)
            raise

    return endheaders


def _get_response(original: Any) -> Any:
    def getresponse(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            response = original(self, *args, **kwargs)
        except BaseException as error:
            _end(self, error, None)
            raise
        _end(self, None, getattr(response, "status", None))
        return response

    return getresponse


def _connect(original: Any) -> Any:
    def connect(self: Any, *args: Any, **kwargs: Any) -> Any:
        begun = self.__dict__.setdefault(_BEGUN, (perf_counter(), ""))
        try:
            return original(self, *args, **kwargs)
        except BaseException as error:
            if not begun[1]:  # connected ahead of the request, which will not come
                _end(self, error, None)
            raise

    return connect
