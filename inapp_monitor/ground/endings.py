"""Which exceptions are no errors but normal ends. Those of the connection to the client are known
to `client_connection`.

Asked by the request path and the capture of errors for each exception that they see. Nothing is
kept here.
"""

from __future__ import annotations

from collections.abc import Callable

#: Read by these, an attribute is the true one, whatever a subclass or its metaclass overrides.
_code_of: Callable[[BaseException], object] = SystemExit.__dict__["code"].__get__
_bases_of: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
_name_of: Callable[[type], str] = type.__dict__["__name__"].__get__


def is_normal_end(error: BaseException) -> bool:
    """Whether it ends something as intended: a generator is closed, a greenlet is killed by its
    server, a process ends as asked, somebody presses Ctrl-C."""
    kind = type(error)  # which an exception cannot fake
    if issubclass(kind, Exception):
        return False
    if issubclass(kind, SystemExit):
        code = _code_of(error)  # with another one, it may be a server's timeout on a slow line
        return code is None or (issubclass(type(code), int) and not code)
    # By name, because greenlets need not be installed.
    killed = "GreenletExit" in map(_name_of, _bases_of(kind))
    return killed or issubclass(kind, (GeneratorExit, KeyboardInterrupt))
