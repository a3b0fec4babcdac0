"""gevent's own ways: our threads are greenlets of the thread that signals interrupt."""

from __future__ import annotations

from pathlib import Path

import pytest

from .harness import PATIENCE_S, Served, missing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(missing("gevent") != "", reason=missing("gevent")),
]


def test_ctrl_c_while_the_monitor_writes(tmp_path: Path) -> None:
    """An interrupt that strikes in the monitor's own greenlet ends the server as any other does."""
    with Served("gevent", tmp_path) as served:
        served.traffic(20)
        served.get("/ctrl-c")
        served.process.wait(PATIENCE_S)
        assert served.left_over() == []
    assert served.errors == []
    assert served.counted() == served.answered == 21


def test_ctrl_c_while_the_monitor_loads(tmp_path: Path) -> None:
    """The same a moment after the first request, when its parts are being loaded."""
    with Served("gevent", tmp_path, FLUSH_S="60") as served:
        served.get("/ctrl-c-while-loading")
        served.process.wait(PATIENCE_S)
        assert served.left_over() == []
    assert served.counted() == served.answered == 1
