"""Which request this thread, greenlet or task is answering: any object, as the request path set it.

Found when somebody asks, not noted when a request begins: the stack of the caller shows the
function that answers, and one of its variables is the record. That costs a request nothing, and
threads, greenlets and requests within requests are distinguished by their stacks. Only where a
stack cannot show it (a body that is produced while it is sent, a framework that runs the view in
another thread or greenlet with a copy of the context) the request path notes it in a context
variable.

Of the record only that is known which is written here; nothing else may be kept here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar
from types import CodeType, FrameType, SimpleNamespace
from typing import Any, Final

#: Where the request path leaves a request's record in its WSGI environ.
ENVIRON_KEY: Final = "inapp_monitor.request"

_current: ContextVar[Any] = ContextVar("inapp_monitor_request", default=None)
#: Code of the functions that answer, and which of their variables is the record.
_answering: dict[CodeType, str] = {}
#: What hands a request's context variables on to other threads and greenlets.
_CARRIERS = ("asgiref.sync", "eventlet")

#: Called with a request's record when the stack will not show it. *Cost:* 0.4 us. A thread keeps it
#: until its next request: a record that is over refers to nothing.
enter: Final = _current.set
#: Undo an `enter`, in the same context; called with what that returned.
leave: Final = _current.reset
#: The record that was entered last in this thread, greenlet or task, which may be over; None when
#: none was. *Cost:* 0.01 us. Right for every request only where each of them enters.
entered: Final = _current.get
#: What a thread of the monitor's own enters: a request that is over, and whose work is no one's.
NOBODY: Final = SimpleNamespace(environ=None)


def context_is_copied() -> bool:
    """Whether views may run in other threads or greenlets with a copy of the context: then each
    request has to enter."""
    patched = getattr(sys.modules.get("gevent.monkey"), "is_module_patched", None)
    loaded = any(package in sys.modules for package in _CARRIERS)
    return loaded or (patched is not None and patched("socket"))


def register(function: Callable[..., Any], variable: str) -> None:
    """Whatever this function calls belongs to the request whose record the variable holds."""
    _answering[function.__code__] = variable


def variable_of(frame: FrameType) -> str | None:
    """The variable of this frame that is the record of a request; None when it answers none.

    For readers of other threads' frames, who must leave nothing in a frame that goes on running.
    """
    return _answering.get(frame.f_code)


def get() -> Any:
    """The record of this thread's, greenlet's or task's request; None outside of any.

    *Cost:* 0.1 us for each function between the caller and the request path.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        variable = _answering.get(frame.f_code)  # not a call for each frame
        if variable is not None:
            record = frame.f_locals.get(variable)
            if record is not None:
                return record
        frame = frame.f_back
    return _current.get()


def is_of_client(error: BaseException) -> bool:
    """Whether an exception is about the connection to the client of this request."""
    ask = getattr(get(), "is_of_client", None)
    return ask is not None and bool(ask(error))


def belongs_to(watcher: object) -> bool:
    """Whether this request, if there is one under way, is one that the watcher sees."""
    record = get()
    if getattr(record, "environ", None) is None:  # none, or over
        return True
    ask = getattr(record, "is_watched_by", None)
    return ask is None or bool(ask(watcher))
