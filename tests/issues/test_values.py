"""Rendering of local variables: no code of the application runs, everything is bounded."""

from __future__ import annotations

import datetime
import decimal
import enum
import io
import pathlib
import uuid
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inapp_monitor.issues.render_values import MAX_VALUE_CHARS, Renderer
from tests.each import each


class Colour(enum.Enum):
    RED = 1


@dataclass
class Order:
    number: int
    items: list[str]
    card: str = field(default="4111", repr=False)


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self) -> None:
        self.a = 1


class Text(str):
    pass


Point = namedtuple("Point", "x y")


def generator() -> Iterator[int]:
    yield 1


@each(
    ("value", "shown"),
    [
        (None, "None"),
        (True, "True"),
        (1.5, "1.5"),
        (-3, "-3"),
        ("a'b", '"a\'b"'),
        (b"ab", "b'ab'"),
        (bytearray(b"ab"), "bytearray(b'ab')"),
        ([1, "b"], "[1, 'b']"),
        ((1,), "(1,)"),
        ((), "()"),
        ({"a": {1}}, "{'a': {1}}"),
        (frozenset([1]), "frozenset({1})"),
        (deque([1, 2]), "deque([1, 2])"),
        (OrderedDict(a=1), "OrderedDict({'a': 1})"),
        (defaultdict(int, a=1), "defaultdict({'a': 1})"),
        (Counter("aa"), "Counter({'a': 2})"),
        (Point(1, 2), "Point(x=1, y=2)"),
        (Colour.RED, "Colour.RED"),
        (Order(5, ["tea"]), "Order(number=5, items=['tea'])"),
        (Slotted(), "Slotted(a=1)"),
        (Text("x"), "Text('x')"),
        (object(), "<object object>"),
        (ValueError("bad", 1), "ValueError('bad', 1)"),
        (int, "<class builtins.int>"),
        (len, "<builtin_function_or_method len>"),
        (io, "<module io>"),
        (generator(), "<generator generator>"),
        (io.StringIO(), "<StringIO>"),
        (decimal.Decimal("1.50"), "Decimal('1.50')"),
        (uuid.UUID(int=5), "UUID('00000000-0000-0000-0000-000000000005')"),
        (pathlib.PurePosixPath("/a"), "PurePosixPath('/a')"),
        (datetime.date(2026, 1, 2), "datetime.date(2026, 1, 2)"),
        (datetime.datetime(2026, 1, 2, 3, 4), "datetime.datetime(2026, 1, 2, 3, 4)"),
        (
            datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
            "datetime.datetime(2026, 1, 2, 0, 0, tzinfo=timezone)",
        ),
        (np.zeros((2, 3)), "ndarray(shape=(2, 3), dtype=float64)"),
        (10**1000, "<int of 3322 bits>"),
    ],
)
def test_what_values_look_like(value: object, shown: str) -> None:
    """Builtin and well-known types read as in Python, others by their structure."""
    assert Renderer().render(value) == shown


class Hostile:
    """Fails whatever is asked of it."""

    def __init__(self) -> None:
        object.__setattr__(self, "inside", 1)

    def fail(self, *arguments: object) -> Any:
        raise KeyboardInterrupt

    __repr__ = __str__ = __len__ = __iter__ = __bool__ = __hash__ = __eq__ = fail  # type: ignore[assignment]
    __getattribute__ = __getattr__ = __format__ = __dir__ = __sizeof__ = fail  # type: ignore[assignment]


class HostileList(list[int]):
    __iter__ = __len__ = __repr__ = Hostile.fail


class HostileDict(dict[str, int]):
    items = __iter__ = __len__ = __repr__ = __getitem__ = Hostile.fail  # type: ignore[assignment]


class HostileText(str):
    __str__ = __repr__ = __len__ = __getitem__ = Hostile.fail  # type: ignore[assignment]


def of_hostile_metaclass() -> type:
    """A class whose metaclass fails whatever is asked; made late: pytest asks module contents."""

    class HostileMeta(type):
        def __getattribute__(cls, name: str) -> Any:
            raise SystemExit(name)

        def __instancecheck__(cls, instance: object) -> bool:
            raise SystemExit("instance")

    return HostileMeta("Odd", (), {})


class FalseDictionary:
    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("property")


@each(
    ("make", "shown"),
    [
        (lambda: Hostile(), "Hostile(inside=1)"),
        (lambda: HostileList([1, 2]), "HostileList([1, 2])"),
        (lambda: HostileDict(a=1), "HostileDict({'a': 1})"),
        (lambda: HostileText("x"), "HostileText('x')"),
        (lambda: type.__call__(of_hostile_metaclass()), "<Odd object>"),
        (lambda: of_hostile_metaclass(), "<class "),
        (lambda: FalseDictionary(), "<FalseDictionary object>"),
        (lambda: {"k": Hostile()}, "{'k': Hostile(inside=1)}"),
    ],
)
def test_hostile_objects_are_not_asked(make: Callable[[], object], shown: str) -> None:
    """Overridden methods of the application never run."""
    assert Renderer().render(make()).startswith(shown)


def test_orm_objects_are_type_and_key() -> None:
    """A model shows its key; nothing is loaded."""

    class User:
        def __init__(self) -> None:
            self._sa_instance_state = object()
            self.id = 5
            self.bio = "long"

    assert Renderer().render(User()) == "User(id=5)"


@each(
    ("make", "cut"),
    [
        (lambda: "x" * 20_000_000, "values longer"),
        (lambda: list(range(5_000_000)), "collections are cut"),
        (lambda: {number: number for number in range(1_000)}, "collections are cut"),
        (lambda: [[[[[[1]]]]]], "values deeper"),
        (lambda: b"x" * 5_000_000, "values longer"),
        (lambda: ["x" * 900] * 10, "values longer"),
    ],
    ids=["text", "list", "dict", "depth", "bytes", "many"],
)
def test_large_values_are_cut_and_say_so(make: Callable[[], object], cut: str) -> None:
    """Whatever the size, at most about a thousand characters, and the cut is named."""
    renderer = Renderer()
    assert len(renderer.render(make())) <= MAX_VALUE_CHARS + 50
    assert any(noted.startswith(cut) for noted in renderer.cuts)


def test_cycles_end() -> None:
    """An object that contains itself is shown once."""
    cycle: list[Any] = [1]
    cycle.append(cycle)
    assert Renderer().render(cycle) == "[1, <cyclic>]"


def test_secrets_are_hidden_by_name_at_every_level() -> None:
    """Keys, attributes and variables whose name says so are not rendered."""
    renderer = Renderer(lambda name, _value: "password" in name)
    assert renderer.named("password", "x") == "[scrubbed]"
    assert renderer.render({"a": {"password": "x"}}) == "{'a': {'password': [scrubbed]}}"
    order = Order(1, [])
    order.password = "x"  # type: ignore[attr-defined]
    assert "'x'" not in renderer.render(order)


def test_time_is_bounded() -> None:
    """When the event's time is over, rendering ends."""
    renderer = Renderer(late=lambda: True)
    assert renderer.render([1, 2]) == "…"
    assert renderer.cuts == {"out of time: some values are missing"}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=50,
)


@given(anything)
def test_small_plain_values_read_as_in_python(value: Any) -> None:
    """What is not cut equals Python's own repr."""
    renderer = Renderer()
    shown = renderer.render(value)
    assert len(shown) <= MAX_VALUE_CHARS + 50
    if not renderer.cuts:
        assert shown == repr(value)
