"""`/runtime/requests/<worker>-<request>`: what the code of a request under way is doing.

The stack is asked of the worker that answers the request, at each visit anew. It shows code and
paths, as the pages of errors do, and no variable.
"""

from __future__ import annotations

import re
from typing import Any

from werkzeug.exceptions import NotFound

from inapp_monitor.web.backend import Backend
from inapp_monitor.web.findings.editor_link import editor_link
from inapp_monitor.web.frame import templating
from inapp_monitor.web.frame.records import as_dict
from inapp_monitor.web.frame.visit import Visit

_NAME = re.compile(r"([0-9]{1,9})-([0-9a-f]{1,32}-[0-9a-f]{4})", re.ASCII)


def gather(visit: Visit, name: str) -> dict[str, Any]:
    """The request's row, the state of its code, its stack, and what the state means."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise NotFound("a request under way is named by its worker and a number")
    pid, request = int(match[1]), match[2]
    answer = as_dict(visit.backend.stack_of(pid, request))
    editor = visit.backend.loaded.settings.editor
    frames = [{**frame, "editor_link": editor_link(editor, frame)} for frame in answer["frames"]]
    return {**answer, "frames": frames, "pid": pid, "words": _words(visit.backend, answer)}


def _words(backend: Backend, answer: dict[str, Any]) -> str:
    """What the state means, for people."""
    match answer["state"]:
        case "running":
            return f"in {answer['where']}"
        case "sending":
            return "no code of the app is running: the server is sending the answer"
        case "unknown":
            return (
                "no thread of the worker shows this request: it may wait in C code that runs "
                "without a Python frame, or be handed to another thread of the app"
            )
        case "silent":
            tick_s = backend.loaded.settings.flush_interval_s
            return (
                f"the worker did not answer within {answer.get('waited_s', 0):g} s. It looks every "
                f"{tick_s:g} s, and cannot while C code holds the interpreter or where the server "
                "runs no threads (uWSGI needs enable-threads)"
            )
        case _:
            return "it has ended meanwhile" if backend.live else "stored data: the app is not asked"


ROUTES = templating.page(
    "/runtime/requests/<name:name>", "/runtime/requests/<name:name>.json", gather, "stack.html"
)
