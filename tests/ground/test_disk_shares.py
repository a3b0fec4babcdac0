"""The disk budget is divided without a rest: no byte is promised twice."""

from __future__ import annotations

import pytest

from inapp_monitor.ground import disk_shares


@pytest.mark.parametrize("budget", [0, 1, 3, 4, 7, 32 * 2**20, 256 * 2**20 + 1])
def test_the_shares_make_the_whole(budget: int) -> None:
    """A quarter is for the database and logs, the rest for series."""
    logs, database = disk_shares.of_logs(budget), disk_shares.of_database(budget)
    assert database + logs + disk_shares.of_series(budget) == budget
    assert database + logs == budget // 4
    assert logs == min(budget // 32, 8 * 2**20)
