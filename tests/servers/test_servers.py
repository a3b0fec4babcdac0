"""Under real servers: every answered request is counted, and nothing is left behind at the end."""

from __future__ import annotations

import math
import os
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Set
from pathlib import Path

import pytest

from .harness import COMMANDS, Served, missing, representing

#: A second, and what it takes to read the store.
LAST_SECOND_S = 1.5
TRIES = 4
TERM, INT, QUIT, KILL = signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGKILL
WINCH = signal.SIGWINCH  # a graceful stop of Apache
#: Server to the signals that it ends properly by: its exit handlers run and nothing is lost.
GRACEFUL: dict[str, list[int]] = {
    "wsgiref": [INT],
    "werkzeug": [INT],
    "werkzeug reloader": [],
    "werkzeug processes": [INT],
    "waitress": [INT],
    "cheroot": [INT],
    "gevent": [INT],
    "gunicorn sync": [TERM, INT, QUIT],
    "gunicorn gthread": [TERM, INT, QUIT],
    "gunicorn gevent": [TERM, INT],
    "gunicorn preload": [TERM, INT],
    "gunicorn max_requests": [TERM],
    "uwsgi prefork": [TERM, INT],
    "uwsgi threads": [TERM, INT],
    "uwsgi lazy": [TERM],
    "uwsgi single": [INT],
    "uwsgi graceful": [TERM],
    "mod_wsgi daemon": [TERM, WINCH],
    "mod_wsgi daemon global": [TERM],
    "mod_wsgi embedded": [TERM, WINCH],
}
SMOKE = {("wsgiref", INT), ("gunicorn sync", TERM)}
CASES = [(name, number) for name, numbers in GRACEFUL.items() for number in numbers]
#: Servers of a kind of their own: threads, processes or greenlets, with forks or without, with what
#: runs at their exit. The others differ from one of these in options, and are in `make compat`.
KINDS = {
    *("wsgiref", "werkzeug processes", "waitress", "cheroot", "gevent"),
    *("gunicorn sync", "gunicorn gevent", "gunicorn preload", "uwsgi prefork", "uwsgi lazy"),
}


def case(name: str, number: int, kinds: Set[str] = KINDS) -> object:
    """One server and signal; in the suite when it is of one of the kinds, by its first signal."""
    marks = [] if (name, number) in SMOKE else [pytest.mark.slow]
    if name not in kinds or number not in (*GRACEFUL.get(name, ())[:1], KILL):
        marks += [pytest.mark.compat, pytest.mark.peer]
    if missing(name):
        marks.append(pytest.mark.skip(reason=missing(name)))
    return pytest.param(name, number, marks=marks, id=f"{name} {signal.Signals(number).name}")


@pytest.mark.parametrize(("name", "number"), [case(*pair) for pair in CASES])
def test_graceful_end_loses_nothing(name: str, number: int, tmp_path: Path) -> None:
    """A server that ends properly leaves every answered request counted, at once."""
    with Served(name, tmp_path, FLUSH_S="60") as served:  # what counts is the end
        served.traffic(100)
        served.stop(number)
        assert served.left_over() == []
    assert served.errors == []
    assert served.counted() == served.answered == 100


#: Ends under which a server lets what it is answering come to its end. Not cheroot's: in traffic it
#: hears INT, and in one of twenty runs goes on for ever, also without a monitor. Nor gevent's: INT
#: there is a KeyboardInterrupt in whatever runs, the counting of an answered request included.
UNDER_LOAD = [
    *(("gunicorn sync", TERM), ("gunicorn gthread", TERM), ("gunicorn gevent", TERM)),
    *(("waitress", INT), ("uwsgi graceful", TERM)),
    *(("mod_wsgi daemon", TERM), ("mod_wsgi embedded", WINCH)),
]
LOADED = {"gunicorn gthread", "gunicorn gevent", "waitress", "uwsgi graceful"}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number"), [case(*pair, LOADED) for pair in UNDER_LOAD])
def test_end_under_load_loses_nothing(name: str, number: int, tmp_path: Path) -> None:
    """A proper end in the middle of traffic: whatever was answered is counted.

    One more for each client may be: the application answered, and the server cut the line.
    """
    with Served(name, tmp_path, FLUSH_S="60") as served:
        served.get("/")
        traffic = threading.Thread(target=served.traffic, args=(100_000,))
        traffic.start()
        time.sleep(0.5)
        served.stop(number, settled_s=0.0)
        traffic.join()
        assert served.left_over() == []
    assert 0 <= served.counted() - served.answered <= 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "number"),
    [
        case(name, numbers[0], {"wsgiref", "waitress", "gunicorn sync", "uwsgi prefork"})
        for name, numbers in GRACEFUL.items()
        if numbers
    ],
)
def test_end_is_not_delayed(name: str, number: int, tmp_path: Path) -> None:
    """Writing what is left takes no half second longer than the same server takes without us.

    The best of a few tries counts: a busy machine delays any end.
    """
    for attempt in range(TRIES):
        took = {}
        for bare in ("1", ""):
            directory = tmp_path / f"try-{attempt}-bare-{bare}"
            directory.mkdir()
            with Served(name, directory, BARE=bare) as served:
                served.traffic(20)
                if not bare:  # SQLite is loaded once the first error has been written
                    served.wait_for(lambda: all_is_stored(served))
                took[bare] = served.stop(number)
        if took[""] < took["1"] + 0.5:
            return
    pytest.fail(f"{name}: {took['']:.2f} s with us, {took['1']:.2f} s without")


def all_is_stored(served: Served) -> bool:
    """Whether every answered request is counted, and the failure of one is an issue."""
    failed = "uwsgi" in served.name or bool(served.issues("RuntimeError"))
    return failed and served.counted() == served.answered


def stored_after(served: Served) -> float:
    """Seconds from the last of some answers until all of them are stored.

    The best of a few tries counts: a busy machine writes late.
    """
    best_s = math.inf
    for _ in range(TRIES):
        served.traffic(60)
        begin = time.monotonic()
        served.wait_until_counted()
        best_s = min(best_s, time.monotonic() - begin)
        if best_s < LAST_SECOND_S:
            break
    return best_s


KILLED = {"waitress", "werkzeug processes", "gunicorn gevent", "gunicorn preload"}
KILLED |= {"uwsgi prefork", "uwsgi no threads"}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number"), [case(name, KILL, KILLED) for name in COMMANDS])
def test_kill_loses_at_most_the_last_second(name: str, number: int, tmp_path: Path) -> None:
    """What was answered a second before a SIGKILL of everything is there."""
    with Served(name, tmp_path) as served:
        took_s = stored_after(served)
        served.kill_group()
    assert took_s < LAST_SECOND_S
    assert served.errors == []
    assert served.counted() == served.answered


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    representing(
        ["waitress", "cheroot", "wsgiref", "werkzeug", "werkzeug processes"],
        "waitress",
        "werkzeug processes",
    ),
)
def test_term_without_a_handler(name: str, tmp_path: Path) -> None:
    """These servers leave SIGTERM to the kernel: at most the last second is lost."""
    with Served(name, tmp_path) as served:
        took_s = stored_after(served)
        served.stop(TERM)
    assert took_s < LAST_SECOND_S
    assert served.counted() == served.answered


@pytest.mark.slow
def test_killed_worker_is_replaced_and_told(tmp_path: Path) -> None:
    """A worker that is killed in a request: another one tells which request it was."""
    with Served("gunicorn gthread", tmp_path) as served:
        served.traffic(20)
        victim = served.start_losing("/slow")
        served.wait_for(lambda: served.answering("/slow"))
        os.kill(served.answering("/slow"), KILL)
        victim.join()
        served.traffic(20)
        served.wait_for(lambda: served.get("/")[0] == 200 and served.issues("WorkerDied"))
        served.kill_group()
    assert served.errors == []
    (issue,) = served.issues("WorkerDied")
    assert "died while it answered GET /slow, begun at " in issue.title


@pytest.mark.parametrize("name", ["wsgiref"])
def test_client_that_leaves(name: str, tmp_path: Path) -> None:
    """A client that leaves in the middle of a stream is counted, and is no error."""
    with Served(name, tmp_path) as served:
        served.get("/endless", read=False)
        served.get("/")
        time.sleep(0.2)
        served.stop(INT)
    assert served.counted() == 2
    assert not any("BrokenPipe" in title for title in errors_of(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    representing(
        [
            "werkzeug",
            "werkzeug processes",
            "waitress",
            "cheroot",
            "gunicorn sync",
            "gunicorn gthread",
        ],
        "waitress",
        "gunicorn gthread",
    ),
)
def test_client_that_leaves_other_servers(name: str, tmp_path: Path) -> None:
    """The same under the other servers, whose own exceptions look different."""
    with Served(name, tmp_path) as served:
        served.get("/endless", read=False)
        served.get("/")
        served.wait_for(lambda: served.counted() == 2)
        served.kill_group()
    assert served.counted() == 2
    assert errors_of(tmp_path) == []


def errors_of(directory: Path) -> list[str]:
    """The titles of all issues that are written."""
    path = directory / "data" / "monitor.db"
    if not path.exists():
        return []
    connection = sqlite3.connect(path)
    try:
        return [title for (title,) in connection.execute("select title from issues")]
    except sqlite3.OperationalError:  # no tables yet
        return []
    finally:
        connection.close()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("name", ["gunicorn sync", "uwsgi prefork"])
def test_files_go_by_sendfile(name: str, tmp_path: Path) -> None:
    """The server's own way for files stays open: the kernel copies them."""
    if missing(name):
        pytest.skip(missing(name))
    trace = tmp_path / "trace"
    prefix = ["strace", "-f", "-qq", "-e", "trace=sendfile", "-o", str(trace)]
    with Served(name, tmp_path, prefix) as served:
        status, body = served.get("/file")
        served.kill_group()
    assert (status, len(body)) == (200, 1_000_000)
    assert "sendfile(" in trace.read_text()
