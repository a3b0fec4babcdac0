"""A fork never happens in the middle of a tick: what it refers to would stay alive in the child."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

SCRIPT = """
    import os, sys, threading, time
    from inapp_monitor import Monitor
    from inapp_monitor.signals import datapoint

    begun, ended = threading.Event(), threading.Event()

    @datapoint.connect
    def flush_slowly(sender, **facts):
        datapoint.disconnect(flush_slowly)
        begun.set()
        time.sleep(0.1)
        ended.set()

    written = open(sys.argv[1] + "/written", "w")   # nobody closes it
    monitor = Monitor(lambda environ, start_response: [], data_dir=sys.argv[1] + "/data",
                      flush_interval_s=0.05)
    monitor.incr("jobs")
    begun.wait()
    if os.fork() == 0:
        written.write(f"ended: {ended.is_set()}")
        monitor.close()
    else:
        os.wait()
        os._exit(0)
"""


def test_a_fork_waits_for_a_tick(tmp_path: Path) -> None:
    """What the child has written to a file that it leaves open is there after its end."""
    script = textwrap.dedent(SCRIPT)
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], timeout=60, check=True)
    assert (tmp_path / "written").read_text() == "ended: True"
