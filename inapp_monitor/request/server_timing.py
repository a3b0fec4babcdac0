"""The header `Server-Timing` (W3C): what a request spent its time on, for a browser's network tab.

Written on development servers to clients of the same machine, or where the setting says so. It is
made when the answer begins, of the spans until then, and names the page of the request's trace:
all such requests are kept, as those that ask for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from inapp_monitor.ground.development_server import is_development_server
from inapp_monitor.ground.request_key import request_key
from inapp_monitor.request.bodies import length_of_body
from inapp_monitor.traces.breakdown import PART_OF
from inapp_monitor.traces.spans import RawSpan, Spans

_LOCAL: Final = ("127.0.0.1", "::1", "::ffff:127.0.0.1", "localhost")
NAME: Final = "Server-Timing"


class ServerTiming:
    """Whether and how the header is written by one monitor.

    Args:
        mode: The setting: `auto`, `on` or `off`.
        mount: Where the dashboard is.
        clock: Performance counter.

    Attributes:
        is_on: Whether requests get it, as of the last look.
    """

    def __init__(self, mode: str, mount: str, clock: Callable[[], float]) -> None:
        self.is_on = False
        self._mode = mode
        self._mount = mount
        self._clock = clock
        self._types: dict[type, type] = {}

    def type_for(self, base: type, environ: Mapping[str, Any]) -> type:
        """The type of the exchanges to come. Asked a few times a second."""
        if base in self._types.values() or self._mode == "off":
            return base
        if self._mode != "on" and not is_development_server(environ):
            return base
        self.is_on = True
        timed = self._types.get(base)
        if timed is None:
            timed = self._types[base] = _timed(base, self)
        return timed

    def header(self, request: Any) -> str | None:
        """The header's value; None when this client gets none."""
        environ = request.environ
        if environ is None:
            return None
        if self._mode != "on" and environ.get("REMOTE_ADDR") not in _LOCAL:
            return None
        if request.spans is None:
            request.spans = Spans()  # so that it is handed over, and kept, though it did nothing
        entries = [
            f'{part};desc="{count} {part}";dur={seconds * 1000:.2f}'
            for part, (count, seconds) in sums(request.spans).items()
        ]
        entries.append(f"total;dur={(self._clock() - request.start) * 1000:.2f}")
        root = str(environ.get("SCRIPT_NAME", "")).removesuffix(request.moved_prefix())
        place = f"{root}{self._mount}/traces/{request_key(request.start)}"
        if place.isascii() and place.isprintable() and not set(place) & set('"\\'):
            entries.append(f'trace;desc="{place}"')
        return ", ".join(entries)


def _timed(base: Any, timing: ServerTiming) -> type:
    """An exchange that adds the header to what the application says."""

    class Timed(base):  # type: ignore[misc]
        __slots__ = ()

        def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
            try:
                value = timing.header(self)
                if value is not None and type(headers) is list:
                    headers = [*headers, (NAME, value)]
            except Exception as error:  # noqa: BLE001  # the application must not see it
                self.hooks.broke(error)
            return super().start_response(status, headers, exc_info)

    attributes = {"__slots__": (), "__len__": length_of_body}
    Timed.sized_type = type("SizedTimed", (Timed,), attributes)
    return Timed


def sums(spans: list[RawSpan]) -> dict[str, tuple[int, float]]:
    """Number and seconds by part, of outermost spans: what lies in another is the other's."""
    found: dict[str, tuple[int, float]] = {}
    ends: dict[int, float] = {}
    for kind, start, end, _, thread, *_ in sorted(spans, key=lambda each: (each[1], -each[2])):
        part = PART_OF.get(kind)
        if part is None:
            continue
        count, seconds = found.get(part, (0, 0.0))
        is_outermost = start >= ends.get(thread, float("-inf"))
        if is_outermost:
            ends[thread] = end
        found[part] = count + 1, seconds + (end - start if is_outermost else 0.0)
    return found
