"""What applications return as bodies, and what must be done with each kind. Knows no request.

Servers look at some bodies by type, take the length of others, and send files by themselves: what
they would find there must stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from io import BytesIO
from sys import getrefcount
from typing import Any, Protocol

from inapp_monitor.request.wsgi_types import Environ

#: An ordinary iterable, and one that has a length: both are replaced. What must go back as it is:
#: files. What is complete when it is returned. What has no `__iter__` to borrow.
WRAP, SIZED, AS_IS, COMPLETE, NO_ITER = 1, 2, 3, 4, 5
#: Body types remembered at most; applications use a handful.
MAX_KINDS = 256
#: Complete when returned, so that the request ends there. Servers look at some of them by type.
COMPLETE_TYPES = (list, tuple, bytes, str, bytearray, type(None))
#: A body that is closed: its `close` is a function of C.
CLOSED_BODY: Any = BytesIO()
no_chunks = ().__iter__


def _kind_of(body: object, environ: Environ) -> int:
    kind = type(body)
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(wrapper, type) and issubclass(kind, wrapper):  # as servers look for it
        return AS_IS
    if hasattr(body, "fileno"):
        return AS_IS
    if hasattr(kind, "__len__"):
        return SIZED
    return WRAP if hasattr(kind, "__iter__") else NO_ITER


def learn_kind(kinds: dict[type, int], wrapped: set[type], body: object, environ: Environ) -> int:
    """What to do with bodies of a type that is new; remembered in `kinds`, and in `wrapped` when it
    is the usual one."""
    try:
        kind = _kind_of(body, environ)
    except Exception:  # noqa: BLE001  # a `fileno` property that raises
        kind = NO_ITER
    if len(kinds) < MAX_KINDS:
        kinds[type(body)] = kind
        if kind == WRAP:
            wrapped.add(type(body))
    return kind


def has_close(body: object) -> bool:
    """Whether a body has a `close` of its own."""
    try:
        return hasattr(body, "close")
    except Exception:  # noqa: BLE001  # a property that fails is one
        return True


class HookedBody:
    """Stands for a body that the server got as it is: gives it its own close back, and calls it.

    Attributes:
        body: The body itself.
    """

    __slots__ = ("_own_close", "body")

    def __init__(self, body: Any, own_close: Callable[[], None] | None) -> None:
        self.body = body
        self._own_close = own_close

    def is_unreferenced(self) -> bool:
        """Whether nobody else refers to the body: it will not be closed."""
        held_here = 2 if getattr(self._own_close, "__self__", None) is self.body else 1
        return getrefcount(self.body) == held_here + 1  # the argument

    def close(self) -> None:
        """Close the body as the server would have closed it without the monitor."""
        body, own = self.body, self._own_close
        try:
            del body.close
            if own is not None and getattr(body, "close", None) != own:
                body.close = own
        except Exception:  # noqa: BLE001, S110  # it keeps the hook: a second call of it is harmless
            pass
        if own is not None:
            own()


class HasSizedBody(Protocol):
    """What stands for a body that has a length."""

    body: Sized


def length_of_body(exchange: HasSizedBody) -> int:
    """Servers ask bodies that have a length for it, and make a Content-Length of it."""
    return 0 if exchange.body is CLOSED_BODY else len(exchange.body)
