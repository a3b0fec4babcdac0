"""What the code of a request under way is doing: its stack, asked of whichever worker answers it.

The request path notes nothing for this. A request is found by looking: at the frames of all
threads, of which one holds the request's exchange; at the body, when that is a generator; at
greenlets, where there are any. The worker that answers the request looks, scrubs and replies; the
worker that shows the page waits for it. Code and paths only: no variable of the application is
read.
"""

from __future__ import annotations

import gc
import json
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, compress, repeat
from pathlib import Path
from types import FrameType, GeneratorType
from typing import Any, NamedTuple, NotRequired, TypedDict, cast

from inapp_monitor.ground import current_request
from inapp_monitor.ground.clock import Clock, sleep
from inapp_monitor.ground.frame_variables import first_argument, local_variables
from inapp_monitor.ground.process import identity
from inapp_monitor.ground.workers.mailbox import MAX_REPLY_BYTES, Mailbox
from inapp_monitor.issues.event import Event
from inapp_monitor.issues.redaction import Redactor
from inapp_monitor.request.exchange import Exchange
from inapp_monitor.request.live import LiveRequests, LiveRow, request_id

#: Seconds between two looks for a reply.
_POLL_INTERVAL_S = 0.02
#: Seconds that another worker has to reply, at most: usually its ticks, and some more.
_MAX_WAIT_S = 5.0
#: Frames of one stack.
_MAX_FRAMES = 100


class StackFound(NamedTuple):
    """Where a request is.

    Attributes:
        frames: Of the application, innermost first.
        where: The name of the thread, or what else runs it.
        waits: True when none of it runs: the server is sending what it has got.
    """

    frames: list[FrameType]
    where: str
    waits: bool = False


@dataclass(frozen=True, slots=True)
class LiveFacts:
    """The requests under way in all workers, the oldest first, see `LiveStacks.rows`."""

    live: Sequence[LiveRow] = ()


class RequestStack(TypedDict):
    """What the code of a request is doing.

    Attributes:
        state: `running`, `sending` (the server is at it, no code of the app), `unknown` (no thread
            could be found), `silent` (the worker did not reply) or `ended`.
        frames: Outermost first.
        where: What runs it, when that is known.
        waited_s: For a worker that did not reply.
    """

    state: str
    frames: list[Event]
    where: NotRequired[str]
    waited_s: NotRequired[float]


class LiveStacks:
    """Stacks of the requests that the workers of one data directory are answering.

    Args:
        requests: Whose exchanges are this process's requests.
        redactor: Knows which code is the application's, and what must not be shown.
        tick_s: Seconds between two ticks of a worker.

    *Threads:* `answer_others` is for the ticking thread, `stack_of` for any.
    """

    def __init__(
        self,
        data_dir: Path,
        clock: Clock,
        requests: LiveRequests,
        redactor: Redactor,
        tick_s: float,
    ) -> None:
        self._mailbox = Mailbox(data_dir)
        self._clock = clock
        self._requests = requests
        self._redactor = redactor
        self._wait_s = min(2 * tick_s + 1.0, _MAX_WAIT_S)

    def rows(self) -> list[LiveRow]:
        """The requests under way in all workers, see `LiveRequests.rows`, without secrets."""
        clean = self._redactor.text
        return [{**row, "path": clean(str(row["path"]))} for row in self._requests.rows()]

    def answer_others(self) -> None:
        """Reply to the other workers that ask for a stack.

        Raises:
            OSError: the directory cannot be read or written.
        """
        for name, request in self._mailbox.receive():
            self._mailbox.reply(name, fitting(self.look(request)))

    def stack_of(self, pid: int, request: str) -> dict[str, object]:
        """The stack of a request in any worker, waiting a little for another one.

        Returns:
            The request's row (see `LiveRow`), unless it has ended, and its `RequestStack`.

        Raises:
            OSError: the message cannot be written.
        """
        row = next(
            (row for row in self.rows() if row["pid"] == pid and row["request"] == request), None
        )
        if row is None:
            return {"state": "ended", "pid": pid, "frames": []}
        token = self._requests.token_of_worker(request)
        is_own = token == identity.current().token
        answer = self.look(request) if is_own else self._ask_other(token, request)
        return {**row, **answer}

    def _ask_other(self, token: str, request: str) -> RequestStack:
        name = self._mailbox.send(token, request, self._clock.wall())
        for _ in range(int(self._wait_s / _POLL_INTERVAL_S)):
            text = self._mailbox.fetch_reply(name)
            if text is not None:
                reply = json.loads(text)
                if isinstance(reply, dict):
                    return cast(RequestStack, reply)
                return {"state": "silent", "frames": []}
            sleep(_POLL_INTERVAL_S)
        self._mailbox.withdraw(name)
        return {"state": "silent", "frames": [], "waited_s": round(self._wait_s, 1)}

    def look(self, request: str) -> RequestStack:
        """The stack of a request of this process."""
        for exchange in self._requests.exchanges():
            if request_id(exchange) == request and exchange.environ is not None:
                return self._describe(find(exchange))
        return {"state": "ended", "frames": []}

    def _describe(self, found: StackFound | None) -> RequestStack:
        if found is None:
            return {"state": "unknown", "frames": [], "where": ""}
        try:
            frames = self._redactor.running_frames(found.frames)
        finally:
            found.frames.clear()
        state = "sending" if found.waits else "running"
        return {"state": state, "frames": frames, "where": found.where}


def find(exchange: Exchange) -> StackFound | None:
    """Where the code of a request is; None when nothing shows it.

    *Cost:* a walk over all frames of all threads; with greenlets, over all objects.
    """
    here = threading.get_ident()
    body = getattr(exchange, "body", None)
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    others = sys._current_frames()
    try:
        for ident, top in others.items():
            frames = None if ident == here else _inside(top, exchange, body)
            if frames is not None:
                return StackFound(frames, f"thread {names.get(ident, ident)}")
    finally:  # else this frame holds itself, and with it the request, until garbage is collected
        others.clear()
        top = None  # type: ignore[assignment]
    for number, top in waiting_greenlets():
        frames = _inside(top, exchange, body)
        if frames is not None:
            return StackFound(frames, f"greenlet {number}, which waits for something here")
    if body is None:
        return None
    paused = body.gi_frame if isinstance(body, GeneratorType) else None
    return StackFound([] if paused is None else [paused], "the server", waits=True)


def _inside(top: FrameType, exchange: Exchange, body: object) -> list[FrameType] | None:
    """The frames of a thread that belong to a request, innermost first; None when none does."""
    inside: list[FrameType] = []
    frame: FrameType | None = top
    while frame is not None:
        if _answers(frame, exchange):
            return inside[:_MAX_FRAMES]
        inside.append(frame)
        if body is not None and _iterates(frame, body):
            return inside[:_MAX_FRAMES]
        frame = frame.f_back
    return None


def _answers(frame: FrameType, exchange: Exchange) -> bool:
    """Whether this is the frame of the request path that answers this request."""
    variable = current_request.variable_of(frame)
    return variable is not None and local_variables(frame).get(variable) is exchange


def _iterates(frame: FrameType, body: object) -> bool:
    """Whether this is the frame of a body that is being iterated."""
    if isinstance(body, GeneratorType):
        return body.gi_frame is frame
    code = frame.f_code
    if code.co_name != "__next__" or not code.co_argcount:
        return False
    return first_argument(frame) is body


def waiting_greenlets() -> Iterator[tuple[int, FrameType]]:
    """The frames of all greenlets that wait; they are in no thread's stack."""
    module: Any = sys.modules.get("greenlet")
    kind = getattr(module, "greenlet", None)
    if kind is None:
        return
    for number, waiting in enumerate(_all_of(kind), 1):
        frame = getattr(waiting, "gr_frame", None)
        if frame is not None:
            yield number, frame


def _all_of(kind: type) -> list[Any]:
    """All objects of a type; a library of greenlets may only be loaded, as SQLAlchemy does.

    Each walk is one call of C, without a line of Python in between, and goes to the end. A list of
    all objects that is alive while another thread runs also holds the tuple that this is about to
    fill from a generator, and makes it fail with a SystemError. And one that is not read to its end
    holds its own iterator.
    """
    # By type, not `isinstance`: that asks an app's object for its `__class__`, which may raise.
    if not sum(map(kind.__subclasscheck__, map(type, _everything()))):
        return []
    gc.collect(0)  # none in the middle, whose callbacks are Python
    twice = chain.from_iterable(map(partial(repeat, times=2), _everything()))
    return list(compress(twice, map(kind.__subclasscheck__, map(type, twice))))


def _everything() -> Iterator[object]:
    """All objects, which are asked for when the first one is read."""
    return chain.from_iterable(map(gc.get_objects, (None,)))


def fitting(answer: RequestStack) -> str:
    """As JSON; of a stack that is too long the source goes first, then the outermost frames."""
    text = json.dumps(answer)
    if len(text) > MAX_REPLY_BYTES:
        bare = [{**f, "source": {"first": f["line"], "lines": []}} for f in answer["frames"]]
        text = json.dumps({**answer, "frames": bare})
    while len(text) > MAX_REPLY_BYTES:
        bare = bare[len(bare) // 2 + 1 :]
        text = json.dumps({**answer, "frames": bare})
    return text
