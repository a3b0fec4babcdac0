"""How the suite is spread over the processes of pytest-xdist: what takes longest begins first.

A module is one unit of work: what its tests share is made once, and handing out ten thousand tests
one by one costs more than many of them. The modules that drive Chromium are one unit together: two
browsers at once starve each other. Tests that mostly wait for servers and other processes are units
of their own, to fill the gaps that the others leave.
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

#: These begin first, in this order; then all others, as they were collected.
LONGEST = ("browser", "tests/servers/", "tests/demo/", "tests/monitor/", "tests/store/")
#: Each test of these is a unit of its own.
WAITING = ("tests/servers/", "tests/compat/", "tests/store/test_processes.py")


def unit(nodeid: str) -> str:
    """The name of the unit of work that a test belongs to."""
    module = nodeid.partition("::")[0]
    if module.startswith("tests/browser/") or module.endswith("/test_browser.py"):
        return "browser"
    return nodeid if module.startswith(WAITING) else module


def rank(nodeid: str) -> int:
    """What to sort by."""
    name = unit(nodeid)
    return next((at for at, first in enumerate(LONGEST) if name.startswith(first)), len(LONGEST))


class LongestFirst(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has types for itself
    """Hands out units in the order of the collection."""

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)
