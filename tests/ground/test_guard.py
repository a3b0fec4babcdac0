"""The guard counts and logs failures, switches a hopeless part off, and never fails itself."""

import logging

import pytest

from inapp_monitor.ground.guard import FAILURES_ALLOWED, Guard, describe


class HostileError(Exception):
    """An exception that cannot be printed."""

    def __str__(self) -> str:
        raise KeyboardInterrupt


def test_the_first_failure_is_logged_and_later_ones_are_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One line of log, however often it happens before the part is switched off."""
    guard = Guard()
    with caplog.at_level(logging.WARNING, "inapp_monitor"):
        for _ in range(FAILURES_ALLOWED - 1):
            guard.failed("flush", ValueError("broken"))
    assert len(caplog.records) == 1
    assert "flush failed, the application is not affected: ValueError: broken" in caplog.text
    assert guard.faults["flush"].count == FAILURES_ALLOWED - 1
    assert guard.allows("flush")


def test_a_part_that_keeps_failing_is_switched_off_alone() -> None:
    """The other parts go on."""
    guard = Guard()
    assert guard.allows("flush")
    for _ in range(FAILURES_ALLOWED):
        guard.failed("flush", ValueError())
    assert not guard.allows("flush")
    assert guard.allows("issues")
    guard.recovered("flush")
    assert guard.allows("flush")


def test_an_exception_that_cannot_be_printed_is_described() -> None:
    """By its type and place."""
    try:
        raise HostileError
    except HostileError as error:
        text = describe(error)
    assert text.startswith("HostileError (at ")
    assert "test_guard.py" in text


def test_failures_that_pass_switch_nothing_off() -> None:
    """Those of the operating system, and those before the part worked again."""
    guard = Guard()
    assert guard.allows("flush")
    for _ in range(FAILURES_ALLOWED * 2):
        guard.failed("flush", OSError(28, "No space left on device"))
    assert guard.allows("flush")
    for _ in range(FAILURES_ALLOWED * 2):
        guard.recovered("flush")
        guard.failed("flush", ValueError())
    assert guard.allows("flush")


def test_a_part_that_never_asks_is_never_called_switched_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log does not claim what nobody acts on."""
    guard = Guard()
    with caplog.at_level(logging.WARNING, "inapp_monitor"):
        for _ in range(FAILURES_ALLOWED * 2):
            guard.failed("request path", ValueError())
    assert not guard.faults["request path"].disabled
    assert "switched off" not in caplog.text
