"""Requests that are being answered right now, as plain data. No I/O.

The request path keeps them in a set, one C call to enter and one to leave; this looks at it from
another thread, once in a while.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from inapp_monitor.recorder.routes import method_name

#: Rows of one process that are shown, the oldest requests first.
MAX_ROWS = 20
#: A request that has not ended for so long is forgotten: its server may have dropped it.
FORGOTTEN_AFTER_S = 6 * 3600.0


class LiveRequest(Protocol):
    """What is read of a `middleware.Exchange`; any of it may end meanwhile."""

    environ: dict[str, object] | None
    path: str
    route: object
    script_name: str
    start: float


def sweep(live: set[LiveRequest], now: float) -> None:
    """Forget requests that will not end any more, so that nothing of them is kept."""
    for request in list(live):
        if now - request.start > FORGOTTEN_AFTER_S:
            live.discard(request)


def rows(live: Iterable[LiveRequest], now: float, max_length: int) -> list[dict[str, object]]:
    """The oldest requests under way.

    Args:
        live: The set.
        now: Performance counter.
        max_length: Characters kept of a path.
    """
    found: list[dict[str, object]] = []
    for request in sorted(live, key=lambda request: request.start)[:MAX_ROWS]:
        environ = request.environ
        if environ is not None:
            route = getattr(request.route, "rule", request.route)
            found.append(
                {
                    "method": method_name(environ.get("REQUEST_METHOD")),
                    "path": f"{request.script_name}{request.path}"[:max_length],
                    "route": route if isinstance(route, str) else None,
                    "age_s": round(now - request.start, 3),
                }
            )
    return found
