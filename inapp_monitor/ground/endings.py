"""Which exceptions are no errors of the application: normal ends, and those of the server.

Asked by the request path and the capture of errors for each exception that they see. Nothing is
kept here.
"""

from __future__ import annotations

from collections.abc import Callable

#: Exceptions that mean "the client left" when an application lets them escape. Exactly these: a
#: subclass such as `http.client.RemoteDisconnected` is about a back end, and a bug.
CLIENT_LEFT = (ConnectionError, BrokenPipeError, ConnectionResetError, ConnectionAbortedError)
#: Packages whose frames are the server's: an error with no other frame was raised while writing.
_SERVERS = frozenset(
    (
        *("cheroot", "cherrypy", "eventlet", "gevent", "gunicorn", "http", "paste", "socket"),
        *("socketserver", "ssl", "twisted", "tornado", "waitress", "werkzeug", "wsgiref"),
    )
)


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


def is_of_server(error: BaseException, body: object) -> bool:
    """Whether an exception seen by `close` is the server's own, such as a client that left.

    The traceback shows it: its first frame is the one that iterates, and a body that raised left
    frames of the application there.
    """
    if getattr(body, "gi_frame", None) is not None:
        return True  # a generator that is still suspended did not raise
    package = f"{type(error).__module__}".partition(".")[0]
    if not (issubclass(type(error), OSError) or package in _SERVERS):
        return False
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
        name = traceback.tb_frame.f_globals.get("__name__")
        if f"{name}".partition(".")[0] not in _SERVERS:
            return False
    return True
