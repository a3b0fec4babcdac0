"""What the hooks of calls, caches, templates and queues share: timing one method of a class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inapp_monitor.ground.clock import perf_counter
from inapp_monitor.traces.spans import CACHE, in_cache_call, note

#: Stands for a text that cannot be made.
UNKNOWN = "(unknown)"


def timed(
    kind: int, text: Callable[..., str], result: Callable[[Any], int | None] = lambda _: None
) -> Callable[[Any], Any]:
    """Makes a method of the original one.

    Args:
        kind: Of the span.
        text: The span's text, of the method's arguments; must not hold data.
        result: What is known of the answer, such as a status.
    """

    def make(original: Any) -> Any:
        def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            start = perf_counter()
            try:
                answer = original(self, *args, **kwargs)
            except BaseException as error:
                note(kind, start, _text(text, self, args, kwargs), None, type(error).__name__)
                raise
            note(kind, start, _text(text, self, args, kwargs), None, None, _rows(result, answer))
            return answer

        return method

    return make


def timed_coroutine(
    kind: int,
    text: Callable[..., str],
    result: Callable[[Any], int | None] = lambda _: None,
    system: str | None = None,
) -> Callable[[Any], Any]:
    """As `timed`, of a coroutine; `system` is that of a cache."""

    def make(original: Any) -> Any:
        async def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            start = perf_counter()
            try:
                answer = await original(self, *args, **kwargs)
            except BaseException as error:
                note(kind, start, _text(text, self, args, kwargs), system, type(error).__name__)
                raise
            note(kind, start, _text(text, self, args, kwargs), system, None, _rows(result, answer))
            return answer

        return method

    return make


def timed_cache(
    system: str, text: Callable[..., str], hit: Callable[[Any], int | None] = lambda _: None
) -> Callable[[Any], Any]:
    """As `timed`, of a cache: silent below another cache's call."""

    def make(original: Any) -> Any:
        def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            if in_cache_call.get():
                return original(self, *args, **kwargs)
            in_cache_call.set(True)
            start = perf_counter()
            try:
                answer = original(self, *args, **kwargs)
            except BaseException as error:
                in_cache_call.set(False)
                shown = _text(text, self, args, kwargs)
                note(CACHE, start, shown, system, type(error).__name__)
                raise
            in_cache_call.set(False)
            note(CACHE, start, _text(text, self, args, kwargs), system, None, _rows(hit, answer))
            return answer

        return method

    return make


def _text(text: Callable[..., str], owner: Any, args: Any, kwargs: Any) -> str:
    try:
        return text(owner, *args, **kwargs)
    except Exception:  # noqa: BLE001  # another version of the library, or a stranger's subclass
        return UNKNOWN


def _rows(result: Callable[[Any], int | None], answer: Any) -> int | None:
    try:
        return result(answer)
    except Exception:  # noqa: BLE001  # a stranger's answer
        return None
