"""Which request this thread, greenlet or task is answering: any object, as the request path set it.

Nothing is read from it here, and nothing else may be kept here.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Final

_current: ContextVar[Any] = ContextVar("inapp_monitor_request", default=None)

#: Called with a request's record when it begins. *Cost:* 0.1 µs.
enter: Final = _current.set
#: The record of the latest request of this thread, greenlet or task; None before the first.
get: Final = _current.get
