"""Drawing charts leaves the import system of the application as it should be."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys

SCRIPT = """
import sys
import inapp_monitor.web.charts
assert all(hasattr(finder, "find_spec") for finder in sys.meta_path), sys.meta_path
import colorsys, importlib.util
assert importlib.util.find_spec("no_such_module") is None
"""


def test_every_finder_speaks_the_present_protocol() -> None:
    """pygal's own lacks `find_spec`: it would warn, or fail, in the app."""
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=60)


def test_modules_are_found_as_before() -> None:
    """In this process, where charts have been drawn."""
    importlib.import_module("inapp_monitor.web.charts")
    assert importlib.util.find_spec("pygal.maps.no_such_map") is None
