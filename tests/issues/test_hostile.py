"""Exceptions that do their worst: capture never raises, is quick, and says what it cut."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from inapp_monitor.issues import exception_message
from inapp_monitor.issues.finished_event import MAX_EVENT_BYTES, encode
from inapp_monitor.issues.scope import set_tag

from .conftest import Monitor, caught, environ

#: Processor time of the failing thread; waiting for others does not count.
LIMIT_S = 0.06
#: A busy machine also makes processor time longer; the best of so many attempts counts.
ATTEMPTS = 8
#: For a `__str__` that answers at once, on a machine that does not.
PATIENCE_S = 60.0


#: As `exec` makes it where the namespace has no `__name__`.
NoModuleError = eval("type('NoModuleError', (Exception,), {})", {"__builtins__": __builtins__})


class ReprFails:
    def __repr__(self) -> str:
        raise KeyboardInterrupt


class ReprIsNeverAsked:
    def __init__(self) -> None:
        self.asked = 0

    def __repr__(self) -> str:
        self.asked += 1
        return "late"


class StrFailsError(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class HangingStrError(Exception):
    def __init__(self) -> None:
        self.go_on = threading.Event()

    def __str__(self) -> str:
        self.go_on.wait()
        return "late"


class StrIsNoTextError(Exception):
    def __str__(self) -> Any:
        return 5


class UntouchableError(Exception):
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __setattr__(self, name: str, value: object) -> None:
        raise RuntimeError(name)


class FalseFactsError(Exception):
    """Overrides what one would ask an exception for."""

    __class__ = property(lambda self: 1 / 0)  # type: ignore[assignment]
    args = property(lambda self: 1 / 0)  # type: ignore[assignment]
    __cause__ = property(lambda self: 1 / 0)  # type: ignore[assignment]
    __notes__ = property(lambda self: 1 / 0)
    __traceback__ = property(lambda self: 1 / 0)  # type: ignore[assignment]


class Meta(type):
    def __getattribute__(cls, name: str) -> Any:
        if name in ("__name__", "__qualname__", "__module__", "__mro__", "__dict__"):
            raise RuntimeError(name)
        return type.__getattribute__(cls, name)


class OfMetaError(Exception, metaclass=Meta):
    pass


class MetaRaises(type):
    """Raises whenever its class is compared, hashed or asked what it is."""

    def __hash__(cls) -> int:
        raise SystemExit(1)

    def __eq__(cls, other: object) -> bool:
        raise SystemExit(1)

    def __subclasscheck__(cls, subclass: type) -> bool:
        raise SystemExit(1)

    @property
    def __name__(cls) -> str:
        raise SystemExit(1)


class OfMetaRaises(metaclass=MetaRaises):
    pass


class OfMetaRaisesError(Exception, metaclass=MetaRaises):
    pass


class PathLike(str):
    __slots__ = ()

    def __repr__(self) -> str:
        raise SystemExit(1)


def huge_line() -> None:
    raise SyntaxError("bad", ("f", 10**5_000, 10**5_000, "text"))


def with_local(value: object) -> Callable[[], None]:
    def fail() -> None:
        local = value  # noqa: F841
        raise ValueError("with a local")

    return fail


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def deep_recursion() -> None:
    def down(number: int) -> int:
        big = [number] * 1_000
        return down(number + 1) + len(big)

    down(0)


def zig_zag_recursion() -> None:
    def zig(number: int) -> None:
        zag(number + 1)

    def zag(number: int) -> None:
        zig(number + 1)

    zig(0)


def long_chain() -> None:
    error: BaseException | None = None
    for number in range(300):
        try:
            raise ValueError(number) from error
        except ValueError as raised:
            error = raised
    assert error is not None
    raise error


def cyclic_chain() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    raise one


def wide_group() -> None:
    raise ExceptionGroup("many", [ValueError(number) for number in range(5_000)])


def many_locals() -> None:
    names = "\n    ".join(f"v{number} = 'x' * 5000" for number in range(500))
    namespace: dict[str, Any] = {}
    exec(f"def f():\n    {names}\n    raise ValueError\n", namespace)
    namespace["f"]()


def deep_data() -> None:
    data: list[Any] = []
    for _ in range(100_000):
        data = [data]
    raise ValueError(data)


def odd_notes() -> None:
    error = ValueError("noted")
    error.__notes__ = [5, "text", ReprFails(), "x" * 10**6]
    raise error


CASES: dict[str, Callable[[], None]] = {
    "repr raises KeyboardInterrupt": with_local(ReprFails()),
    "20 MB text": lambda: with_local("x" * 20_000_000)(),
    "20 MB message": lambda: raising(ValueError("x" * 20_000_000))(),
    "list of 5 million": lambda: with_local(list(range(5_000_000)))(),
    "int of a million digits": with_local(1 << 3_000_000),
    "str raises SystemExit": raising(StrFailsError()),
    "str is no text": raising(StrIsNoTextError()),
    "argument that cannot be printed": raising(ValueError(ReprFails())),
    "untouchable": raising(UntouchableError("x")),
    "false facts": raising(FalseFactsError("x")),
    "hostile metaclass": raising(OfMetaError("x")),
    "recursion": deep_recursion,
    "mutual recursion": zig_zag_recursion,
    "chain of 300": long_chain,
    "cyclic chain": cyclic_chain,
    "group of 5000": wide_group,
    "500 locals": many_locals,
    "deep data": deep_data,
    "odd notes": odd_notes,
    "local of a metaclass that raises": with_local([OfMetaRaises(), OfMetaRaises]),
    "argument of a metaclass that raises": raising(ValueError(OfMetaRaises())),
    "metaclass that raises": raising(OfMetaRaisesError("x")),
    "file name that cannot be printed": raising(OSError(2, "none", PathLike("f"))),
    "line number of 5000 digits": huge_line,
    "surrogates": raising(ValueError("\ud800\x00\x1b[31m\u202e")),
    "exit with an object": raising(SystemExit(ReprFails())),
    "class without a module": raising(NoModuleError("of a namespace without a name")),
    "no traceback": lambda: None,
}
#: What the event must admit to have cut.
CUTS = {
    "20 MB text": "values longer",
    "20 MB message": "the message is cut",
    "list of 5 million": "collections are cut",
    "str raises SystemExit": "the exception's __str__ failed",
    "chain of 300": "more than 30 linked",
    "group of 5000": "more than 30 linked",
    "500 locals": "variables cut",
    "deep data": "values deeper",
    "mutual recursion": "frames left out",
}


def raised_by(case: Callable[[], None]) -> BaseException:
    """What a case raises, not captured yet."""
    sys.setrecursionlimit(1_500)
    try:
        case()
        error: BaseException = ValueError("never raised")
    except BaseException as raised:
        error = raised
    return error


def capture_s(monitor: Monitor, case: Callable[[], None]) -> float:
    """Processor time of this thread in one capture with its event, without garbage collection."""
    error = raised_by(case)
    gc.disable()
    try:
        start = time.thread_time()
        monitor.tracker.capture(error, environ(), route="/a")
        return time.thread_time() - start
    finally:
        gc.enable()


@pytest.mark.parametrize("name", CASES)
def test_hostile_exceptions(name: str, monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing raises; below 60 ms; at most 64 KB; every cut is announced."""
    monkeypatch.setattr(exception_message, "STR_BUDGET_S", PATIENCE_S)
    attempts = 0
    while capture_s(monitor, CASES[name]) >= LIMIT_S:
        attempts += 1
        assert attempts < ATTEMPTS
    assert monitor.guard.faults == {}
    monitor.tick()
    kept = monitor.only_issue().events[0]
    assert len(encode(kept)) <= MAX_EVENT_BYTES
    if name in CUTS:
        assert any(CUTS[name] in cut for cut in kept["cuts"]), kept["cuts"]


def test_a_str_that_hangs_is_left_alone(monitor: Monitor) -> None:
    """The request goes on while it still runs; its class is not asked again."""
    errors = [HangingStrError(), HangingStrError()]
    for error in errors:
        assert monitor.tracker.capture(caught(raising(error)), environ()) is not None
    for error in errors:
        error.go_on.set()
    monitor.tick()
    for kept in monitor.only_issue().events:
        assert "the message takes too long to make" in kept["cuts"]
        assert kept["message"] == ""


def test_a_repr_is_never_asked(monitor: Monitor) -> None:
    """Values are shown by their structure, so a slow or failing repr costs nothing."""
    local = ReprIsNeverAsked()
    monitor.tracker.capture(caught(with_local(local)), environ())
    monitor.tick()
    frame = monitor.only_issue().events[0]["exceptions"][0]["frames"][-1]
    assert frame["locals"]["local"] == "ReprIsNeverAsked(asked=0)"
    assert local.asked == 0


def test_the_exception_is_the_same_afterwards(monitor: Monitor) -> None:
    """Message, notes, chain, traceback and attributes are untouched."""
    error = caught(long_chain)
    traceback, cause = error.__traceback__, error.__cause__
    monitor.tracker.capture(error, environ())
    assert (error.__traceback__, error.__cause__, error.args) == (traceback, cause, (299,))
    assert vars(error) == {}


def test_titles_are_safe_to_print(monitor: Monitor) -> None:
    """Control characters, bidirectional overrides and surrogates are made visible."""
    monitor.tracker.capture(caught(raising(ValueError("\ud800\x00\x1b[31m\u202e"))))
    monitor.tick()
    assert monitor.only_issue().summary.title == r"ValueError: \ud800\x00\x1b[31m\u202e"


def test_texts_that_sqlite_refuses(monitor: Monitor) -> None:
    """Surrogates in tags, routes and methods are made visible, not lost with their count."""
    set_tag("odd\udc80", "\udc81")
    error = caught(raising(ValueError("x")))
    monitor.tracker.capture(error, environ(REQUEST_METHOD="\udc82"), route="/\udc83")
    monitor.tick()
    assert monitor.tracker.status().unwritten == 0
    issue = monitor.only_issue()
    assert issue.tags[r"odd\udc80"] == [(r"\udc81", 1)]
    assert issue.summary.route == r"/\udc83"


def test_a_very_large_environ(monitor: Monitor) -> None:
    """Headers and query are bounded in number and length."""
    more = {f"HTTP_X_{number}": "v" * 100_000 for number in range(500)}
    error = caught(raising(ValueError("x")))
    monitor.tracker.capture(error, environ(QUERY_STRING="a" * 10**6, HTTP_X_ODD=5, **more))
    request = monitor.only_issue().events[0]["request"]
    assert len(request["headers"]) <= 50
    assert max(len(value) for _, value in request["headers"]) <= 500
    assert len(request["query"]) <= 2_000
