"""What the recursion limit stopped is called again on a stack of its own."""

from __future__ import annotations

import threading

import pytest

from inapp_monitor.issues import fresh_stack


def test_what_works_is_called_once_and_here() -> None:
    """No thread is begun where none is needed."""
    threads: list[int] = []
    assert fresh_stack.call(lambda: threads.append(threading.get_ident()) or 7) == 7
    assert threads == [threading.get_ident()]


def test_what_the_limit_stopped_is_called_again_in_another_thread() -> None:
    """With all the frames that a thread has."""

    def work() -> str:
        if threading.get_ident() == here:
            raise RecursionError
        return "done"

    here = threading.get_ident()
    assert fresh_stack.call(work) == "done"


@pytest.mark.parametrize("second", [RecursionError("endless"), ValueError("another")])
def test_what_fails_there_too_fails_here(second: Exception) -> None:
    """The second failure is what the caller gets; it hangs on nothing."""

    def work() -> None:
        raise RecursionError("first") if threading.get_ident() == here else second

    here = threading.get_ident()
    with pytest.raises(type(second), match=str(second)):
        fresh_stack.call(work)
