"""What one request or job said about itself never stands with another's error."""

from __future__ import annotations

import asyncio
import gc
import queue
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor import Monitor, add_breadcrumb, new_scope, set_tag, set_user
from inapp_monitor.issues import scope
from inapp_monitor.issues.scope import Scope
from tests.environ import environ_of

from .conftest import MakeMonitor


def name(who: str) -> None:
    """A job of somebody's, who says so."""
    set_user({"id": who})
    set_tag("plan", "gold")
    add_breadcrumb(f"mail for {who}")


def seen() -> tuple[dict[str, str], dict[str, str], list[str]]:
    """What an error that happens here would carry."""
    facts = scope.current() or Scope((0, 0))
    return facts.user, facts.tags, [crumb["message"] for crumb in facts.breadcrumbs]


NOTHING: tuple[dict[str, str], dict[str, str], list[str]] = ({}, {}, [])
ADA = ({"id": "ada"}, {"plan": "gold"}, ["mail for ada"])


def job(who: str) -> object:
    """Only ada's says who she is; both could fail."""
    if who == "ada":
        name(who)
    return seen()


def by_executor() -> Iterator[object]:
    with ThreadPoolExecutor(1) as pool:
        yield from pool.map(job, ["ada", "bob"])


def by_thread_pool() -> Iterator[object]:
    with ThreadPool(1) as pool:
        yield from [pool.apply(job, (who,)) for who in ("ada", "bob")]


def by_own_loop() -> Iterator[object]:
    jobs: queue.Queue[str] = queue.Queue()
    results: queue.Queue[object] = queue.Queue()

    def work() -> None:
        while (who := jobs.get()) != "":
            results.put(job(who))

    thread = threading.Thread(target=work)
    thread.start()
    for who in ("ada", "bob", ""):
        jobs.put(who)
    thread.join()
    yield from (results.get_nowait(), results.get_nowait())


def by_loop_that_logs_first() -> Iterator[object]:
    def loop() -> Iterator[object]:
        for who in ("ada", "bob"):
            add_breadcrumb("mail for ada" if who == "ada" else "next")
            yield name_and_see(who)

    def name_and_see(who: str) -> object:
        if who == "ada":
            set_user({"id": "ada"})
            set_tag("plan", "gold")
        return seen()

    results = list(loop())
    assert results[1] == ({}, {}, ["next"])
    yield from (results[0], NOTHING)


def by_tasks() -> Iterator[object]:
    async def task(who: str) -> object:
        job(who)
        await asyncio.sleep(0)  # the loop goes round, the job is the same
        return seen()

    async def main() -> list[object]:
        return [await asyncio.create_task(task(who)) for who in ("ada", "bob")]

    yield from asyncio.run(main())


@pytest.mark.parametrize(
    "run", [by_executor, by_thread_pool, by_own_loop, by_loop_that_logs_first, by_tasks]
)
def test_nothing_of_a_job_reaches_the_next_in_its_thread(
    run: Callable[[], Iterator[object]],
) -> None:
    """The first one sees what it said, the second one nothing of it."""
    first, second = run()
    assert first == ADA
    assert second == NOTHING


def test_a_job_keeps_what_any_of_its_functions_said() -> None:
    """Set by a function that has returned, and in a loop of its own."""
    name("ada")
    assert seen() == ADA

    def step(number: int) -> None:
        add_breadcrumb(f"step {number}")

    for number in range(2):
        step(number)
    assert seen()[2] == ["mail for ada", "step 0", "step 1"]
    with new_scope():
        set_user({"id": "bob"})
        assert seen()[0] == {"id": "bob"}
    assert seen()[0] == {"id": "ada"}


def test_a_job_keeps_no_object_of_the_application_alive() -> None:
    """Neither by what was said nor by remembering where."""

    class Thing:
        pass

    def work() -> weakref.ref[Thing]:
        thing = Thing()
        name("ada")
        return weakref.ref(thing)

    reference = work()
    gc.collect()
    assert reference() is None


def test_a_debugger_that_traces_is_not_disturbed() -> None:
    """It may be switched on in frames that a job has marked, and sees the lines."""
    lines = []

    def trace(_frame: Any, event: str, _: object) -> Any:
        lines.append(event)
        return trace

    def work() -> None:
        name("ada")
        sys.settrace(trace)
        job("bob")
        sys.settrace(None)

    before = sys.gettrace()
    try:
        work()
    finally:
        sys.settrace(before)
    assert "line" in lines
    assert "return" in lines


SCRIPT = """
import sys
from inapp_monitor import Monitor, set_user
monitor = Monitor(lambda environ, start_response: [], data_dir=sys.argv[1])
monitor.refresh()
def main():
    set_user("ada")
    raise ValueError("stock")
main()
"""


def test_a_script_that_ends_by_an_exception_has_what_it_said(tmp_path: Path) -> None:
    """Its functions are over when the exception is reported."""
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "data")]
    subprocess.run(command, capture_output=True, timeout=60, check=False)
    monitor = Monitor(lambda *_: [], data_dir=tmp_path / "data")
    (issue,) = monitor.tracker.list_issues()
    detail = monitor.tracker.get_issue(issue.id)
    assert detail is not None
    assert detail.events[0]["user"] == {"id": "ada"}


def test_nothing_of_a_streamed_request_is_left_in_its_thread(tmp_path: Path) -> None:
    """While it is sent its facts are there; when it is over, they are gone."""
    during: list[object] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        name("ada")
        return body()

    def body() -> Iterator[bytes]:
        yield b"a"
        during.append(seen())

    monitor = Monitor(app, data_dir=tmp_path)
    try:
        answer: Any = monitor(environ_of("/"), lambda *_: None)
        assert b"".join(answer) == b"a"
        answer.close()
        assert during == [ADA]
        assert seen() == NOTHING
    finally:
        monitor.close()


ASYNC_SCRIPT = """
import sys
import flask
from inapp_monitor import Monitor, set_user
app = flask.Flask("shop")
@app.route("/<user>")
async def view(user):
    set_user(user)
    raise ValueError("stock")
assert "asgiref.sync" not in sys.modules
monitor = Monitor(app.wsgi_app, data_dir=sys.argv[1])
app.wsgi_app = monitor
app.test_client().get("/ada")
monitor.refresh()
(issue,) = monitor.tracker.list_issues()
(event,) = monitor.tracker.get_issue(issue.id).events
assert event["user"] == {"id": "ada"}, event["user"]
monitor.close()
"""


def test_the_first_async_view_of_a_process_has_its_request(tmp_path: Path) -> None:
    """It runs in another thread, and what hands the context on is loaded by this request."""
    pytest.importorskip("asgiref")
    pytest.importorskip("flask")
    command = [sys.executable, "-c", ASYNC_SCRIPT, str(tmp_path / "data")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("users", "count"),
    [
        ([{"id": None, "email": "ada@example.org"}, {"id": None, "email": "bob@example.org"}], 2),
        ([{"id": "", "username": "ada"}, {"id": "", "username": "bob"}], 2),
        ([{"plan": "gold", "login": "ada"}, {"plan": "gold", "login": "bob"}], 2),
        ([{"first": "ada", "last": "l"}, {"first": "ada", "last": "k"}], 2),
        ([{"last": "l", "first": "ada"}, {"first": "ada", "last": "l"}], 1),
        ([{"id": "7", "email": "old@example.org"}, {"id": "7", "email": "new@example.org"}], 1),
        ([{"id": None}, None], 0),
        ([7, "7", {"id": 7}], 1),
    ],
)
def test_users_are_counted_by_what_identifies_them(
    make_monitor: MakeMonitor, users: list[Any], count: int
) -> None:
    """With or without an id; nobody is no user."""
    monitor = make_monitor()
    for user in users:
        set_user(user)
        monitor.tracker.capture_message("stock")
    monitor.tick()
    assert monitor.only_issue().summary.users == count
