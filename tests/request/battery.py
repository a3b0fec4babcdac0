"""What the transparency tests stand on: a small strict server, and the ways to wrap an app.

The server does what PEP 3333 asks of servers and nothing more, and writes down all that it saw.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from wsgiref.validate import validator

from inapp_monitor.recorder.request_cells import facts_of
from inapp_monitor.recorder.tallies import Tallies, Tally
from inapp_monitor.request import middleware
from inapp_monitor.request.exchange import Exchange
from inapp_monitor.request.silent_hooks import SilentHooks
from inapp_monitor.testing import FakeClock
from tests.environ import Environ, environ_of

from . import peers

App = Callable[..., Iterable[bytes]]


class Witness(SilentHooks):
    """The hooks of a request path that only remember."""

    def __init__(self, tallies: Tallies | None = None) -> None:
        super().__init__(tallies or Tallies())
        self.recorded: list[Exchange] = []
        self.record: Any = self.recorded.append
        self.missing: list[str] = []
        self.unexplained: list[str | None] = []
        self.errors: list[BaseException] = []
        self.broken: list[BaseException] = []
        self.samples: list[float | None] = []

    @property
    def finished(self) -> list[tuple[Any, ...]]:
        """Method, route, status, start, end, whether failed, path and size of what has ended."""
        facts = [facts_of(exchange) for exchange in self.recorded]
        return [(*fact[:5], fact[5] is not None, *fact[6:]) for fact in facts]

    def not_found(self, exchange: Exchange, /) -> None:
        self.missing.append(exchange.path)

    def answered_5xx(self, exchange: Exchange, /) -> None:
        self.unexplained.append(exchange.status)

    def failed(self, exchange: Exchange, error: BaseException, /) -> None:
        self.errors.append(error)

    def sampled(self, exchange: Exchange, cpu_s: float | None, /) -> None:
        self.samples.append(cpu_s)

    def broke(self, error: BaseException, /) -> None:
        self.broken.append(error)


class Everything(dict[Any, Any]):
    """Tallies of whatever there is: requests of all kinds have been seen before."""

    def __missing__(self, kind: Any) -> Tally:
        return Tally(kind, math.inf)


def all_known() -> Witness:
    """Hooks for which every request is an ordinary one."""
    tallies = Tallies()
    tallies.known, tallies.until = Everything(), math.inf
    return Witness(tallies)


def dashboard(environ: Environ, start_response: Any) -> list[bytes]:
    """Stands for `/_metrics`."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"dashboard"]


def monitored(
    app: App,
    witness: Witness | None = None,
    clock: FakeClock | None = None,
    tick_s: float = 1.0,
) -> App:
    """`app` behind one request path of ours."""
    clock = clock or FakeClock()
    return middleware.build(
        app,
        witness or Witness(),
        clock.perf,
        lambda now, environ: now + tick_s,
        "/_metrics",
        dashboard,
    )


def monitored_for_long(app: App, witness: Witness, clock: FakeClock | None = None) -> App:
    """`app` behind a request path whose first request, which is looked at closer, is over."""
    serving: list[App] = [dashboard]
    wrapped = monitored(lambda *request: serving[0](*request), witness, clock, math.inf)
    wrapped(environ_of("/first"), lambda *_: None)
    serving[0] = app
    witness.recorded.clear()
    return wrapped


#: How the battery wraps each application.
WRAPPINGS: dict[str, Callable[[App], App]] = {
    "bare": lambda app: app,
    "ours": monitored,
    "ours, all known": lambda app: monitored_for_long(app, all_known()),
    "ours twice": lambda app: monitored(monitored(app)),
    "validator outside": lambda app: validator(monitored(app)),  # type: ignore[arg-type]
    "validator inside": lambda app: monitored(validator(app)),  # type: ignore[arg-type]
}
#: Without the validator, for what it forbids and servers allow.
LENIENT = ["bare", "ours", "ours, all known", "ours twice"]
if peers.CHOSEN:  # the same battery over somebody else's
    WRAPPINGS = {peers.CHOSEN: peers.PEERS[peers.CHOSEN]()}
    LENIENT = [peers.CHOSEN]


@dataclass
class Answer:
    """What the server saw of one request.

    Attributes:
        starts: Arguments of each start_response call, as given.
        chunks: What the body yielded; `written` what went through `write`.
        error: What escaped from the application or its body.
        body: The object that the application returned.
        length: `len(body)` where it has one, seen before the iteration.
        raised_by_iter: Whether `iter(body)` raised.
    """

    starts: list[tuple[Any, ...]] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)
    written: list[bytes] = field(default_factory=list)
    error: BaseException | None = None
    body: Any = None
    length: int | None = None

    @property
    def status(self) -> str:
        return str(self.starts[-1][0])

    @property
    def content(self) -> bytes:
        return b"".join(self.written) + b"".join(self.chunks)


class ClientLeftError(OSError):
    """What the server's own socket raises."""


def serve(
    app: App,
    environ: Environ | None = None,
    *,
    leave_after: int | None = None,
    close: bool = True,
) -> Answer:
    """One request as a server makes it.

    Args:
        app: The application.
        environ: Default: `GET /`.
        leave_after: The client leaves when this many chunks have been sent.
        close: False for a server that forgets to.
    """
    answer = Answer()

    def write(data: bytes) -> None:
        answer.written.append(data)

    def start_response(status: str, headers: Any, exc_info: Any = None, /) -> Any:
        sent = bool(answer.chunks or answer.written)
        if exc_info is not None and sent:
            raise exc_info[1].with_traceback(exc_info[2])
        if answer.starts and exc_info is None:
            raise AssertionError("Headers already set")
        given = (status, headers) if exc_info is None else (status, headers, exc_info[1])
        answer.starts.append(given)
        return write

    environ = environ_of() if environ is None else environ
    try:
        body = answer.body = app(environ, start_response)
        try:
            answer.length = len(body) if hasattr(body, "__len__") else None
            for chunk in body:
                if leave_after == len(answer.chunks):
                    raise ClientLeftError("broken pipe")
                answer.chunks.append(chunk)
        finally:
            if close and hasattr(body, "close"):
                body.close()
    except BaseException as error:
        answer.error = error
    return answer


class Body:
    """An iterable that is not its own iterator, counts its closes, and may fail anywhere."""

    def __init__(
        self,
        *chunks: bytes,
        fail_at: int | None = None,
        error: BaseException | None = None,
        fail_close: BaseException | None = None,
        before: Callable[[], object] | None = None,
    ) -> None:
        self.chunks = chunks
        self.closed = 0
        self.iterated = 0
        self._fail_at = fail_at
        self._error = error
        self._fail_close = fail_close
        self._before = before

    def __iter__(self) -> Any:
        self.iterated += 1
        return self._run()

    def _run(self) -> Any:
        if self._before is not None:
            self._before()
        for number, chunk in enumerate(self.chunks):
            if number == self._fail_at:
                assert self._error is not None
                raise self._error
            yield chunk
        if self._fail_at == len(self.chunks):
            assert self._error is not None
            raise self._error

    def close(self) -> None:
        self.closed += 1
        if self._fail_close is not None:
            raise self._fail_close


class SizedBody(Body):
    """One that servers may ask for its length."""

    def __len__(self) -> int:
        return len(self.chunks)


class SelfIterator:
    """A body that is its own iterator, with a close."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = iter(chunks)
        self.closed = 0

    def __iter__(self) -> SelfIterator:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        self.closed += 1
