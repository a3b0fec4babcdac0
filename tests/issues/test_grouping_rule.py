"""Kinds of failures that a rule may split or merge wrongly, each raised by real code."""

from __future__ import annotations

import json
import types
from collections.abc import Callable
from pathlib import Path

from inapp_monitor.issues.code_places import CodePlaces
from inapp_monitor.issues.grouping.fingerprint import Grouping
from inapp_monitor.issues.grouping.names import plain_module
from inapp_monitor.issues.grouping.v2 import group
from inapp_monitor.issues.shapes_v2 import shapes_of
from tests.each import each

from .conftest import caught

PLACES = CodePlaces()


def of(function: Callable[..., object], *arguments: object) -> Grouping:
    """The fingerprint of what a call raises."""
    return group(shapes_of(caught(function, *arguments), PLACES))


class NoAnswerError(Exception):
    """What each attempt fails with."""


def send() -> None:
    raise NoAnswerError("no answer")


def again_while_handling(left: int) -> None:
    try:
        send()
    except NoAnswerError:
        if not left:
            raise
        again_while_handling(left - 1)


def again_in_the_same_function(left: int) -> None:
    try:
        raise NoAnswerError("no answer")
    except NoAnswerError:
        if not left:
            raise
        again_in_the_same_function(left - 1)


def from_the_one_before(left: int) -> None:
    error: NoAnswerError | None = None
    for _ in range(left + 1):
        try:
            try:
                send()
            except NoAnswerError as caught_now:
                raise caught_now from error
        except NoAnswerError as failed:
            error = failed
    assert error is not None
    raise error


def gave_up(left: int) -> None:
    try:
        send()
    except NoAnswerError as error:
        if left:
            gave_up(left - 1)
        else:
            raise RuntimeError("gave up") from error


def clean_up(left: int) -> None:
    try:
        send()
    finally:
        if left:
            clean_up(left - 1)


@each(
    "attempts",
    [again_while_handling, again_in_the_same_function, from_the_one_before, gave_up, clean_up],
)
def test_the_number_of_attempts_splits_nothing(attempts: Callable[[int], None]) -> None:
    """Each attempt is chained to the one before and says nothing new."""
    assert len({of(attempts, left).fingerprint for left in (0, 1, 2, 3, 7)}) == 1


def test_causes_of_other_kinds_still_count() -> None:
    """Only what fails in the same way is a repetition."""

    def wrapped(cause: type[Exception]) -> None:
        try:
            raise cause("x")
        except Exception as error:
            raise RuntimeError("failed") from error

    assert of(wrapped, ValueError) != of(wrapped, OSError)


def first(n: int) -> int:
    return second(n)


def second(n: int) -> int:
    return third(n)


def third(n: int) -> int:
    return first(n) + len(str(n))


def after(n: int, function: Callable[[int], int]) -> int:
    return after(n - 1, function) if n else function(0)


def itself(n: int) -> int:
    return itself(n + 1)


def in_the_interpreter(_: int) -> int:
    nested: list[object] = []
    nested.append(nested)
    return len(json.dumps(nested, check_circular=False))


@each("endless", [first, itself, in_the_interpreter])
def test_an_endless_recursion_is_one_wherever_the_limit_strikes(
    endless: Callable[[int], int],
) -> None:
    """The functions in turn are compared, whichever of them the limit happens to strike; one that
    called itself a few times on the way is none of them."""
    found = {of(after, depth, endless) for depth in (0, 1, 2, 3, 5, 9)}
    assert len(found) == 1
    assert len({of(after, 3, function).fingerprint for function in (first, itself)}) == 2


def load(path: Path, text: str, name: str) -> types.ModuleType:
    """A module as a plugin loader makes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    module = types.ModuleType(name)
    exec(compile(text, str(path), "exec"), module.__dict__)
    return module


def test_plugins_with_numbers_are_named_by_their_files(tmp_path: Path) -> None:
    """A loader's counter or an object's id is another one in each process."""
    text = "def run():\n    raise ValueError\n"
    one, same = (
        of(load(tmp_path / folder / "orders.py", text, f"plugin_{number}").run)
        for folder, number in (("a", 1), ("b", 140_501_234_567_890))
    )
    other = of(load(tmp_path / "a" / "users.py", text, "plugin_3").run)
    assert one == same
    assert one != other


@each(
    ("module", "file", "main", "plain"),
    [
        ("shop.views", "/srv/shop/views.py", "", "shop.views"),
        ("shop", "/srv/shop/__init__.py", "", "shop"),
        ("shop.sha256", "/srv/shop/sha256.py", "", "shop.sha256"),
        ("migrations.0001_first", "/srv/migrations/0001_first.py", "", "migrations.0001_first"),
        ("memory:0x7fd704941f50", "memory:0x7fd704941f50", "", "memory:<address>"),
        ("/srv/17/templates/user/list.html", "", "", "user/list.html"),
        ("C:\\app\\templates\\list.html", "", "", "list.html"),
        ("/opt/shop/pages/list.html", "", "", "pages/list.html"),
        ("/srv/releases/20260101/list.html", "", "", "list.html"),
        ("/srv/shop/mails/list.html", "", "", "mails/list.html"),
        ("__main__", "/srv/shop/serve.py", "", "serve"),
        ("__main__", "/srv/shop/serve.py", "shop.serve", "shop.serve"),
        ("__main__", "<string>", "", "__main__"),
    ],
)
def test_modules_have_one_name_wherever_they_are(
    module: str, file: str, main: str, plain: str
) -> None:
    """No path of a deployment, no address, no made-up number."""
    assert plain_module(module, file, main, ("/srv/shop/",)) == plain


def test_generated_functions_lose_their_numbers() -> None:
    """A counter in the name of a function that was executed says nothing."""
    found = set()
    for number in (7, 8):
        names: dict[str, Callable[[], None]] = {"__name__": "made"}  # type: ignore[dict-item]
        exec(f"def handler_{number}():\n    raise ValueError('bad')", names)
        found.add(of(names[f"handler_{number}"]))
    (grouping,) = found
    assert grouping.reason[0].endswith("made:handler_<number> raising 'bad'")


TABLE = {"price": lambda row: row["price"], "stock": lambda row: row["stock"]}
RENAMED = {"price": lambda line: line["price"]}


def test_lambdas_are_told_apart_by_what_they_do() -> None:
    """By names and constants, not by lines or variables."""
    assert of(TABLE["price"], {}) != of(TABLE["stock"], {})
    assert of(TABLE["price"], {}) == of(RENAMED["price"], {})


def test_a_lambda_that_only_calls_is_no_difference() -> None:
    """Which lambda called is no more than which line of a function did."""
    assert of(lambda: TABLE["price"]({})) == of(lambda: [TABLE["price"]({})])


def test_members_of_groups_count_with_their_causes() -> None:
    """In any order and number; another cause is another failure."""

    def job(kind: str) -> None:
        try:
            {"key": {}.__getitem__, "number": int}[kind]("x")
        except Exception as error:
            raise RuntimeError("job failed") from error

    def run(*kinds: str) -> None:
        errors = [caught(job, kind) for kind in kinds]
        raise BaseExceptionGroup("jobs", errors)

    assert of(run, "key", "number") == of(run, "number", "key", "number")
    assert of(run, "key") != of(run, "number")
    assert of(run, "key") == of(run, "key", "key", "key")


def test_a_group_of_many_is_compared_to_its_last_kind() -> None:
    """One other failure among many of a kind is another issue."""

    def run(*members: Exception) -> None:
        raise ExceptionGroup("jobs", members)

    many = [ValueError(number) for number in range(60)]
    assert of(run, *many) != of(run, *many, KeyError("x"))


def decorated(function: Callable[..., object]) -> Callable[..., object]:
    def wrapper(*arguments: object) -> object:
        return function(*arguments)

    return wrapper


def test_a_decorator_that_was_added_splits_nothing() -> None:
    """Its wrapper only stands for the function."""
    assert of(lambda: send()) == of(lambda: decorated(send)())

    def twice() -> None:
        decorated(send)(1)

    def once() -> None:
        decorated(send)(1)

    assert of(twice) != of(once)  # the wrapper itself failed: of which function, its caller says


def test_exceptions_that_were_never_raised_are_told_apart_by_what_they_say() -> None:
    """There is no place to compare: the message without its values."""

    def grouping(error: Exception) -> Grouping:
        return group(shapes_of(error, PLACES))

    refused = grouping(ValueError("card 17 was refused"))
    assert refused == grouping(ValueError("card 18 was refused"))
    assert refused != grouping(ValueError("mailbox 17 is full"))


def test_two_assertions_of_a_function_are_told_apart_by_their_messages() -> None:
    """The text after the comma is that of a `raise`."""

    def check(age: int) -> None:
        assert age > 0, "age is negative"
        assert age < 150, f"age {age} is too high"

    assert of(check, -1) != of(check, 200)
    assert of(check, 200) == of(check, 300)
