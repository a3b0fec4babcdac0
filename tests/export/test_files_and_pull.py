"""Tables, a tidy database, and what one installation takes over from another one."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.serving import BaseWSGIServer, make_server

from inapp_monitor import Monitor
from inapp_monitor.cli.command_line import main
from inapp_monitor.export import portion_json, pulling
from inapp_monitor.export.portions import Counted, Number, Portion
from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.ground.destination import parse_url
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Batch, Distribution, Method, Scalar
from inapp_monitor.store.series import Store
from inapp_monitor.testing import FakeClock
from tests.export.conftest import TOKEN, application, open_store, visit


@pytest.fixture
def recorded(data_dir: Path) -> Path:
    """A data directory with ten minutes of series, an error and a 404."""
    clock = FakeClock(SYSTEM.wall() - 600)
    store = open_store(data_dir, clock)
    for number in range(48):
        moment = int(clock.now)
        scalars = [Scalar("orders", moment, 2.0, Method.SUM),
                   Scalar("=cmd", moment, float(number), Method.LAST)]  # fmt: skip
        store.add(Batch(scalars, [Distribution("pay", moment, Histogram.of([5.0, 7.0]))]))
        store.flush()
        clock.advance(10.0)
    store.close()
    monitor = Monitor(
        application, data_dir=data_dir, token=TOKEN, collect_process=False, collect_host=False
    )
    visit(monitor, "/fails", "/ok")
    monitor.close()
    return data_dir


def export(*arguments: str, data_dir: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["export", *arguments, "--data-dir", str(data_dir)])
    assert ended.value.code == 0


def test_a_tidy_database(recorded: Path, tmp_path: Path) -> None:
    """Every key leads somewhere, sums are those of the store, and the views answer."""
    target = tmp_path / "shop.db"
    for _ in range(2):  # made anew as a whole
        export("--sqlite", str(target), data_dir=recorded)
    connection = sqlite3.connect(target)
    assert connection.execute("pragma foreign_key_check").fetchall() == []
    assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
    named = "select sum(value) from named_points where path = ?"
    assert connection.execute(named, ("orders",)).fetchone()[0] >= 2.0 * 40
    timers = "select sum(count) from named_distribution_points where path = 'pay'"
    assert connection.execute(timers).fetchone()[0] >= 2 * 40
    events = connection.execute(
        "select i.type, e.route, e.json from events e join issues i on i.id = e.issue_id"
    ).fetchall()
    assert events
    assert events[0][0] == "ValueError"
    assert json.loads(events[0][2])["exceptions"]
    assert connection.execute("select sum(events) from events_by_day").fetchone()[0] == len(events)
    words = "select count(*) from events_fts where events_fts match 'ValueError'"
    assert connection.execute(words).fetchone()[0] == len(events)
    connection.close()


def test_a_table_of_targets(recorded: Path, tmp_path: Path, capfd: Any) -> None:
    """Any target of the query language, a row a point; nothing in it is a formula."""
    target = tmp_path / "t.csv"
    export("--csv", str(target), "--from", "-20min", "scale(orders,3)", "=cmd", data_dir=recorded)
    rows = list(csv.DictReader(target.read_text().splitlines()))
    assert {row["series"] for row in rows} == {"scale(orders,3)", "'=cmd"}
    assert sum(float(row["value"]) for row in rows if "orders" in row["series"]) == 48 * 6.0
    assert rows[0]["time"].endswith("Z")
    before = target.read_bytes()
    with pytest.raises(SystemExit) as ended:
        main(["export", "--csv", str(target), "nofunction(orders)", "--data-dir", str(recorded)])
    assert ended.value.code == 2
    assert "nofunction" in capfd.readouterr().err
    assert target.read_bytes() == before


def test_parquet(recorded: Path, tmp_path: Path) -> None:
    """Typed columns, all series where none is named, timers by their statistics."""
    parquet = pytest.importorskip("pyarrow.parquet")
    target = tmp_path / "t.parquet"
    export("--parquet", str(target), "--from", "-20min", data_dir=recorded)
    table = parquet.read_table(target)
    assert table.column_names == ["series", "time", "value"]
    rows = table.to_pylist()
    assert sum(row["value"] for row in rows if row["series"] == "orders") == 48 * 2.0
    assert {"pay.p95", "pay.count"} <= {row["series"] for row in rows}


@pytest.fixture
def other(recorded: Path) -> Iterator[BaseWSGIServer]:
    """Another installation's app, on a real server."""
    import threading

    monitor = Monitor(
        application, data_dir=recorded, token=TOKEN, collect_process=False, collect_host=False
    )
    server = make_server("127.0.0.1", 0, monitor, threaded=True)  # type: ignore[arg-type]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    monitor.close()


def test_two_machines_one_overview(
    other: BaseWSGIServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Below a prefix, each interval once however often it is asked for, timers as they are."""
    here = tmp_path / "here"
    here.mkdir()
    (here / "token").write_text(TOKEN)
    command = [
        "pull", f"http://127.0.0.1:{other.server_port}/_metrics", "--prefix", "web2",
        "--token-file", str(here / "token"), "--data-dir", str(here),
    ]  # fmt: skip
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            main(command)
        assert ended.value.code == 0
    assert capsys.readouterr().out.splitlines()[0] != "0 points"
    clock = FakeClock(SYSTEM.wall())
    store = open_store(here, clock)
    now = int(clock.now)
    (orders,) = store.fetch(["web2.orders"], now - 1_200, now, now)
    assert sum(v for v in orders.values if v == v) == 48 * 2.0
    assert orders.method is Method.SUM
    timers = store.fetch_distribution("web2.pay", now - 1_200, now, now)
    assert timers is not None
    assert sum(slot.count for slot in timers.slots if slot is not None) == 48 * 2
    store.close()


def test_a_wrong_token_and_a_stranger_are_named(
    other: BaseWSGIServer, store: Store, tmp_path: Path
) -> None:
    """One line says who refuses what; nothing is taken over."""
    destination = parse_url(f"http://127.0.0.1:{other.server_port}/_metrics")
    with pytest.raises(pulling.PullError, match="refuses the token"):
        pulling.pull(destination, "wrong-token", "web2", store, tmp_path / "p", SYSTEM.wall)
    elsewhere = parse_url(f"http://127.0.0.1:{other.server_port}/ok")
    with pytest.raises(pulling.PullError, match=r"HTTP|document"):
        pulling.pull(elsewhere, TOKEN, "web2", store, tmp_path / "p", SYSTEM.wall)


_VALUES = st.lists(st.floats(0.0, 1e9), min_size=1, max_size=20)


@settings(max_examples=30)
@given(_VALUES, st.sampled_from(list(Method)))
def test_a_portion_is_read_back(values: list[float], method: Method) -> None:
    """Numbers and histograms come back as they were."""
    portion = Portion(0, 300)
    portion.numbers += [Number("a;b=c", method, 10 * i, 10, v) for i, v in enumerate(values)]
    portion.counted.append(Counted("t", 0, 60, Histogram.of(values)))
    assert portion_json.load(portion_json.dump(portion)) == portion


@pytest.mark.parametrize(
    "hostile",
    [
        b"", b"[]", b"{}", b'{"version": 2}', b"[" * 100_000,
        b'{"version":1,"after":0,"until":1,"numbers":[["a b",1,0,10,1]],"distributions":[]}',
        b'{"version":1,"after":0,"until":1,"numbers":[["a",9,0,10,1]],"distributions":[]}',
        b'{"version":1,"after":0,"until":1,"numbers":[["a",1,0,10,1e999]],"distributions":[]}',
        b'{"version":1,"after":0,"until":1,"numbers":[],"distributions":'
        b'[["t",0,10,5,1,1,1,0,[1],[4]]]}',
        b'{"version":1,"after":0,"until":1,"numbers":[],"distributions":'
        b'[["t",0,10,4,1,1,1,0,[99999],[4]]]}',
    ],
)  # fmt: skip
def test_no_stranger_puts_anything_into_the_store(hostile: bytes) -> None:
    """What cannot be is a ValueError with a reason, and nothing else."""
    with pytest.raises(ValueError, match=r"."):
        portion_json.load(hostile)
