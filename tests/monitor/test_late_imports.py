"""A fork never happens in the middle of a late import, so that no child waits for it for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

SCRIPT = """
    import os, sys, threading
    from inapp_monitor import Monitor
    from inapp_monitor.ground.process import late_imports

    monitor = Monitor(lambda environ, start_response: [], data_dir=sys.argv[1])
    monitor.incr("made.at.import")      # attaches: forks are watched from here on
    begun = threading.Event()

    def load() -> None:
        with late_imports.loading():
            begun.set()
            import slow_module

    threading.Thread(target=load).start()
    begun.wait()
    child = os.fork()
    if child == 0:
        import slow_module              # hangs when the parent was in the middle of it
        monitor.incr("made.in.child")
        monitor.close()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    monitor.close()
    print("done")
"""


def test_a_child_can_import_what_its_parent_was_importing(tmp_path: Path) -> None:
    """The fork waits for the import."""
    (tmp_path / "slow_module.py").write_text("import time\ntime.sleep(0.5)\n")
    path = os.pathsep.join([*sys.path, str(tmp_path)])
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), str(tmp_path / "data")],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.stdout == "done\n", result.stderr
