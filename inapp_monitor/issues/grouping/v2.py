"""Which exceptions are the same issue, the present rule. Pure: plain data in, a fingerprint out.

For each exception of the tree: its type, the two innermost functions of the application and, when
the innermost of them raised it itself, the string literals of that `raise`. Without a function of
the application the innermost library function stands in; without a traceback the message does. No
line numbers, no message values, no variable names, and nothing that is read from a source file:
moved lines, changed values, renamed variables and a new release beside the running one never split
an issue.

What differs from `v1`:

- an exception that repeats another one of its tree, as each attempt of a retry does, counts once;
- of an endless recursion all functions that take turns are compared, in any order;
- members of groups are compared with what they were raised from, in any order and number;
- names are those of the source, without paths, addresses and made-up numbers (`names`);
- lambdas are told apart by the names and constants in them;
- literals come from the byte code, not from the file on disk;
- messages: see `messages`.

`bench/grouping.py` measures it. A rule is never changed: a better one gets a new `VERSION`. When a
fingerprint is stored for the first time and `v1` knows the failure under its own, the new one joins
that issue, so that an update of this package makes no issue anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from inapp_monitor.issues.grouping.fingerprint import Grouping, grouping_of

VERSION = 2
FUNCTIONS_COMPARED = 2
#: Of an endless recursion.
MAX_CIRCLE = 12
FEWEST_TURNS = 16


class Function(NamedTuple):
    """One function of a stack.

    Attributes:
        module, name: See `names`; no name for a lambda of a module.
        in_app: Whether it is the application's own.
        body: Of a lambda, the names and constants in it.
        times: How often it called itself in the same line.
        passes_on: Whether it only stands for another function, as the wrapper of a decorator does.
    """

    module: str
    name: str
    in_app: bool
    body: str = ""
    times: int = 1
    passes_on: bool = False

    def as_text(self, *, innermost: bool = False) -> str:
        """As it is compared and shown. What a lambda does counts only where it fails itself: which
        of two lambdas called what failed is no more than which line of a function did."""
        name = self.name
        if innermost and self.body:
            name = f"{name} <lambda: {self.body}>".strip()
        return f"{self.module}:{name or '<lambda>'}"


class Shape(NamedTuple):
    """What grouping looks at in one exception.

    Attributes:
        type: Module and qualified name of its class.
        relation: `raised`, `cause`, `context` or `member`.
        functions: Outermost first.
        literals: String literals of the `raise` in the innermost application function.
        group: Whether it is an exception group.
        message: The parameterized message of an exception without a traceback.
        endless: Whether it is a `RecursionError`.
    """

    type: str
    relation: str
    functions: Sequence[Function]
    literals: Sequence[str] = ()
    group: bool = False
    message: str = ""
    endless: bool = False


class _Line(NamedTuple):
    """One exception as it is compared."""

    relation: str
    type: str
    functions: tuple[str, ...]
    literals: tuple[str, ...]
    message: str

    def repeats(self, other: _Line) -> bool:
        """Whether the same thing failed in the same way. A traceback begins where the exception was
        caught, so that of two the shorter one is the end of the other."""
        if (self.type, self.literals, self.message) != (other.type, other.literals, other.message):
            return False
        shared = min(len(self.functions), len(other.functions))
        if not shared:
            return self.functions == other.functions
        return self.functions[-shared:] == other.functions[-shared:]

    def as_text(self) -> str:
        text = self.type
        if self.functions:
            text += " in " + " > ".join(self.functions)
        if self.literals:
            text += " raising " + " | ".join(map(repr, self.literals))
        if self.message:
            text += f" with {self.message!r}"
        return text if self.relation == "raised" else f"{self.relation}: {text}"


def compared_functions(functions: Sequence[Function]) -> list[str]:
    """The innermost application functions as `module:name`, innermost last."""
    chosen: list[str] = []
    names: set[tuple[str, str]] = set()
    for function in reversed(functions):
        name = (function.module, function.name)
        if not function.in_app or name in names:
            continue  # a recursion, or a comprehension or lambda inside its function
        if function.passes_on and chosen:
            continue  # a decorator that was added or taken away
        chosen.append(function.as_text(innermost=not chosen))
        names.add(name)
        if len(chosen) == FUNCTIONS_COMPARED:
            break
    if not chosen and functions:
        chosen.append(functions[-1].as_text(innermost=True))
    chosen.reverse()
    return chosen


def functions_in_turn(functions: Sequence[Function]) -> list[str]:
    """The functions of an endless recursion, sorted; an empty list when none is found."""
    own = [function for function in functions if function.in_app] or functions
    times: Counter[str] = Counter()
    for function in own:
        times[function.as_text()] += function.times
    most = max(times.values(), default=0)
    if most < FEWEST_TURNS:  # something else struck the limit, such as a recursion in C
        return []
    # Each function of the circle has about as many turns as any other; what was called on the way
    # to it, and what the limit struck, has few.
    return sorted(text for text, turns in times.items() if turns >= 3 and turns * 4 >= most)


def describe(shape: Shape) -> str:
    """One exception as the line that is compared."""
    return _line(shape).as_text()


def group(shapes: Sequence[Shape]) -> Grouping:
    """The fingerprint of an exception tree.

    An exception group counts by its distinct members and what they were raised from, in any order:
    the number of failed tasks does not split an issue.
    """
    kept: list[_Line] = []
    for shape in shapes:
        line = _line(shape)
        if not any(line.repeats(other) for other in kept):
            kept.append(line)
    texts = [line.as_text() for line in kept]
    if any(shape.group for shape in shapes):
        texts[1:] = sorted(set(texts[1:]))
    return grouping_of(texts, VERSION)


def _line(shape: Shape) -> _Line:
    functions: list[str] = []
    if shape.endless:
        functions = functions_in_turn(shape.functions)[:MAX_CIRCLE]
    endless = bool(functions)
    return _Line(
        shape.relation,
        shape.type,
        tuple(functions or compared_functions(shape.functions)),
        () if endless else tuple(literal[:200] for literal in shape.literals[:10]),
        shape.message,
    )
