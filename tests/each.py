"""Many small cases in one test.

`pytest.mark.parametrize` makes a test of each case, and handing a test to another process and its
report back takes ten milliseconds: more than most of these checks. `each` is used alike, for checks
that leave their fixtures as they were; all cases are checked, and a failure names its case.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any

import pytest

#: Failed cases are shown up to here.
SHOWN = 10


def each(
    names: str | Sequence[str],
    cases: Iterable[Any],
    ids: Callable[[Any], object] | Iterable[object] = repr,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """One test that checks every case.

    Args:
        names: The argument of the test, or several of them.
        cases: A value, or as many values as there are names, per case.
        ids: The names of the cases in a failure, or what makes one of a case.
    """
    listed = list(cases)
    assert listed, "no cases"
    ids = map(ids, listed) if callable(ids) else ids
    named = list(zip(ids, listed, strict=True))
    arguments = [names] if isinstance(names, str) else list(names)

    def decorate(check: Callable[..., None]) -> Callable[..., None]:
        @wraps(check)
        def test(**fixtures: Any) -> None:
            failures = []
            for name, case in named:
                values = (case,) if isinstance(names, str) else case
                try:
                    check(**fixtures, **dict(zip(arguments, values, strict=True)))
                except (Exception, pytest.fail.Exception):
                    failures.append(f"{name}\n{traceback.format_exc()}")
            shown = "\n".join(failures[:SHOWN])
            assert not failures, f"{len(failures)} of {len(named)} cases failed:\n{shown}"

        signature = inspect.signature(check)
        kept = [given for name, given in signature.parameters.items() if name not in arguments]
        test.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
        return test

    return decorate
