"""From `logging` in a request to the file: what is kept of a record, and what never is."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor import Monitor, set_user
from inapp_monitor.ground.facts import CostFacts
from inapp_monitor.logs import search
from inapp_monitor.logs.buffer import MAX_PENDING, HeardRecord
from inapp_monitor.logs.rows import MAX_TEXT, Scrubbing, parsed, row_of
from inapp_monitor.logs.search import Wanted
from tests.environ import environ_of

logger = logging.getLogger("shop.cart")
logger.addHandler(logging.NullHandler())
logger.propagate = False


def app_of(view: Callable[[], object]) -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        view()
        start_response("200 OK", [])
        return [b"x"]

    return app


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Monitor]]:
    """Makes monitors that listen already, and closes them afterwards."""
    made: list[Monitor] = []

    def make_one(view: Callable[[], object] = lambda: None, **more: Any) -> Monitor:
        given = {"data_dir": tmp_path / "data", "flush_interval_s": 60, **more}
        monitor = Monitor(app_of(view), route=["/carts/<id>"], **given)
        made.append(monitor)
        visit(monitor, "/")
        monitor.refresh()
        return monitor

    logger.setLevel(logging.DEBUG)
    yield make_one
    for monitor in made:
        monitor.close()


def visit(monitor: Monitor, path: str, **more: Any) -> None:
    for _ in monitor(environ_of(path, **more), lambda *_: lambda _: None):
        pass


def rows(monitor: Monitor, **wanted: Any) -> list[dict[str, Any]]:
    """What was kept, the oldest first."""
    monitor.refresh()
    return list(search.find(monitor.life.services.log_file, Wanted(**wanted)))[::-1]


def test_a_record_has_its_request(make: Callable[..., Monitor]) -> None:
    """Route, path, both ids of the caller, the user, the release and where it was logged."""

    def view() -> None:
        set_user("7")
        logger.warning("only %d left", 3, extra={"sku": "OOL-1", "level": 2.5})

    monitor = make(view, release="2.4.1")
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    visit(
        monitor,
        "/carts/12",
        HTTP_X_REQUEST_ID="req-1",
        HTTP_TRACEPARENT=f"00-{trace}-00f067aa0ba902b7-01",
    )
    row = rows(monitor)[-1]
    assert row["text"] == "only 3 left"
    assert (row["level"], row["logger"]) == ("WARNING", "shop.cart")
    assert (row["route"], row["method"], row["path"]) == ("/carts/<id>", "GET", "/carts/12")
    assert (row["request_id"], row["trace"]) == ("req-1", trace)
    assert (row["user"], row["release"]) == ("7", "2.4.1")
    assert row["fields"] == {"sku": "OOL-1", "level": "2.5"}
    assert row["place"].startswith("logs/test_records.py:")
    assert row["place"].endswith(" in view")
    for name in (row["request"], "req-1", trace):
        assert [found["text"] for found in rows(monitor, request=name)] == ["only 3 left"]


def test_records_of_one_request_have_one_key(make: Callable[..., Monitor]) -> None:
    """And those of another request another one; outside of requests there is none."""
    monitor = make(lambda: [logger.warning("a"), logger.warning("b")])
    visit(monitor, "/")
    visit(monitor, "/")
    logger.warning("outside")
    *inside, outside = [row.get("request") for row in rows(monitor, text="")]
    assert outside is None
    assert len(inside) == 6
    assert inside[0::2] == inside[1::2]
    assert len(set(inside)) == 3


def test_an_error_leads_to_its_issue(make: Callable[..., Monitor]) -> None:
    """Under the id that the page of errors has."""

    def view() -> None:
        try:
            raise ValueError("bad")
        except ValueError:
            logger.exception("while paying")

    monitor = make(view)
    visit(monitor, "/")
    row = rows(monitor, level="ERROR")[-1]
    assert row["error"] == "ValueError"
    assert row["issue"] == monitor.tracker.list_issues()[0].id


def test_secrets_are_hidden_before_the_disk(make: Callable[..., Monitor], tmp_path: Path) -> None:
    """In texts, in fields by their names, in paths and in what clients send."""
    secret = "hunter2-hunter2"

    def view() -> None:
        logger.warning("login with password=%s", secret, extra={"api_key": secret})

    monitor = make(view)
    visit(monitor, f"/reset?token={secret}", HTTP_X_REQUEST_ID=f"password={secret}")
    assert rows(monitor)[-1]["text"].startswith("login with password=")
    monitor.close()
    assert secret.encode() not in (tmp_path / "data" / "logs").read_bytes()


@pytest.mark.parametrize(
    ("level", "kept"),
    [
        ("INFO", ["i", "w", "e"]),
        ("WARNING", ["w", "e"]),
        ("error", ["e"]),
        ("OFF", []),
    ],
)
def test_the_setting_says_from_which_level(
    make: Callable[..., Monitor], level: str, kept: list[str]
) -> None:
    """DEBUG is never kept, and OFF makes no file."""
    monitor = make(log_level=level)
    logger.debug("d")
    logger.info("i")
    logger.warning("w")
    logger.error("e")
    assert [row["text"] for row in rows(monitor)] == kept
    assert (monitor.settings.data_dir / "logs").exists() == bool(kept)


def test_a_storm_is_bounded_and_counted_exactly(make: Callable[..., Monitor]) -> None:
    """What does not fit before the next tick is a number: in the file, in the drops."""
    monitor = make()
    for number in range(3 * MAX_PENDING):
        logger.warning("storm %d", number)
    kept = rows(monitor)
    assert [row["text"] for row in kept[:2]] == ["storm 0", "storm 1"]
    dropped = sum(row.get("dropped", 0) for row in kept)
    assert dropped > 0
    assert sum("dropped" not in row for row in kept) + dropped == 3 * MAX_PENDING
    assert monitor.facts().of(CostFacts).dropped["log records"] == dropped
    logger.warning("calm")
    assert [row["text"] for row in rows(monitor)[-1:]] == ["calm"]


def test_long_and_hostile_texts_stay_rows(make: Callable[..., Monitor]) -> None:
    """Cut and counted, escapes included; no object of the app's code runs."""

    class Hostile:
        def __str__(self) -> str:
            return "the app's code ran"

    monitor = make()
    logger.warning("x" * (MAX_TEXT + 5))
    logger.warning("\x1b[31m\u202e" * 2_000)
    logger.warning("%s", Hostile(), extra={"object": Hostile(), "fine": "yes"})
    long, odd, hostile = rows(monitor)
    assert long["text"].endswith("(5 more characters)")
    assert "\x1b" not in json.dumps(odd, ensure_ascii=False)
    assert hostile["fields"] == {"fine": "yes"}
    assert "ran" not in hostile["text"]


def test_a_file_that_refuses_is_shown_and_loses_nothing_meanwhile(
    make: Callable[..., Monitor],
) -> None:
    """Rows wait in memory, and are written when it works again."""
    monitor = make()
    path = monitor.settings.data_dir / "logs"
    path.mkdir()
    logger.warning("first")
    monitor.refresh()
    assert "file of log records" in monitor.guard.faults
    path.rmdir()
    logger.warning("second")
    assert [row["text"] for row in rows(monitor)] == ["first", "second"]
    assert "file of log records" not in monitor.guard.faults


def test_a_child_process_writes_nothing_of_its_parent(make: Callable[..., Monitor]) -> None:
    """What the parent had pending is the parent's."""
    monitor = make()
    logger.warning("of the parent")
    monitor.life.services.log_keeper.forked()
    assert rows(monitor) == []


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"level": "ERROR"}, ["paid twice"]),
        ({"logger": "shop"}, ["paid twice", "two left"]),
        ({"logger": "shop.cart"}, ["paid twice", "two left"]),
        ({"logger": "shop.ca"}, []),
        ({"text": "LEFT two"}, ["two left"]),
        ({"text": "sku-9"}, ["two left"]),
        ({"route": "cart"}, []),
        ({"end": 1.0}, []),
    ],
)
def test_filters(make: Callable[..., Monitor], wanted: dict[str, Any], found: list[str]) -> None:
    """Each names what must be so; words may stand anywhere, in any case."""
    monitor = make()
    logger.error("paid twice")
    logger.warning("two left", extra={"sku": "sku-9"})
    assert [row["text"] for row in rows(monitor, **wanted)] == found


def test_a_row_of_surrogates_fits() -> None:
    """What grows sixfold by its escapes is cut until it fits into a block."""
    scrubbing = Scrubbing(lambda text: text, lambda values: values)
    record = HeardRecord(1.0, 30, "shop", "\ud800" * MAX_TEXT, request_id="\udfff" * 9)
    row = parsed(row_of(record, scrubbing, "", 1))
    assert row is not None
    assert set(row["text"]) == {"\ud800"}


def test_what_is_logged_before_the_parts_are_loaded_is_kept(tmp_path: Path) -> None:
    """With its request and route; arguments that are no plain values run no code of the app."""

    class Odd:
        def __str__(self) -> str:
            return "the app's code ran"

    def view() -> None:
        logger.warning("first %d", 1)
        logger.warning("odd %s", Odd())
        logger.info("not kept")

    logger.setLevel(logging.DEBUG)
    routes = ["/carts/<id>"]
    monitor = Monitor(app_of(view), data_dir=tmp_path / "data", flush_interval_s=60, route=routes)
    visit(monitor, "/carts/1", HTTP_X_REQUEST_ID="req-1")
    found = rows(monitor)
    monitor.close()
    assert [row["text"] for row in found] == ["first 1", "odd %s"]
    assert {(row["route"], row["request_id"]) for row in found} == {("/carts/<id>", "req-1")}
    assert found[0]["place"].endswith(" in view")
