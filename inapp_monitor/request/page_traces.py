"""Tells the page that a request renders which trace it belongs to: one story in browser and server.

Between the request path and the application, only when the setting `page_traces` is on. A request
that comes without a trace begins one: its `traceparent` is put into the environ, where log records,
kept traces and errors find it. The answer says it in `Server-Timing`, which `@sentry/browser` reads
when the page loads: its errors then carry the trace of the request that rendered the page.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from inapp_monitor.ground.request_key import trace_of

Environ = dict[str, Any]


class PageTraces:
    """A WSGI application around another. *Cost:* 3 us a request.

    Args:
        app: What it calls; exceptions, bodies and `write` pass as they are.
    """

    __slots__ = ("app",)

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        given = str(environ.get("HTTP_TRACEPARENT") or environ.get("HTTP_SENTRY_TRACE") or "")
        trace = trace_of(given)
        span = os.urandom(8).hex()
        if not trace:
            trace = os.urandom(16).hex()
            environ["HTTP_TRACEPARENT"] = f"00-{trace}-{span}-01"
        header = ("Server-Timing", f'sentry-trace;desc="{trace}-{span}"')

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            return start_response(status, [*headers, header], *exc_info)

        return self.app(environ, start)


def around(app: Callable[..., Iterable[bytes]], *, wanted: bool) -> Callable[..., Iterable[bytes]]:
    """The application, whose pages learn their traces when that is wanted."""
    return PageTraces(app) if wanted else app
