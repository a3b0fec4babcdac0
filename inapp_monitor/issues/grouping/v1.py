"""Which events are the same issue. Pure: plain data in, a fingerprint and its reason out.

The rule ("P2L"): for each exception of the tree its type, the two innermost functions of the
application and, when the innermost of them raised it itself, the string literals of that `raise`.
Without a function of the application, the innermost library function stands in. No line numbers,
no message values, no variable names: moved lines, changed values and renamed variables never split
an issue. It was right for 19 of 22 labelled pairs of real exceptions, where rules that look at
lines or at messages were right for 9 to 18.

A rule is never changed: a better one gets a new `VERSION`. This one is computed for fingerprints of
`v2` that a process sees for the first time, so that they count in the issues that it made.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from inapp_monitor.issues.grouping.fingerprint import Grouping, grouping_of

VERSION = 1
FUNCTIONS_COMPARED = 2

_ANONYMOUS = re.compile(r"\.?<(?:locals|listcomp|setcomp|dictcomp|genexpr|lambda)>")
_VALUES = re.compile(
    r"""
    (?P<email>[\w.+-]+@[\w-]+\.[\w.-]+)
    | (?P<url>\b[a-z][a-z0-9+.-]*://\S+)
    | (?P<uuid>\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b)
    | (?P<ip>\b\d{1,3}(?:\.\d{1,3}){3}\b)
    | (?P<date>\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?Z?)?)
    | (?P<hex>\b0x[0-9a-f]+\b|\b(?=[a-f]*\d)[0-9a-f]{8,}\b)
    | (?P<quoted>'[^'\n]{0,200}'|"[^"\n]{0,200}")
    | (?P<number>(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?\b)
    """,
    re.VERBOSE | re.IGNORECASE,
)


class Function(NamedTuple):
    """One function of a stack: module, qualified name and whether it is the application's own."""

    module: str
    name: str
    in_app: bool


class Shape(NamedTuple):
    """What grouping looks at in one exception.

    Attributes:
        type: Module and qualified name of its class.
        relation: `raised`, `cause`, `context` or `member`.
        functions: Outermost first.
        literals: String literals of the `raise` in the innermost application function.
        group: Whether it is an exception group.
    """

    type: str
    relation: str
    functions: Sequence[Function]
    literals: Sequence[str]
    group: bool = False


def plain_name(qualname: str) -> str:
    """A qualified name without `<locals>`, lambdas and comprehensions (3.12 inlines those)."""
    return _ANONYMOUS.sub("", qualname).strip(".") or "<anonymous>"


def compared_functions(functions: Sequence[Function]) -> list[str]:
    """The innermost application functions as `module:name`, innermost last."""
    chosen: list[str] = []
    for function in reversed(functions):
        if not function.in_app:
            continue
        text = f"{function.module}:{plain_name(function.name)}"
        if text not in chosen:  # recursion, also mutual, and comprehensions inside their function
            chosen.append(text)
        if len(chosen) == FUNCTIONS_COMPARED:
            break
    if not chosen and functions:
        chosen.append(f"{functions[-1].module}:{plain_name(functions[-1].name)}")
    chosen.reverse()
    return chosen


def describe(shape: Shape) -> str:
    """One exception as the line that is compared."""
    text = shape.type
    functions = compared_functions(shape.functions)
    if functions:
        text += " in " + " > ".join(functions)
    if shape.literals:
        text += " raising " + " | ".join(repr(literal[:200]) for literal in shape.literals[:10])
    return text if shape.relation == "raised" else f"{shape.relation}: {text}"


def group(shapes: Sequence[Shape]) -> Grouping:
    """The fingerprint of an exception tree.

    An exception group counts by its distinct members, in any order: the number of failed tasks
    does not split an issue.
    """
    if not shapes:
        return group_message("")
    described = [describe(shape) for shape in shapes]
    first, rest = described[0], described[1:]
    members = sorted({line for line in rest if line.startswith("member: ")})
    others = [line for line in rest if not line.startswith("member: ")]
    return grouping_of([first, *others, *members], VERSION)


def group_message(template: str, *, place: str = "") -> Grouping:
    """The fingerprint of a message: its template, or its text with the values taken out.

    Args:
        template: A log record's `msg`, or any text.
        place: What else distinguishes messages, such as the logger's name.
    """
    text = parameterize(template)
    return grouping_of([f"message: {text}", *([f"from: {place}"] if place else [])], VERSION)


def parameterize(text: str) -> str:
    """The first two lines of a text with values replaced by their kind, such as `<number>`."""
    short = "\n".join(text.split("\n", 2)[:2])[:500]
    return _VALUES.sub(lambda match: f"<{match.lastgroup}>", short).strip()
