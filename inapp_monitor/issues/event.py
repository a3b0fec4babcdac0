"""An exception or a message as an event: plain JSON data, bounded, with nothing of the app alive.

Runs in the failing request's thread, because only there the frames exist; so it is bounded in time
(`WALL_BUDGET_S`) and size, and runs no code of the application but the `__str__` of an exception
class that has its own, in a thread that is not waited for. Scrubbing, compression and storage come
later, in the flush: see `finished_event`.

The shape of an event is described in `build`.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any

from inapp_monitor.ground import wsgi_text
from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.current_request import ENVIRON_KEY
from inapp_monitor.ground.frame_variables import OPTIMIZED, local_variables
from inapp_monitor.issues import exception_tree, fresh_stack, source_files, stack
from inapp_monitor.issues.code_places import CodePlaces
from inapp_monitor.issues.exception_message import MAX_MESSAGE_CHARS, message_of, syntax_place
from inapp_monitor.issues.render_values import MAX_VALUE_CHARS, Renderer
from inapp_monitor.issues.safe_text import HIDDEN
from inapp_monitor.issues.sensitive_variables import SensitiveVariables

WALL_BUDGET_S = 0.05
MAX_LOCALS = 40
#: Characters of local variables in one event.
LOCALS_CHARS = 36_000
LINES_AROUND, LIBRARY_LINES_AROUND = 5, 2
MAX_HEADERS, MAX_HEADER_CHARS = 50, 500

Event = dict[str, Any]

#: Begins what is noted where a frame has more variables than are kept.
_NAMED_CUT = "variables cut"


class EventBuilder:
    """Builds the events of one process.

    Args:
        clock: For the event's time and the wall budget.
        places: What is in-app.
        hides: Names of values that are hidden, see `Scrubber.hides`.
        remote_address: Whether the client's address is kept; without it, `hides` hides its names.
        with_locals: Whether local variables are kept.
    """

    def __init__(
        self,
        clock: Clock,
        places: CodePlaces,
        hides: Callable[[str, object], bool],
        *,
        remote_address: bool = False,
        with_locals: bool = True,
    ) -> None:
        self._clock = clock
        self._places = places
        self._hides = hides
        self._remote_address = remote_address
        self._with_locals = with_locals

    def build(
        self,
        exception: BaseException,
        environ: Mapping[str, Any] | None,
        *,
        route: str | None,
        channel: str,
    ) -> Event:
        """The event of an exception.

        Returns:
            A dict of JSON types: `id`, `time` (s since 1970 UTC), `level`, `channel`, `type`,
            `message`, `culprit`, `exceptions` (the raised one first; each with `type`, `module`,
            `message`, `notes`, `relation`, `parent`, `group`, `syntax`, `frames`, `left_out`),
            `route`, `request`, `thread`, `worker` and `cuts`, which names everything that a limit
            took away; `sensitive`, until it is finished, has values that must not be in it.
            Frames are outermost first, each with `function`,
            `module`, `file`, `line`, `end_line`, `column`, `end_column`, `in_app`, `repeated`,
            `source` (`first` line number and `lines`) and `locals`.
        """
        renderer, sensitive, exceptions = fresh_stack.call(lambda: self._exceptions(exception))
        raised = exceptions[0]
        return self._event(
            level="error",
            channel=channel,
            type=raised["type"],
            module=raised["module"],
            message=raised["message"],
            culprit=culprit(raised["frames"], route),
            exceptions=exceptions,
            route=route,
            request=None if environ is None else self.request(environ),
            cuts=sorted(renderer.cuts),
            **({"sensitive": sorted(sensitive.values)} if sensitive.values else {}),
        )

    def _exceptions(
        self, exception: BaseException
    ) -> tuple[Renderer, SensitiveVariables, list[Event]]:
        """The exceptions of an event, with their locals, and what was found on the way."""
        deadline = self._clock.perf() + WALL_BUDGET_S
        renderer = Renderer(self._hides, lambda: self._clock.perf() > deadline)
        sensitive = SensitiveVariables()
        links, more = exception_tree.walk(exception)
        walked = [stack.steps(exception_tree.traceback_of(link.exception)) for link in links]
        exceptions = []
        try:
            for link, (steps, left_out) in zip(links, walked, strict=True):
                exceptions.append(self._exception(link, steps, left_out, renderer))
            if self._with_locals:
                self._add_locals([steps for steps, _ in walked], exceptions, renderer, sensitive)
        finally:
            del links, walked
        if more:
            renderer.cuts.add(f"more than {exception_tree.MAX_EXCEPTIONS} linked exceptions")
        return renderer, sensitive, exceptions

    def build_message(
        self,
        message: str,
        environ: Mapping[str, Any] | None,
        *,
        kind: str,
        level: str,
        route: str | None,
        channel: str,
        frame: FrameType | None = None,
    ) -> Event:
        """The event of a message; `frame` is where it came from, for its stack."""
        frames = [self._frame(step) for step in stack.calling_steps(frame)]
        synthetic = {
            "type": kind,
            "module": "",
            "message": message[:MAX_MESSAGE_CHARS],
            "notes": [],
            "relation": "raised",
            "parent": None,
            "group": False,
            "frames": frames,
            "left_out": 0,
        }
        return self._event(
            level=level,
            channel=channel,
            type=kind,
            module="",
            message=message[:MAX_MESSAGE_CHARS],
            culprit=culprit(frames, route),
            exceptions=[synthetic] if frames else [],
            route=route,
            request=None if environ is None else self.request(environ),
            cuts=[] if len(message) <= MAX_MESSAGE_CHARS else ["the message is cut"],
        )

    def request(self, environ: Mapping[str, Any]) -> Event:
        """Method, URL, query and headers of a WSGI environ; never the body, never scrubbed yet.

        `after_ms` is the time since the request began, where the request path noted it.
        """
        headers: list[list[str]] = []
        for key, value in environ.items():
            if type(key) is not str or type(value) is not str or len(headers) >= MAX_HEADERS:
                continue
            if key.startswith("HTTP_"):
                headers.append([key[5:].replace("_", "-").title(), value[:MAX_HEADER_CHARS]])
            elif key in ("CONTENT_TYPE", "CONTENT_LENGTH") and value:
                headers.append([key.replace("_", "-").title(), value[:MAX_HEADER_CHARS]])
        path = _latin(environ, "SCRIPT_NAME") + _latin(environ, "PATH_INFO")
        facts: Event = {
            "method": _string(environ, "REQUEST_METHOD"),
            "scheme": _string(environ, "wsgi.url_scheme"),
            "host": _string(environ, "HTTP_HOST") or _string(environ, "SERVER_NAME"),
            "path": path[:2_000],
            "query": _string(environ, "QUERY_STRING")[:2_000],
            "headers": headers,
        }
        start = getattr(environ.get(ENVIRON_KEY), "start", None)
        if type(start) is float:
            facts["after_ms"] = round((self._clock.perf() - start) * 1000, 3)
        if self._remote_address:
            facts["remote_address"] = _string(environ, "REMOTE_ADDR")
        return facts

    def frames(self, steps: Sequence[stack.Step]) -> list[Event]:
        """Frames without variables, not scrubbed yet."""
        return [self._frame(step) for step in steps]

    # -- inside

    def _event(self, **parts: Any) -> Event:
        return {
            "id": uuid.uuid4().hex,
            "time": self._clock.wall(),
            **parts,
            "worker": os.getpid(),
            "thread": threading.current_thread().name,
        }

    def _exception(
        self,
        link: exception_tree.Link,
        steps: Sequence[stack.Step],
        left_out: int,
        renderer: Renderer,
    ) -> Event:
        cls = type(link.exception)
        if left_out:
            renderer.cuts.add(f"{left_out} frames left out")
        facts: Event = {
            "type": exception_tree.class_short_name(cls),
            "module": exception_tree.class_module(cls),
            "message": message_of(link.exception, renderer),
            "notes": [note[:2_000] for note in exception_tree.notes_of(link.exception)],
            "relation": link.relation,
            "parent": link.parent,
            "group": exception_tree.is_group(link.exception),
            "frames": [self._frame(step) for step in steps],
            "left_out": left_out,
        }
        if issubclass(cls, SyntaxError):
            facts["syntax"] = syntax_place(link.exception, renderer)
        return facts

    def _frame(self, step: stack.Step) -> Event:
        code = step.frame.f_code
        module = stack.module_of(step.frame)
        function = stack.function_of(code)
        in_app = self._places.in_app(code.co_filename, module, function)
        where = stack.position(code, step.instruction, step.line)
        lines = source_files.lines_of(code, step.line, step.frame.f_globals)
        around = LINES_AROUND if in_app else LIBRARY_LINES_AROUND
        first = max(step.line - 1 - around, 0)
        return {
            "function": function,
            "module": module,
            "file": code.co_filename,
            "line": step.line,
            "end_line": where.end_line,
            "column": where.column if where.line == step.line else None,
            "end_column": where.end_column,
            "in_app": in_app,
            "repeated": step.repeated,
            "source": {
                "first": first + 1,
                "lines": [
                    line.rstrip("\r\n")[: stack.MAX_SOURCE_LINE]
                    for line in lines[first : step.line + around]
                ],
            },
        }

    def _add_locals(
        self,
        walked: Sequence[Sequence[stack.Step]],
        exceptions: Sequence[Event],
        renderer: Renderer,
        sensitive: SensitiveVariables,
    ) -> None:
        """Fill in the local variables, in-app and innermost frames first, while there is room.

        What is cut of the variables of libraries is not named: nobody looks for it there.
        """
        room = LOCALS_CHARS
        for wanted in (True, False):
            own_cuts = set(renderer.cuts)
            for steps, facts in zip(walked, exceptions, strict=True):
                for step, frame in reversed(list(zip(steps, facts["frames"], strict=True))):
                    if frame["in_app"] is not wanted:
                        continue
                    if room <= 0:
                        renderer.cuts.add("no room for the variables of some frames")
                        frame["locals"] = {}
                        continue
                    frame["locals"] = self._locals(
                        step.frame, renderer, min(room, 8_000), sensitive, in_app=wanted
                    )
                    room -= sum(map(len, frame["locals"].values()))
            if not wanted:  # but for what names the frame
                renderer.cuts = {c for c in renderer.cuts if c in own_cuts or _NAMED_CUT in c}

    def _locals(
        self,
        frame: FrameType,
        renderer: Renderer,
        room: int,
        sensitive: SensitiveVariables,
        *,
        in_app: bool,
    ) -> dict[str, str]:
        names = local_variables(frame)
        at_module_level = not frame.f_code.co_flags & OPTIMIZED
        hidden = sensitive.hidden_in(frame, names)
        found: dict[str, str] = {}
        for name, value in names.items():
            if type(name) is not str or (len(name) > 4 and name[:2] == name[-2:] == "__"):
                continue
            if at_module_level and _is_definition(value):
                continue
            if not in_app and not self._remote_address and _is_environ(value):
                continue  # adds nothing to the event's request but the client's address
            if len(found) >= MAX_LOCALS or room <= 0:
                more = len(names) - len(found)
                renderer.cuts.add(f"{_NAMED_CUT}: {more} more in {frame.f_code.co_name}"[:200])
                break
            if name in hidden:
                sensitive.remember(value)
                found[name[:100]] = HIDDEN
                continue
            shown = renderer.named(name, value, min(MAX_VALUE_CHARS, room))
            room -= len(shown)
            found[name[:100]] = shown
        return found


def culprit(frames: Sequence[Mapping[str, Any]], route: str | None) -> str:
    """Where it happened: the innermost in-app function, else the route, else the innermost."""
    for frame in reversed(frames):
        if frame["in_app"]:
            return f"{frame['module']}.{frame['function']}"[:200]
    if route:
        return route
    return f"{frames[-1]['module']}.{frames[-1]['function']}"[:200] if frames else ""


def _is_definition(value: object) -> bool:
    kind = type(value)
    return issubclass(kind, type) or exception_tree.class_short_name(kind) in (
        "module",
        "function",
        "builtin_function_or_method",
    )


def _is_environ(value: Any) -> bool:
    return issubclass(type(value), dict) and dict.__contains__(value, "REQUEST_METHOD")


def _string(environ: Mapping[str, Any], key: str) -> str:
    value = environ.get(key)
    return value if type(value) is str else ""


def _latin(environ: Mapping[str, Any], key: str) -> str:
    """A WSGI string (bytes as latin-1) as the text it means."""
    return wsgi_text.decode(_string(environ, key))
