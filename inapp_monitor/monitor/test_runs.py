"""Tests stay tests: a monitor that an application makes while its tests run does nothing.

No file, thread or line of output of it belongs there. Who wants one in a test says so: by the
setting `enabled`, or by a test that gives a data directory among its temporary files.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType

from inapp_monitor.ground.config import Loaded

#: Modules of test runners that call tests, or load what is tested. Not `unittest.mock`, which
#: programs use as well.
_UNITTEST = ("case", "loader", "main", "runner", "suite", "async_case")
_RUNNERS = frozenset(
    (*(f"unittest.{name}" for name in _UNITTEST), "django.core.management.commands.test")
)
_PACKAGES = ("_pytest.", "django.test.")
#: Where they call a test or a fixture, not import one: modules, and pytest's functions.
_CALLS_TESTS = frozenset(("unittest.case", "unittest.async_case"))
_CALLS_FIXTURES = frozenset(("pytest_pyfunc_call", "pytest_fixture_setup"))


def switched_off_in_tests(loaded: Loaded) -> Loaded:
    """The settings, `enabled` being false when a test runner has called this function's caller and
    nothing says that the monitor is wanted there."""
    if loaded.sources["enabled"] != "default":
        return loaded
    is_run, is_in_a_test = False, False
    for module, function in _callers():
        is_run |= module in _RUNNERS or module.startswith(_PACKAGES)
        is_in_a_test |= module in _CALLS_TESTS or function in _CALLS_FIXTURES
    is_given = loaded.sources["data_dir"] != "default"
    is_wanted = is_in_a_test and is_given and _is_temporary(loaded.settings.data_dir)
    if is_wanted or not is_run:
        return loaded
    return Loaded(replace(loaded.settings, enabled=False), loaded.sources)


def _callers() -> Iterator[tuple[str, str]]:
    """Module and name of each function that has called."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield str(frame.f_globals.get("__name__", "")), frame.f_code.co_name
        frame = frame.f_back


def _is_temporary(path: Path) -> bool:
    import tempfile  # in tests alone

    try:
        return path.resolve().is_relative_to(Path(tempfile.gettempdir()).resolve())
    except (OSError, RuntimeError):
        return False
