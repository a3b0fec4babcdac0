"""Variables that the application itself calls sensitive: Django's `sensitive_variables`.

Django is not imported. Its decorator leaves a frame of its own around a function, whose variable
names what to hide, also in the functions that are called from there; for coroutines, whose frames
do not know their callers, it notes the place of the definition.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import FrameType
from typing import Any

from inapp_monitor.ground.frame_variables import local_variables

_MODULE = "django.views.decorators.debug"
_WRAPPER = "sensitive_variables_wrapper"
_ALL = "__ALL__"
_COROUTINE = 0x80 | 0x200
#: Callers that are looked at.
MAX_CALLERS = 100
#: Shorter values stand in too many other texts.
MIN_VALUE_CHARS = 5


class SensitiveVariables:
    """What is declared for the frames of one event.

    Attributes:
        values: Texts of the variables that were hidden: they may stand in messages and in source
            lines as well.
    """

    def __init__(self) -> None:
        debug = sys.modules.get(_MODULE)
        self._debug: Any = debug
        self.values: set[str] = set()

    def hidden_in(self, frame: FrameType, names: Iterable[str]) -> frozenset[str]:
        """Those of a frame's variables that are to be hidden."""
        if self._debug is None:
            return frozenset()
        if _is_wrapper(frame):
            return frozenset(("func_args", "func_kwargs"))
        declared = self._of_coroutine(frame)
        if declared is None:
            declared = self._of_callers(frame)
        if declared is None:
            return frozenset()
        return frozenset(names) if declared == _ALL else frozenset(declared).intersection(names)

    def remember(self, value: object) -> None:
        """Note the value of a variable that is hidden."""
        if type(value) is str and len(value) >= MIN_VALUE_CHARS and len(self.values) < 100:
            self.values.add(value[:1_000])

    def _of_coroutine(self, frame: FrameType) -> Any:
        code = frame.f_code
        if not code.co_flags & _COROUTINE or code.co_name == _WRAPPER:
            return None
        known = getattr(self._debug, "coroutine_functions_to_sensitive_variables", None)
        if type(known) is not dict:
            return None
        return known.get(hash(f"{code.co_filename}:{code.co_firstlineno}"))

    def _of_callers(self, frame: FrameType) -> Any:
        caller = frame.f_back
        for _ in range(MAX_CALLERS):
            if caller is None:
                return None
            if _is_wrapper(caller):
                wrapper = local_variables(caller).get(_WRAPPER)
                return getattr(wrapper, "sensitive_variables", None)
            declared = self._of_coroutine(caller)
            if declared is not None:
                return declared
            caller = caller.f_back
        return None


def _is_wrapper(frame: FrameType) -> bool:
    return frame.f_code.co_name == _WRAPPER and frame.f_globals.get("__name__") == _MODULE
