"""What the application says about a request goes with that request's errors only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inapp_monitor import Monitor, add_breadcrumb, set_tag, set_user
from tests.environ import environ_of
from tests.request.battery import serve


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    if environ["PATH_INFO"] == "/hello":
        set_user("ada")
        set_tag("plan", "gold")
        add_breadcrumb("said hello")
    elif environ["PATH_INFO"] == "/handled":
        set_user("bob")
        try:
            raise LookupError("handled")
        except LookupError:
            monitors[0].capture_exception()
    else:
        raise ValueError("boom")
    start_response("200 OK", [])
    return [b""]


monitors: list[Monitor] = []


def test_a_thread_that_answers_many_requests(tmp_path: Path) -> None:
    """The second request's error knows nothing of the first; a handled one knows its request."""
    monitor = Monitor(app, data_dir=tmp_path / "data", flush_interval_s=60)
    monitors[:] = [monitor]
    try:
        for path in ("/hello", "/boom", "/handled"):
            serve(monitor, environ_of(path))
        monitor.refresh()
        details = [monitor.tracker.get_issue(issue.id) for issue in monitor.tracker.list_issues()]
        events = {detail.summary.type: detail.events[0] for detail in details if detail}
    finally:
        monitors.clear()
        monitor.close()
    boom, handled = events["ValueError"], events["LookupError"]
    assert (boom["user"], boom["tags"], boom["breadcrumbs"]) == ({}, {}, [])
    assert handled["user"] == {"id": "bob"}
    assert handled["request"]["path"] == "/handled"
