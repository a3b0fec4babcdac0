"""For all tests: what must be so before any test module is imported."""

from __future__ import annotations

import sys

import hypothesis
import pygal.graph.graph  # noqa: F401  # so that its hook is there to be taken away

# pygal hooks an importer for its map plugins into sys.meta_path that lacks `find_spec`; pytest asks
# every importer for one when it imports a test package, and fails.
sys.meta_path[:] = [importer for importer in sys.meta_path if hasattr(importer, "find_spec")]

# How long an example takes says more about the machine than about us.
hypothesis.settings.register_profile("inapp-monitor", deadline=None)
hypothesis.settings.load_profile("inapp-monitor")
