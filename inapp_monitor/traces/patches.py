"""Methods of libraries, replaced so that they can be put back. Knows no library.

True replacements in the class, never an object in front of another: code that checks types, and C
code that looks behind them, stays content. The library's exceptions pass unchanged.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

_MISSING = object()


class Patches:
    """What was replaced of one library.

    *Threads:* `replace` and `undo` by one at a time.
    """

    def __init__(self) -> None:
        self._replaced: list[tuple[Any, str, Any, Any]] = []

    def replace(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Replace an attribute of a class or module by what `make` makes of it.

        Raises:
            AttributeError: there is no such attribute; nothing has been replaced.
        """
        original = getattr(owner, name)
        found = inspect.getattr_static(owner, name)
        before = vars(owner).get(name, _MISSING)
        made: Any
        if isinstance(found, (staticmethod, classmethod)) and isinstance(owner, type):
            made = type(found)(functools.update_wrapper(make(found.__func__), found.__func__))
        else:
            made = functools.update_wrapper(make(original), original)
        setattr(owner, name, made)
        self._replaced.append((owner, name, before, made))

    def has(self, owner: Any, name: str) -> bool:
        """Whether an attribute has been replaced here."""
        return any(entry[0] is owner and entry[1] == name for entry in self._replaced)

    def undo(self) -> None:
        """Put back what is still in place; what somebody has replaced since stays, and is inert."""
        replaced, self._replaced = self._replaced, []
        for owner, name, original, made in reversed(replaced):
            if vars(owner).get(name) is not made:
                continue
            if original is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, original)
