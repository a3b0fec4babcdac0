"""What a rule asks to be measured, and what is answered. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Question(NamedTuple):
    """A target over some seconds that end at `end`, a multiple of the step."""

    target: str
    window_s: int
    end: int


#: Values by series name; a series without data is not in it.
Answer = Mapping[str, float]
