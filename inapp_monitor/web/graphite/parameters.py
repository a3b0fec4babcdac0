"""Parameters of the Graphite endpoints: query string and form body together."""

from __future__ import annotations

import json
import re
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from werkzeug.datastructures import CombinedMultiDict
from werkzeug.wrappers import Response

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.timespec import parse_time, parse_zone
from inapp_monitor.web.frame.zones import configured

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

_CALLBACK = re.compile(r"[A-Za-z_$][\w$.]{0,99}", re.ASCII)


class Parameters:
    """What a client sent, by name; the last value wins where one is asked for."""

    __slots__ = ("_all",)

    def __init__(self, request: Request) -> None:
        # Form after query: the later one wins.
        self._all: CombinedMultiDict[str, str] = CombinedMultiDict([request.form, request.args])

    def __contains__(self, name: str) -> bool:
        return name in self._all

    def text(self, name: str, default: str = "") -> str:
        """The value, or the default."""
        for part in self._all.dicts:
            values = part.getlist(name)
            if values:
                return str(values[-1])
        return default

    def texts(self, name: str) -> list[str]:
        """All values; those of `name[]` when there are none."""
        found = [v for part in reversed(self._all.dicts) for v in part.getlist(name)]
        if found or name.endswith("[]"):
            return found
        return self.texts(f"{name}[]")

    def items(self) -> dict[str, str]:
        """Every name with its value."""
        return {name: self.text(name) for name in self._all}

    def everything(self) -> list[tuple[str, str, str]]:
        """All that was sent, in order, each with where it was sent: what an answer follows from."""
        places = zip(("form", "query"), self._all.dicts, strict=False)
        return [
            (place, name, value) for place, part in places for name, value in part.items(multi=True)
        ]

    def integer(self, name: str, default: int = 0) -> int:
        """A whole number.

        Raises:
            QueryError: it is something else.
        """
        given = self.text(name)
        if name not in self:
            return default
        if re.fullmatch(r"-?[0-9]{1,18}", given) is None:
            raise QueryError(f"parameter {name!r} must be a whole number, got {given[:40]!r}")
        return int(given)

    def number(self, name: str, default: float) -> float:
        """A number.

        Raises:
            QueryError: it is something else.
        """
        given = self.text(name)
        if not given:
            return default
        try:
            value = float(given)
        except ValueError:
            value = float("nan")
        if value != value:
            raise QueryError(f"parameter {name!r} must be a number, got {given[:40]!r}")
        return value

    def zone(self, time_zone: str) -> tzinfo:
        """The zone `tz`; when it is missing or unknown that of the setting, as in Graphite."""
        return parse_zone(self.text("tz")) or configured(time_zone).tz

    def moment(self, name: str, now: int, tz: tzinfo) -> int:
        """A time.

        Raises:
            QueryError: it is none; names the parameter.
        """
        try:
            return parse_time(self.text(name), now, tz)
        except QueryError as error:
            raise QueryError(f"parameter {name!r}: {error}") from None

    def callback(self) -> str:
        """The name of a JSONP function, or nothing.

        Raises:
            QueryError: it is no plain name.
        """
        given = self.text("jsonp")
        if given and _CALLBACK.fullmatch(given) is None:
            raise QueryError(f"parameter 'jsonp' must be a function name, got {given[:40]!r}")
        return given


def json_answer(value: Any, parameters: Parameters, status: int = 200) -> Response:
    """A value as JSON; `pretty` indents, `jsonp` wraps it into a call."""
    indent = 2 if parameters.text("pretty") else None
    text = json.dumps(value, indent=indent, allow_nan=False)
    return script_answer(text, parameters, status)


def script_answer(text: str, parameters: Parameters, status: int = 200) -> Response:
    """JSON text, wrapped into a call when `jsonp` asks for it."""
    callback = parameters.callback()
    if callback:
        return Response(f"{callback}({text})", status, content_type="text/javascript")
    return Response(text, status, content_type="application/json")
