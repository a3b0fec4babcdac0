"""The transparency battery over other monitors, beside ours: how many cases each one fails.

    pip install sentry-sdk opentelemetry-instrumentation-wsgi opentelemetry-sdk newrelic
    make compat ARGS=-s

What is not installed is left out. Their failures are printed, not judged; ours must be none.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = {
    "": "inapp_monitor",
    "sentry-sdk": "sentry_sdk",
    "OpenTelemetry": "opentelemetry.instrumentation.wsgi",
    "New Relic": "newrelic",
}


def installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.compat
@pytest.mark.peer
@pytest.mark.parametrize("peer", MODULES)
def test_battery_over_a_peer(peer: str) -> None:
    """Prints the cases that fail for it."""
    if not installed(MODULES[peer]):
        pytest.skip(f"{MODULES[peer]} is not installed")
    command = [sys.executable, "-m", "pytest", "-q", "-rf", "--tb=no", "-p", "no:cacheprovider"]
    result = subprocess.run(
        [*command, str(ROOT / "tests/request/test_transparency.py")],
        cwd=ROOT,
        env={**os.environ, "INAPP_BATTERY_PEER": peer},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    failed = re.findall(r"^FAILED \S+::(\S+)", result.stdout, re.MULTILINE)
    cases = {name.partition("[")[0] for name in failed}
    summary = result.stdout.strip().splitlines()[-1] if result.stdout.strip() else result.stderr
    lines = [f"{peer or 'inapp-monitor'}: {summary}"]
    for case in sorted(cases):
        count = sum(name.partition("[")[0] == case for name in failed)
        lines.append(f"  {case} ({count})")
    sys.stdout.write("\n" + "\n".join(lines) + "\n")
    assert summary
    assert peer or not failed
