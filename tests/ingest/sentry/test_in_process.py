"""An SDK inside the monitored application: no HTTP, no loop, and one event of one exception."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sentry_sdk")


def run(scenario: str, directory: Path) -> Any:
    """Issues, the last event of each, counts of SDKs, and requests that the SDK made."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.ingest.sentry.shop_with_sdk", scenario, str(directory)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_an_exception_that_both_see_is_one_event(tmp_path: Path) -> None:
    """The monitor's, with the route and the variables; and what was set with the SDK."""
    (issue,), (event,), _, _ = run("boom", tmp_path)
    assert (issue["type"], issue["count"]) == ("LookupError", 2)
    assert event["route"] == "/boom/<int:number>"
    assert event["tags"]["basket"] == "large"
    assert event["user"] == {"id": "7"}
    assert "opened" in [crumb["message"] for crumb in event["breadcrumbs"]]
    assert event["exceptions"][0]["frames"][-1]["locals"]["number"] == "4"


def test_log_records_and_messages_come_once(tmp_path: Path) -> None:
    """Records are the monitor's, messages of the SDK become issues."""
    issues, _, _, _ = run("logged", tmp_path)
    assert {issue["title"]: issue["count"] for issue in issues} == {
        "shop ERROR: order 7 failed": 1,
        "KeyError: 'price'": 1,
        "odd basket": 1,
    }


def test_an_sdk_that_sends_to_its_own_application_makes_no_loop(tmp_path: Path) -> None:
    """A request that brings an envelope is no transaction that must be sent again."""
    _, _, counts, posted = run("loop", tmp_path)
    assert posted == 4  # an error and a transaction of each of the two requests
    assert counts["self"]["item"]["transaction"] == 2
