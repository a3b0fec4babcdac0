"""Whose exception it is: the application's, the server's, or nobody's fault. Reads, never keeps.

For the request path, which must tell them apart when it sees one, and not before.
"""

from __future__ import annotations

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


def is_normal_end(error: BaseException) -> bool:
    """Ends of a request that are nobody's bug."""
    kind = type(error)  # which an exception cannot fake
    if issubclass(kind, SystemExit):
        return error.code in (None, 0)  # type: ignore[attr-defined]  # else the server's timeout
    return issubclass(kind, (GeneratorExit, KeyboardInterrupt))


def is_of_server(error: BaseException, body: object) -> bool:
    """Whether an exception seen by `close` is the server's own, such as a client that left.

    Told by the traceback, whose first frame is the one that iterates: a body that raised left
    frames of the application's there.
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
