"""What names a request in all that is kept of it: log records, traces. The same for one request
wherever it is asked for, and no other request's: a process and the moment of its beginning.
"""

from __future__ import annotations

import re

from inapp_monitor.ground.process import identity

#: Characters of the process's token: enough to tell apart those whose data are kept.
_TOKEN_LENGTH = 8
#: `traceparent` of the W3C, and `sentry-trace` of Sentry's SDKs, which has no version.
_TRACEPARENT = re.compile(
    r"(?:[0-9a-f]{2}-)?([0-9a-f]{32})-[0-9a-f]{16}(-[0-9a-f]{1,2}(-.*)?)?", re.ASCII
)


def request_key(start: float) -> str:
    """The key of a request of this process that began at `start` (performance counter)."""
    return f"{identity.current().token[:_TOKEN_LENGTH]}{round(start * 1e9):x}"


def trace_of(traceparent: str) -> str:
    """The trace's id in a header `traceparent` or `sentry-trace`; "" when it is none."""
    match = _TRACEPARENT.fullmatch(traceparent)
    return match[1] if match and set(match[1]) != {"0"} else ""
