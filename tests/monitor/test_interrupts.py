"""Ctrl-C reaches the application also where our threads are greenlets of its main thread."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap

import pytest

SCRIPT = """
    from gevent import monkey
    monkey.patch_all()
    import os, signal
    import gevent
    from inapp_monitor.ground.process.ticker import Ticker

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is deaf

    class Owner:
        ticks = 0

        def tick(self) -> None:
            self.ticks += 1
            if self.ticks == 1:
                os.kill(os.getpid(), signal.SIGINT)

    owner = Owner()
    Ticker(owner.tick, 0.01).start()
    try:
        gevent.sleep(10)
    except KeyboardInterrupt:
        print("interrupted")
    with gevent.Timeout(10):
        while owner.ticks < 3:
            gevent.sleep(0.01)
    print("goes on")
"""


@pytest.mark.skipif(importlib.util.find_spec("gevent") is None, reason="gevent is not installed")
def test_an_interrupt_in_a_tick_is_the_applications() -> None:
    """It is raised in the main greenlet, and the ticking goes on."""
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.stdout, result.returncode) == ("interrupted\ngoes on\n", 0), result.stderr
