"""Hostile texts on the error pages in a real browser: nothing runs, nothing leaves."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server
from werkzeug.test import Client

from inapp_monitor import Monitor, add_breadcrumb, set_context, set_tag, set_user
from tests.browser.chromium import NEEDS_CHROMIUM, Tab

pytestmark = NEEDS_CHROMIUM
ATTACK = "\"'></textarea></title><script>hacked=1</script><img src=x onerror=hacked=1>{{7*7}}"


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    set_user({"id": ATTACK, "name": ATTACK})
    set_tag(ATTACK[:30], ATTACK)
    set_context(ATTACK[:30], {"text": ATTACK})
    add_breadcrumb(ATTACK, category=ATTACK, data={"data": ATTACK})
    local = {ATTACK: [ATTACK]}
    error = type("Error<script>hacked=1</script>", (Exception,), {})(ATTACK, local)
    error.add_note(ATTACK)
    raise error from SyntaxError("bad", ("<script>hacked=1</script>", 1, 2, ATTACK))


def test_a_script_in_every_captured_text_is_inert(browser: Any, tmp_path: Path) -> None:
    """List, detail and downloads, for type, message, locals, request, user, tags and the rest."""
    token = "letmein-letmein-letmein"
    monitor = Monitor(app, data_dir=tmp_path / "data", token=token, release=ATTACK)
    with pytest.raises(Exception, match="hacked"):
        Client(monitor).get(
            f"/{ATTACK}?q={ATTACK}", headers={"Referer": f"javascript:{ATTACK}", "X-Odd": ATTACK}
        )
    monitor.refresh()
    issue = monitor.tracker.list_issues()[0].id
    monitor.tracker.triage.comment(issue, ATTACK, by=ATTACK)
    server = make_server("127.0.0.1", 0, monitor, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    home = f"http://127.0.0.1:{server.port}/_metrics"
    try:
        tab = Tab(browser, home)
        page = tab.open(f"/?token={token}")
        for path in ("/errors", f"/errors/{issue}", f"/errors/{issue}/event.txt"):
            tab.open(path)
            assert page.evaluate("window.hacked === undefined"), path
            assert page.locator("img").count() == 0
        tab.open(f"/errors/{issue}")
        assert page.locator("a[href^='javascript']").count() == 0
        assert "{{7*7}}" in page.inner_text("main")
        tab.close()
    finally:
        server.shutdown()
        monitor.close()
