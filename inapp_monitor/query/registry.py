"""The table of functions: names, groups, parameters; argument checking comes from it. Pure.

A function registers itself with `@function(...)`. It is called with its arguments in the order of
its parameters, the last one repeated if it is `multiple`; missing ones have their defaults. Its
docstring is the description that `/functions` and the reference page show. A first parameter
called `context` means that it wants the `Context` (window, request options, further evaluation).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.aggregation import AGGREGATIONS
from inapp_monitor.query.series import Series
from inapp_monitor.query.timespec import parse_offset

#: Graphite's parameter types and the error that a client gets when a value is none of them.
EXPECTATIONS = {
    "aggFunc": f"an aggregation function ({', '.join(AGGREGATIONS)})",
    "aggOrSeriesFunc": "the name of an aggregation or of a function",
    "any": "a number or a series list",
    "boolean": "true or false",
    "date": "a time such as 'now-1d' in quotes",
    "float": "a number",
    "intOrInf": "a whole number or inf",
    "intOrInterval": "a whole number of points or an interval such as '5min'",
    "integer": "a whole number",
    "interval": "an interval such as '5min' in quotes",
    "node": "the number of a node",
    "nodeOrTag": "the number of a node or a tag name in quotes",
    "path": "the path of a distribution",
    "seriesList": "a series list",
    "seriesLists": "groups of series, as mapSeries() makes them",
    "string": "a text in quotes",
    "tag": "a tag name in quotes",
}


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter.

    Attributes:
        name, type: As Graphite calls them.
        required: Whether it must be given.
        default: Its value otherwise.
        multiple: Takes all further arguments.
        options, suggestions: Values that an editor offers; `options` are checked if `strict`.
        also: Other keywords for it.
        fractions: A whole number is asked for, yet fractions work.
        lenient: May be left out although it is shown as required.
    """

    name: str
    type: str
    required: bool = False
    default: Any = None
    multiple: bool = False
    options: tuple[Any, ...] = ()
    suggestions: tuple[Any, ...] = ()
    strict: bool = False
    also: tuple[str, ...] = ()
    fractions: bool = False
    lenient: bool = False

    def to_json(self) -> dict[str, Any]:
        """In the shape of `/functions`."""
        shown: dict[str, Any] = {"name": self.name, "type": self.type}
        options = list(self.options)
        if self.type in ("aggFunc", "aggOrSeriesFunc"):
            options += AGGREGATIONS
        if self.type == "aggOrSeriesFunc":
            options += [name for name, f in FUNCTIONS.items() if f.aggregator]
        for key, value in (
            ("required", self.required),
            ("default", self.default),
            ("multiple", self.multiple),
            ("options", sorted(options, key=str)),
            ("suggestions", list(self.suggestions)),
        ):
            if value not in (None, False, []) or (key == "default" and value is False):
                shown[key] = value
        return shown


def series_list(
    name: str = "seriesList", *, required: bool = True, multiple: bool = False
) -> Param:
    """A parameter that takes series."""
    return Param(name, "seriesList", required=required, multiple=multiple, lenient=multiple)


@dataclass(frozen=True, slots=True)
class Function:
    """A registered function.

    Attributes:
        name, group, params: What clients see.
        call: The implementation.
        description: Its docstring.
        aggregator: Makes one series out of many: a callback of groupByNode and the like.
        wants_context: Its first parameter is the context.
        module: Where it is implemented.
    """

    name: str
    group: str
    params: tuple[Param, ...]
    call: Callable[..., Any] = field(repr=False)
    description: str
    aggregator: bool
    wants_context: bool
    module: str

    @property
    def signature(self) -> str:
        """`name(required, optional=default, *multiple)`."""
        parts = []
        for param in self.params:
            if param.multiple:
                parts.append(f"*{param.name}")
            elif param.required:
                parts.append(param.name)
            else:
                parts.append(f"{param.name}={param.default!r}")
        return f"{self.name}({', '.join(parts)})"

    def to_json(self) -> dict[str, Any]:
        """In the shape of `/functions/NAME`."""
        return {
            "name": self.name,
            "function": self.signature,
            "description": self.description,
            "module": self.module,
            "group": self.group,
            "params": [param.to_json() for param in self.params],
        }


Implementation = TypeVar("Implementation", bound=Callable[..., Any])
#: Every function by name, aliases included.
FUNCTIONS: dict[str, Function] = {}


def function(
    name: str, group: str, *params: Param, also: tuple[str, ...] = (), aggregator: bool = False
) -> Callable[[Implementation], Implementation]:
    """Register an implementation under a name and its aliases."""

    def register(call: Implementation) -> Implementation:
        wants_context = next(iter(inspect.signature(call).parameters), "") == "context"
        for each in (name, *also):
            assert each not in FUNCTIONS, each
            FUNCTIONS[each] = Function(
                each,
                group,
                params,
                call,
                inspect.getdoc(call) or "",
                aggregator,
                wants_context,
                call.__module__,
            )
        return call

    return register


def bind(f: Function, arguments: Sequence[Any], keywords: dict[str, Any]) -> list[Any]:
    """Arguments in the order of the parameters, checked and converted.

    Raises:
        QueryError: too many, missing, unknown or wrong ones; names function and parameter.
    """
    values: dict[str, Any] = {}
    rest: list[Any] = []
    fixed = [p for p in f.params if not p.multiple]
    variadic = f.params[-1] if f.params and f.params[-1].multiple else None
    for i, argument in enumerate(arguments):
        if i < len(fixed):
            values[fixed[i].name] = convert(f, fixed[i], argument)
        elif variadic is not None:
            rest.append(convert(f, variadic, argument))
        else:
            raise QueryError(f"{f.name}(): takes at most {len(fixed)} arguments: {f.signature}")
    for keyword, argument in keywords.items():
        param = next((p for p in f.params if keyword == p.name or keyword in p.also), None)
        if param is None:
            raise QueryError(f"{f.name}(): unknown keyword {keyword!r}: {f.signature}")
        if param.multiple:
            rest.append(convert(f, param, argument))
        elif param.name in values:
            raise QueryError(f"{f.name}(): parameter {param.name!r} is given twice")
        else:
            values[param.name] = convert(f, param, argument)
    for param in fixed:
        if param.name not in values and param.required:
            raise _missing(f, param)
    if variadic is not None and variadic.required and not variadic.lenient and not rest:
        raise _missing(f, variadic)
    return [values.get(p.name, p.default) for p in fixed] + rest


def _missing(f: Function, param: Param) -> QueryError:
    expected = EXPECTATIONS[param.type]
    return QueryError(f"{f.name}(): parameter {param.name!r} is missing, expected {expected}")


def convert(f: Function, param: Param, value: Any) -> Any:
    """The value as the parameter's type.

    Raises:
        QueryError: it is something else.
    """
    if value is None and param.type == "boolean":
        return False
    if value is None and param.default is None and not param.required and not param.multiple:
        return None
    if isinstance(value, bool) and any(value is option for option in param.options):
        return value
    try:
        converted = _CONVERTERS[param.type](value, param)
    except (TypeError, ValueError, OverflowError):
        raise QueryError(
            f"{f.name}(): parameter {param.name!r} must be {EXPECTATIONS[param.type]}, "
            f"got {_shown(value)}"
        ) from None
    if param.strict and converted not in param.options:
        options = ", ".join(map(str, param.options))
        raise QueryError(
            f"{f.name}(): parameter {param.name!r} must be one of {options}, got {_shown(value)}"
        )
    return converted


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)} series"
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _to_boolean(value: Any, _param: Param) -> bool:
    if isinstance(value, str):
        if value.lower() not in ("true", "false", ""):
            raise ValueError
        return value.lower() == "true"
    if isinstance(value, list):
        raise TypeError
    return bool(value)


def _to_float(value: Any, _param: Param) -> float:
    if isinstance(value, (list, tuple)):
        raise TypeError
    return float(value)


def _to_integer(value: Any, param: Param) -> int | float:
    if isinstance(value, float):
        if param.fractions and math.isfinite(value):
            return value
        raise ValueError
    return int(value)


def _to_integer_or_infinity(value: Any, _param: Param) -> int | float:
    if isinstance(value, str):
        value = float(value) if value.lower() in ("inf", "infinity") else int(value)
    if isinstance(value, float) and math.isnan(value):
        raise ValueError
    return value if isinstance(value, (int, float)) else int(value)


def _to_window(value: Any, _param: Param) -> int | str:
    """Points or an interval."""
    if isinstance(value, str):
        parse_offset(value)
        return value
    number = int(value)
    if number < 0:
        raise ValueError
    return number


def _to_interval(value: Any, _param: Param) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    try:
        parse_offset(value)
    except QueryError:
        raise ValueError from None
    return value


def _to_text(value: Any, _param: Param) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _to_node(value: Any, _param: Param) -> int | str:
    if isinstance(value, str):
        return value
    if not isinstance(value, int):
        raise TypeError
    return value


def _to_aggregation(value: Any, _param: Param) -> str:
    if not isinstance(value, str) or value.removesuffix("Series") not in AGGREGATIONS:
        raise ValueError
    return value


def _to_callback(value: Any, param: Param) -> str:
    if value in FUNCTIONS:
        return str(value)
    return _to_aggregation(value, param)


def _to_series_list(value: Any, _param: Param) -> list[Series]:
    if isinstance(value, list) and all(isinstance(s, Series) for s in value):
        return value
    raise TypeError


def _to_groups(value: Any, _param: Param) -> list[list[Series]]:
    if isinstance(value, Groups):
        return value.lists
    if isinstance(value, list) and not value:
        return []
    raise TypeError


def _to_path(value: Any, _param: Param) -> str:
    """A text; an unquoted path comes as the series that it matches, and is looked up later."""
    if isinstance(value, list):
        return ""
    return _to_text(value, _param)


def _to_any(value: Any, param: Param) -> Any:
    if isinstance(value, list):
        return _to_series_list(value, param)
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    raise TypeError


@dataclass(frozen=True, slots=True)
class Groups:
    """What `mapSeries` hands to `reduceSeries`; it cannot be drawn."""

    lists: list[list[Series]]


_CONVERTERS: dict[str, Callable[[Any, Param], Any]] = {
    "aggFunc": _to_aggregation,
    "aggOrSeriesFunc": _to_callback,
    "any": _to_any,
    "boolean": _to_boolean,
    "date": _to_text,
    "float": _to_float,
    "intOrInf": _to_integer_or_infinity,
    "intOrInterval": _to_window,
    "integer": _to_integer,
    "interval": _to_interval,
    "node": _to_integer,
    "nodeOrTag": _to_node,
    "seriesList": _to_series_list,
    "path": _to_path,
    "seriesLists": _to_groups,
    "string": _to_text,
    "tag": _to_text,
}
