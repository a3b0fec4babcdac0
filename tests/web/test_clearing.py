"""Clearing forgets what was recorded and nothing else, beside processes that go on recording."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from werkzeug.test import Client

from inapp_monitor import Monitor
from inapp_monitor.cli.command_line import main
from inapp_monitor.testing import FakeClock
from inapp_monitor.web import clearing
from tests.web.stored_backend import NOW

TOKEN = "clearing-token-1"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    if environ["PATH_INFO"] == "/broken":
        raise ValueError("boom")
    start_response("404 Not Found" if environ["PATH_INFO"] == "/gone" else "200 OK", [])
    return [b"x"]


def worker(data_dir: Path, clock: FakeClock) -> tuple[Monitor, Client]:
    monitor = Monitor(app, data_dir=data_dir, token=TOKEN, clock=clock)
    return monitor, Client(monitor)


def use(client: Client) -> None:
    for path in ("/fine", "/gone"):
        client.get(path)
    try:
        client.get("/broken")
    except ValueError:
        pass


def seen(client: Client) -> dict[str, Any]:
    """What pages show of what was recorded."""
    query = "target=sumSeries(requests.status.*)&from=-1h&format=json"
    answer = client.get(f"/_metrics/render?{query}", headers=HEADERS).json
    values = [value for series in answer for value, _ in series["datapoints"] if value is not None]
    return {
        "requests": sum(values),
        "issues": [
            i["count"] for i in client.get("/_metrics/errors.json", headers=HEADERS).json["issues"]
        ],
        "not_found": [
            r["path"]
            for r in client.get("/_metrics/not-found.json", headers=HEADERS).json["not_found"]
        ],
    }


def press(client: Client, word: str) -> int:
    form = {"confirm": word}
    return client.post("/_metrics/clear", data=form, headers=HEADERS).status_code


def test_the_page_asks_for_a_word_and_clears_for_all_workers(tmp_path: Path) -> None:
    """Nothing happens without the word; with it both workers show nothing, and go on counting."""
    clock = FakeClock(NOW)
    workers = [worker(tmp_path / "data", clock) for _ in range(2)]
    for monitor, client in workers:
        use(client)
        monitor.life.refresh()
    clock.advance(30)
    (first, one), (second, other) = workers
    before = seen(other)
    assert press(one, "yes") == 400
    assert seen(other) == before != {"requests": 0, "issues": [], "not_found": []}
    assert press(one, "clear") == 303
    assert seen(one) == seen(other) == {"requests": 0, "issues": [], "not_found": []}
    clock.advance(30)
    use(other)
    second.life.refresh()
    assert seen(one) == {"requests": 3, "issues": [1], "not_found": ["/gone"]}
    for monitor in (first, second):
        assert not monitor.guard.faults
        monitor.close()


def test_a_form_without_the_token_of_its_page_is_refused(tmp_path: Path) -> None:
    """A session's cookie alone clears nothing."""
    monitor, client = worker(tmp_path / "data", FakeClock(NOW))
    client.get(f"/_metrics/?token={TOKEN}")
    answer = client.post("/_metrics/clear", data={"confirm": "clear"})
    assert answer.status_code == 403
    monitor.close()


def test_the_command_clears_beside_a_running_app(tmp_path: Path) -> None:
    """It asks, says what went, and the app goes on in the same files; the token stays."""
    clock = FakeClock(NOW)
    monitor, client = worker(tmp_path / "data", clock)
    use(client)
    monitor.life.refresh()
    arguments = ["clear", str(tmp_path / "data")]
    assert CliRunner().invoke(main, arguments, input="n\n").exit_code == 1
    assert seen(client)["requests"] == 3
    answer = CliRunner().invoke(main, [*arguments, "--yes"])
    assert (answer.exit_code, "1 issues" in answer.output) == (0, True), answer.output
    assert seen(client)["requests"] == 0
    clock.advance(30)
    use(client)
    monitor.close()
    check = CliRunner().invoke(main, ["check", str(tmp_path / "data")])
    assert check.exit_code == 0, check.output


def test_every_table_is_cleared_or_kept_on_purpose(tmp_path: Path) -> None:
    """A table that nobody thought of would outlive what it is about."""
    monitor, client = worker(tmp_path / "data", FakeClock(NOW))
    use(client)
    client.get("/_metrics/sdks", headers=HEADERS)
    monitor.close()
    connection = sqlite3.connect(tmp_path / "data" / "monitor.db")
    rows = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
    connection.close()
    known = {*clearing.CLEARED, *clearing.KEPT, "incidents"}
    names = {name for (name,) in rows if not name.startswith("sqlite_")}
    assert {name for name in names if not name.startswith("issue")} <= known
    assert known - names <= {"tagged_series", "dashboards", "series_descriptions"}


def test_a_worker_that_missed_it_finds_what_was_made_since(tmp_path: Path) -> None:
    """It looks only after another one has made the same distributions anew, again and again."""
    clock = FakeClock(NOW)
    (first, one), (second, other) = (worker(tmp_path / "data", clock) for _ in range(2))
    for _ in range(3):
        use(one)
        for number in range(4):
            first.timing(f"mine.{number}", 5)
        first.life.refresh()
        assert seen(other) == {"requests": 3, "issues": [1], "not_found": ["/gone"]}
        found = {leaf.path for leaf in second.store.leaves()}
        assert {f"mine.{number}" for number in range(4)} <= found
        clock.advance(30)
        assert press(one, "clear") == 303
    assert not second.guard.faults
    for monitor in (first, second):
        monitor.close()
