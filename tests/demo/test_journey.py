"""The demo as a newcomer starts it: real server, real visitors, and a dashboard that agrees."""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from demo_app.shop.database import connect, ensure
from tests.demo.conftest import Process, fetch, total, until

LINE = r"traffic: (\d+) answers \(2xx (\d+), 3xx (\d+), 4xx (\d+), 5xx (\d+)\)\n"


class Demo(NamedTuple):
    """A demo whose traffic is over and whose server still runs."""

    url: str
    answers: list[int]
    early_sizes: dict[str, int]
    data_dir: Path


def sizes(data_dir: Path) -> dict[str, int]:
    """Bytes of each file that holds series."""
    return {
        str(path.relative_to(data_dir)): path.stat().st_size
        for path in (data_dir / "monitor" / "store").glob("*-*[0-9]")
    }


def rows(database_file: Path, table: str) -> int:
    """How many rows a table of the shop has."""
    with closing(connect(database_file)) as opened:
        (count,) = opened.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(count)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Ten seconds of traffic: by then somebody has met everything that is wrong with the shop."""
    data_dir = tmp_path_factory.mktemp("demo")
    process = Process(
        "demo_app", "--port", "0", "--seconds", "10", "--linger", "120", "--data-dir", str(data_dir)
    )
    try:
        url = process.line(r"shop: +(http://127\.0\.0\.1:\d+)/\n")[1]
        early = until(lambda: sizes(data_dir), "files of series")
        answers = [int(number) for number in process.line(LINE).groups()]
        yield Demo(url, answers, early, data_dir)
    finally:
        code = process.end()
    assert code == 0, process.output


def test_it_is_used_from_the_first_seconds_on(demo: Demo) -> None:
    """Pages, redirects, 404s and a failure: all are there to be seen."""
    answered, *classes = demo.answers
    assert answered == sum(classes)
    assert min(classes) > 0


def test_the_dashboard_counts_exactly_what_was_answered(demo: Demo) -> None:
    """In sum and by status class."""
    assert total(demo.url, "requests.time.count") == demo.answers[0]
    for number, answered in zip((2, 3, 4, 5), demo.answers[1:], strict=True):
        assert total(demo.url, f"requests.status.{number}xx") == answered
    assert total(demo.url, "requests.errors") == demo.answers[4]


def test_the_files_keep_their_size(demo: Demo) -> None:
    """From their first moment on."""
    late = sizes(demo.data_dir)
    assert {name: late[name] for name in demo.early_sizes} == demo.early_sizes


def test_the_intermittent_bug_is_listed_with_its_cause(demo: Demo) -> None:
    """As one issue, its stack at hand."""
    issues = json.loads(fetch(f"{demo.url}/_metrics/errors.json"))["issues"]
    (issue,) = (issue for issue in issues if issue["type"] == "PricingError")
    assert 0 < issue["count"] <= demo.answers[4]
    detail = fetch(f"{demo.url}/_metrics/errors/{issue['id']}.json").decode()
    assert "KeyError" in detail
    assert "_seasonal_discount" in detail


def test_the_stale_link_is_listed_with_the_page_that_has_it(demo: Demo) -> None:
    """Crawlers' nonsense as well."""
    rows = json.loads(fetch(f"{demo.url}/_metrics/not-found.json"))["not_found"]
    by_path = {row["path"]: row for row in rows}
    assert "/static/badges/organic-2023.png" in by_path or "/help/delivery-times" in by_path
    assert sum(row["count"] for row in rows) == total(demo.url, "requests.not_found")
    assert 0 < total(demo.url, "requests.not_found") <= demo.answers[3]
    assert any(demo.url in json.dumps(row) for row in rows)


def test_what_the_shop_counts_is_a_series(demo: Demo, tmp_path: Path) -> None:
    """Registered users and orders: as many as the shop's own database has got."""
    ensure(tmp_path / "shop.db")  # every new shop has the same past
    for series, table in (("users.registered", "user"), ("shop.orders", "purchase")):
        new = rows(demo.data_dir / "shop.db", table) - rows(tmp_path / "shop.db", table)
        assert total(demo.url, series) == new
    assert total(demo.url, "users.registered") + total(demo.url, "shop.orders") > 0


@pytest.mark.parametrize("page", ["/", "/status", "/not-found", "/errors"])
def test_pages_open_without_a_token_on_this_machine(demo: Demo, page: str) -> None:
    """A newcomer has nothing to type."""
    body = fetch(f"{demo.url}/_metrics{page}").decode()
    assert "<html" in body
    assert "Kettle &amp; Leaf" in body


def test_a_taken_port_is_said_in_one_line(start: Callable[..., Process], tmp_path: Path) -> None:
    """With the way out."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        process = start("demo_app", "--port", port, "--data-dir", str(tmp_path))
        assert process.popen.wait(30) == 2
    process.end()
    assert len(process.output.splitlines()) == 1
    assert port in process.output
    assert "make demo PORT=" in process.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_told_to_and_says_what_was_answered(
    start: Callable[..., Process], tmp_path: Path, number: int
) -> None:
    """However early."""
    process = start("demo_app", "--port", "0", "--data-dir", str(tmp_path))
    process.line("Ctrl-C stops")
    assert process.end(number) == 0
    process.line(LINE)


@pytest.mark.compat
def test_two_workers_tell_one_truth(
    start: Callable[..., Process], port: int, tmp_path: Path
) -> None:
    """Whichever worker of gunicorn is asked answers for both."""
    start(
        "gunicorn", "-w", "2", "-b", f"127.0.0.1:{port}", "demo_app.wsgi:application",
        DEMO_DATA_DIR=str(tmp_path),
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    visitors = start(
        "demo_app.traffic",
        "--url",
        url,
        "--max-requests",
        "300",
        "--rate",
        "150",
        "--seconds",
        "60",
    )
    answered = int(visitors.line(LINE)[1])
    until(lambda: total(url, "requests.time.count") == answered, "both workers' requests")
    said: dict[int, float] = {}
    for _ in range(100):
        pid = json.loads(fetch(f"{url}/_metrics/status.json"))["facts"]["pid"]
        said[pid] = total(url, "requests.time.count")
        if len(said) == 2:
            break
        threading.Event().wait(0.02)
    assert len(said) == 2, "only one worker answered"
    assert set(said.values()) == {answered}
