"""Reading the variables of a frame changes nothing in it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from inapp_monitor.ground.frame_variables import local_variables


@pytest.mark.parametrize(
    ("install", "installed"),
    [(sys.settrace, sys.gettrace), (sys.setprofile, sys.getprofile)],
    ids=["trace", "profile"],
)
def test_a_trace_function_may_read_the_variables(
    install: Callable[[Any], None], installed: Callable[[], Any]
) -> None:
    """What it leaves in the frame's dictionary is written back when it returns."""
    read: list[dict[str, object]] = []

    def look(frame: Any, *_: object) -> Any:
        if frame.f_code is add.__code__:
            read.append(local_variables(frame))
        return look

    def add() -> int:
        one = 1
        len("")
        two = 2
        return one + two

    before = installed()
    install(look)
    try:
        total = add()
    finally:
        install(before)
    assert total == 3
    assert any(each.get("one") == 1 for each in read)
