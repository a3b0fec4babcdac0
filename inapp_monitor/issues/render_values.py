"""Local variables as text, without running any code of the application.

A `__repr__` of the application can raise, hang, run a database query, change something or show what
it should not. So none is called: builtin and well-known standard types are printed by their own C
code, everything else is shown by its structure, `Order(id=5, items=[...])`, read from the instance
dictionary and the slots through C-level descriptors. ORM objects are shown as type and key; lazy
objects, generators and files as their type. Every limit that cut something is noted in `cuts`.

Nothing is kept: what goes in are objects, what comes out is text.
"""

from __future__ import annotations

import io
import sys
import types
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from inapp_monitor.issues import framework_objects
from inapp_monitor.issues.exception_tree import (
    arguments_of,
    class_lineage,
    class_module,
    class_namespace,
    class_qualname,
    class_short_name,
)
from inapp_monitor.issues.safe_text import HIDDEN

MAX_VALUE_CHARS = 1_000
MAX_ITEMS = 20
MAX_DEPTH = 4
#: Integers above this are described: printing them takes quadratic time.
_LARGE = 1 << 2_000

_HIDDEN_ITEM = object()

#: Standard types whose own repr runs no foreign code; found by name, so that nothing is imported.
_PLAIN = frozenset(
    {
        ("decimal", "Decimal"),
        ("fractions", "Fraction"),
        ("uuid", "UUID"),
        ("datetime", "date"),
        ("datetime", "timedelta"),
        ("datetime", "timezone"),
        ("re", "Pattern"),
        ("pathlib._local", "PosixPath"),  # 3.13
        ("pathlib._local", "PurePosixPath"),
        ("pathlib", "PosixPath"),
        ("pathlib", "PurePosixPath"),
        ("pathlib", "WindowsPath"),
        ("pathlib", "PureWindowsPath"),
        ("ipaddress", "IPv4Address"),
        ("ipaddress", "IPv6Address"),
        ("zoneinfo", "ZoneInfo"),
        ("builtins", "range"),
        ("builtins", "complex"),
    }
)
_ARRAYS = frozenset({("numpy", "ndarray")})
_TIMES = frozenset({("datetime", "datetime"), ("datetime", "time")})
_FUNCTIONS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
)
_RUNNING = (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)
#: The base of all files; `io.IOBase` is an ABC, and those ask the metaclass of what they compare.
_File: type = io.IOBase.__base__  # type: ignore[assignment]
_INNER = (types.FrameType, types.CodeType, types.TracebackType)
_SPECIAL = (*_FUNCTIONS, *_RUNNING, *_INNER, _File, types.ModuleType, type)
#: An instance attribute that gives an ORM object away: Django, SQLAlchemy, peewee.
_ORM_MARKS = ("_state", "_sa_instance_state", "__data__")
_ORM_KEYS = ("id", "pk", "uuid")


class _CutError(Exception):
    """The text is long enough."""


class _LateError(Exception):
    """The time for this event is over."""


class Renderer:
    """Renders the values of one event.

    Args:
        hides: Whether the value under a name (and of this kind) is to be hidden.
        late: Whether the wall time for this event is over.
    """

    def __init__(
        self,
        hides: Callable[[str, object], bool] = lambda _name, _value: False,
        late: Callable[[], bool] = lambda: False,
    ) -> None:
        self._hides = hides
        self._late = late
        self._pieces: list[str] = []
        self._room = 0
        self._open: set[int] = set()
        self._rendered: dict[int, str] = {}
        self.cuts: set[str] = set()

    def render(self, value: object, limit: int = MAX_VALUE_CHARS) -> str:
        """One value as text of at most about `limit` characters."""
        self._pieces = []
        self._room = limit
        self._open = set()
        try:
            self._write(value, 0)
        except _CutError:
            self._pieces.append("…")
            self.cuts.add(f"values longer than {MAX_VALUE_CHARS} characters are cut")
        except _LateError:
            self._pieces.append("…")
            self.cuts.add("out of time: some values are missing")
        except RecursionError:
            self._pieces.append("…")
            self.cuts.add("values nested too deeply are cut")
        except RuntimeError:
            self._pieces.append("… (changed while it was read)")
            self.cuts.add("a value changed while it was read")
        return "".join(self._pieces)

    def named(self, name: str, value: object, limit: int = MAX_VALUE_CHARS) -> str:
        """The value of a variable, hidden when its name asks for it.

        The same object in several frames is rendered once; the frames keep it alive meanwhile.
        """
        if self._hides(name, value):
            return HIDDEN
        if limit < MAX_VALUE_CHARS:
            return self.render(value, limit)
        shown = self._rendered.get(id(value))
        if shown is None:
            shown = self._rendered[id(value)] = self.render(value, limit)
        return shown

    # -- inside

    def _put(self, text: str) -> None:
        self._pieces.append(text)
        self._room -= len(text)
        if self._room < 0:
            self._pieces[-1] = text[: self._room] if -self._room < len(text) else ""
            raise _CutError

    def _write(self, value: object, depth: int) -> None:
        cls = type(value)
        if cls is str:
            room = self._room
            self._put(repr(value) if len(value) <= room else repr(value[:room]))  # type: ignore[arg-type, index]
        elif cls is int:
            self._integer(value)  # type: ignore[arg-type]
        elif value is None or cls is bool or cls is float:
            self._put(repr(value))
        elif value is _HIDDEN_ITEM:
            self._put(HIDDEN)
        elif self._late():
            raise _LateError
        elif id(value) in self._open:
            self._put("<cyclic>")
        else:
            self._open.add(id(value))
            if cls is dict:
                self._mapping(value, "", depth)  # type: ignore[arg-type]
            else:
                self._compound(value, cls, depth)
            self._open.discard(id(value))

    def _compound(self, value: Any, cls: type, depth: int) -> None:
        name = class_short_name(cls)
        if value is ... or value is NotImplemented or _is_one_of(_PLAIN, cls):
            self._put(repr(value)[: self._room + 1])
        elif issubclass(cls, _SPECIAL):
            self._put(_special(value, cls))
        elif issubclass(cls, dict):
            self._mapping(value, "" if cls is dict else name, depth)
        elif issubclass(cls, (list, tuple, set, frozenset, deque)):
            self._sequence(value, cls, name, depth)
        elif issubclass(cls, str):
            self._text(str.__str__(value), name)
        elif issubclass(cls, (bytes, bytearray)):
            self._bytes(value, cls, name)
        elif _is_enum(cls):
            member = _instance_dictionary(value, cls).get("_name_")
            self._put(f"{name}.{member}" if type(member) is str else f"<{name}>")
        elif issubclass(cls, int):
            self._put(f"{name}(")
            self._integer(int.__int__(value))
            self._put(")")
        elif issubclass(cls, float):
            self._put(f"{name}({float.__repr__(value)})")
        elif issubclass(cls, BaseException):
            self._put(f"{name}(")
            self._items(arguments_of(value), depth)
            self._put(")")
        elif _is_one_of(_TIMES, cls):
            zone = value.tzinfo
            bare = repr(value.replace(tzinfo=None))
            self._put(
                bare if zone is None else f"{bare[:-1]}, tzinfo={class_qualname(type(zone))})"
            )
        else:
            self._object(value, cls, name, depth)

    def _integer(self, value: int) -> None:
        if -_LARGE < value < _LARGE:
            self._put(repr(value))
        else:
            self._put(f"<int of {value.bit_length()} bits>")

    def _text(self, value: str, name: str) -> None:
        room = max(self._room, 0)
        shown = repr(value if len(value) <= room else value[:room])
        self._put(f"{name}({shown})" if name else shown)

    def _bytes(self, value: bytes | bytearray, cls: type, name: str) -> None:
        base: Any = bytes if issubclass(cls, bytes) else bytearray
        shown = repr(bytes(base.__getitem__(value, slice(0, max(self._room, 0)))))
        self._put(shown if cls is bytes else f"{name}({shown})")

    def _sequence(self, value: Any, cls: type, name: str, depth: int) -> None:
        fields = _named_tuple_fields(cls)
        if fields:
            self._pairs(name, zip(fields, tuple.__iter__(value), strict=False), len(fields), depth)
            return
        opening, closing, base = _BRACKETS[next(b for b in _BRACKETS if issubclass(cls, b))]
        length = base.__len__(value)
        plain = cls is list or cls is tuple or cls is set  # `in` would ask the metaclass
        if not plain:
            self._put(f"{name}(")
        if depth >= MAX_DEPTH and length:
            self.cuts.add(f"values deeper than {MAX_DEPTH} levels are cut")
            self._put(f"{opening}…{closing}")
        else:
            self._put(opening)
            items = list(islice(base.__iter__(value), MAX_ITEMS))
            if length == 2 or (length == 3 and cls is tuple):  # such as a header
                name_of_item = _name_of(items[0])
                if name_of_item and self._hides(name_of_item, items[1]):
                    items[1] = _HIDDEN_ITEM
            self._items(items, depth, length)
            self._put(",)" if cls is tuple and length == 1 else closing)
        if not plain:
            self._put(")")

    def _items(self, items: Iterable[object], depth: int, length: int | None = None) -> None:
        shown = 0
        for item in items:
            if shown:
                self._put(", ")
            self._write(item, depth + 1)
            shown += 1
        self._more(shown, length)

    def _more(self, shown: int, length: int | None) -> None:
        if length is not None and length > shown:
            self.cuts.add(f"collections are cut after {MAX_ITEMS} items")
            self._put(f", … {length - shown} more")

    def _mapping(self, value: dict[Any, Any], name: str, depth: int) -> None:
        length = dict.__len__(value)
        self._put(f"{name}({{" if name else "{")
        if depth >= MAX_DEPTH and length:
            self.cuts.add(f"values deeper than {MAX_DEPTH} levels are cut")
            self._put("…")
        else:
            shown = 0
            for key, item in islice(dict.items(value), MAX_ITEMS):
                if type(key) is str and len(key) <= 100:
                    self._put(f", {key!r}: " if shown else f"{key!r}: ")
                    name_of_item = key
                else:
                    if shown:
                        self._put(", ")
                    self._write(key, depth + 1)
                    self._put(": ")
                    name_of_item = _name_of(key)
                self._write_named(name_of_item, item, depth + 1)
                shown += 1
            self._more(shown, length)
        self._put("})" if name else "}")

    def _write_named(self, name: str, item: object, depth: int) -> None:
        if name and self._hides(name, item):
            self._put(HIDDEN)
        else:
            self._write(item, depth)

    def _object(self, value: object, cls: type, name: str, depth: int) -> None:
        attributes = _instance_dictionary(value, cls)
        short = framework_objects.short_text(cls, attributes)
        if short is not None:
            self._put(short)
            return
        if any(mark in attributes for mark in _ORM_MARKS):
            data = attributes.get("__data__", attributes)
            keys = [(key, data[key]) for key in _ORM_KEYS if type(data) is dict and key in data]
            self._pairs(name, keys, len(keys), depth)
            return
        hidden = _fields_without_repr(cls)
        pairs = [
            (key, item)
            for key, item in islice(dict.items(attributes), 10 * MAX_ITEMS)
            if type(key) is str and not key.startswith("__") and key not in hidden
        ]
        pairs.extend(pair for pair in _slots(value, cls) if pair[0] not in hidden)
        if not pairs:
            shape = _array_shape(value, cls)
            self._put(shape or f"<{name} object>")
        elif depth >= MAX_DEPTH:
            self.cuts.add(f"values deeper than {MAX_DEPTH} levels are cut")
            self._put(f"{name}(…)")
        else:
            self._pairs(name, islice(pairs, MAX_ITEMS), len(pairs), depth)

    def _pairs(
        self, name: str, pairs: Iterable[tuple[str, object]], length: int, depth: int
    ) -> None:
        self._put(f"{name}(")
        shown = 0
        for key, item in pairs:
            self._put(f", {key}=" if shown else f"{key}=")
            self._write_named(key, item, depth + 1)
            shown += 1
        self._more(shown, length)
        self._put(")")


def _name_of(key: object) -> str:
    """A dictionary's key, or the first of a pair, as a name that may hide its value."""
    if issubclass(type(key), str):
        return str.__str__(key)[:100]
    if type(key) is tuple:
        return "_".join(_name_of(item) for item in key[:4] if type(item) is not tuple)
    return key[:100].decode("latin-1") if type(key) is bytes else ""


_module_dictionary: Any = vars(types.ModuleType)["__dict__"].__get__
_BRACKETS: dict[type, tuple[str, str, Any]] = {
    list: ("[", "]", list),
    tuple: ("(", ")", tuple),
    set: ("{", "}", set),
    frozenset: ("{", "}", frozenset),
    deque: ("[", "]", deque),
}


def _special(value: Any, cls: type) -> str:
    """Functions, classes, modules, generators and files: what they are, not what is in them."""
    if issubclass(cls, type):
        return f"<class {class_module(value)}.{class_qualname(value)}>"
    if issubclass(cls, types.ModuleType):
        name = _module_dictionary(value).get("__name__")
        return f"<module {name}>" if type(name) is str else "<module>"
    kind = class_qualname(cls)
    if issubclass(cls, types.MethodType):
        value = value.__func__
    if type(value) in (types.FunctionType, types.BuiltinFunctionType, *_RUNNING):
        return f"<{kind} {value.__qualname__}>"
    return f"<{kind}>"


def _is_one_of(names: frozenset[tuple[str, str]], cls: type) -> bool:
    """Whether a class is one of these, and not another one that calls itself so."""
    key = class_module(cls), class_qualname(cls)
    return key in names and getattr(sys.modules.get(key[0]), key[1], None) is cls


def _is_enum(cls: type) -> bool:
    return any(
        class_module(base) == "enum" and class_qualname(base) == "Enum"
        for base in class_lineage(cls)
    )


def _named_tuple_fields(cls: type) -> tuple[str, ...]:
    if not issubclass(cls, tuple) or cls is tuple:
        return ()
    for base in class_lineage(cls):
        fields = class_namespace(base).get("_fields")
        if type(fields) is tuple and all(type(field) is str for field in fields):
            return fields
    return ()


def _instance_dictionary(value: object, cls: type) -> dict[str, Any]:
    """The object's `__dict__` through the C-level descriptor, empty when it has none."""
    for base in class_lineage(cls):
        descriptor = class_namespace(base).get("__dict__")
        if descriptor is not None and base is not type:
            if type(descriptor) not in (types.GetSetDescriptorType, types.MemberDescriptorType):
                return {}
            found = descriptor.__get__(value)
            return found if issubclass(type(found), dict) else {}
    return {}


def _slots(value: object, cls: type) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for base in class_lineage(cls):
        for key, descriptor in islice(class_namespace(base).items(), 500):
            if type(descriptor) is types.MemberDescriptorType and not key.startswith("__"):
                try:
                    found.append((key, descriptor.__get__(value)))
                except AttributeError:
                    continue  # the slot is empty
    return found


def _fields_without_repr(cls: type) -> frozenset[str]:
    """Fields of a dataclass or attrs class that its author keeps out of the repr."""
    for base in class_lineage(cls):
        fields = class_namespace(base).get("__dataclass_fields__")
        if type(fields) is dict:
            return frozenset(
                name
                for name, field in fields.items()
                if dict(_slots(field, type(field))).get("repr") is False
            )
        attributes = class_namespace(base).get("__attrs_attrs__")
        if issubclass(type(attributes), tuple):
            facts = [dict(_slots(item, type(item))) for item in tuple.__iter__(attributes)]
            return frozenset(str(item["name"]) for item in facts if item.get("repr") is False)
    return frozenset()


def _array_shape(value: Any, cls: type) -> str:
    if not _is_one_of(_ARRAYS, cls):
        return ""
    return f"ndarray(shape={value.shape}, dtype={value.dtype.name})"
