"""The pages of statements, N+1 on the overview and the route, and the stacked chart."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor import Monitor
from tests.environ import environ_of

TOKEN = "t" * 20


class Shop:
    """An application with an N+1 that can be mended, watched, and looked at."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.file = folder / "shop.db"
        with sqlite3.connect(self.file) as connection:
            connection.execute("create table products (id integer primary key, name text)")
            rows = [(number, f"S3CR3T{number}") for number in range(30)]
            connection.executemany("insert into products values (?, ?)", rows)
        self.is_mended = False
        self.data_dir = folder / "data"
        self.monitor = Monitor(
            self._app, data_dir=self.data_dir, token=TOKEN, flush_interval_s=60,
            route=lambda environ: environ["PATH_INFO"], **settings,
        )  # fmt: skip

    def _app(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        connection = sqlite3.connect(self.file)
        if self.is_mended:
            connection.execute("select name from products where name <> 'S3CR3T0'").fetchall()
        else:
            for number in range(25):
                sql = "select name from products where id = ?"
                connection.execute(sql, (number,)).fetchall()
        with pytest.raises(sqlite3.OperationalError):
            connection.execute("select 'S3CR3T' from nowhere")
        connection.close()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    def visit(self, path: str = "/orders", times: int = 1, **extra: Any) -> bytes:
        """Requests, closed as servers do."""
        for _ in range(times):
            environ = environ_of(path, HTTP_HOST="127.0.0.1", REMOTE_ADDR="192.0.2.1", **extra)
            body = self.monitor(environ, lambda status, headers, exc_info=None: lambda data: None)
            try:
                answer = b"".join(body)
            finally:
                getattr(body, "close", lambda: None)()
        return answer

    def page(self, path: str) -> str:
        """A page of the dashboard."""
        path, _, query = path.partition("?")
        extra = {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}", "QUERY_STRING": query}
        return self.visit(f"/_metrics{path}", **extra).decode()

    def json(self, path: str) -> Any:
        """The data of a page."""
        return json.loads(self.page(path))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """The shop, unmended."""
    made = Shop(tmp_path)
    yield made
    made.monitor.close()


def test_statements_by_what_they_cost(shop: Shop) -> None:
    """Figures over all requests, with route and line; sortable; no value anywhere."""
    shop.visit(times=8)
    data = shop.json("/statements.json")
    rows = {row["shape"]: row for row in data["rows"]}
    many = rows["select name from products where id = ?"]
    assert (many["count"], many["errors"]) == (200, 0)
    assert many["total_ms"] == pytest.approx(200 * many["mean"])
    assert many["mean"] / 10 < many["p95"] <= many["max"]
    assert many["routes"] == [{"route": "/orders", "slug": "orders", "count": 200}]
    assert "_app" in many["site"]
    assert sum(many["spark"]) == pytest.approx(many["total_ms"])
    failed = rows["select ? from nowhere"]
    assert (failed["count"], failed["errors"]) == (8, 8)
    assert sum(row["share"] for row in data["rows"]) == pytest.approx(100)
    assert shop.json("/statements.json?sort=errors")["rows"][0]["shape"] == failed["shape"]
    assert "must be one of" in shop.page("/statements.json?sort=nonsense")
    for page in ("/statements", f"/statements/{many['id']}", "/routes/orders", "/"):
        assert "S3CR3T" not in shop.page(page)
    shop.monitor.close()
    files = [path for path in shop.data_dir.rglob("*") if path.is_file()]
    assert files
    assert not any(b"S3CR3T" in path.read_bytes() for path in files)


def test_a_statement_has_a_page(shop: Shop) -> None:
    """Its shape, figures, lines and routes, and where it repeats; another id is a 404."""
    shop.visit(times=8)
    rows = shop.json("/statements.json")["rows"]
    row = next(each for each in rows if each["shape"] == "select name from products where id = ?")
    data = shop.json(f"/statements/{row['id']}.json")
    assert data["shape"] == row["shape"]
    assert data["repeats"][0]["route"] == "/orders"
    assert "select name from products" in shop.page(f"/statements/{row['id']}")
    assert "no such statement" in shop.page("/statements/0123456789ab.json")


def test_an_n_plus_one_is_said_on_the_overview_and_its_route(shop: Shop) -> None:
    """With how often, in how many requests, what it costs and which line."""
    for _ in range(30):  # where the machine holds requests up, they are slow for other reasons
        shop.visit(times=8)
        said = [v for v in shop.json("/overview.json")["verdicts"] if "N+1" in v["title"]]
        if said:
            break
    (verdict,) = said
    assert verdict["title"] == "N+1: /orders"
    assert "25 × a request" in verdict["detail"]
    (found,) = shop.json("/routes/orders.json")["repeats"]
    assert (found["kind"], found["times"]) == ("N+1", 25)
    assert 0.2 < found["share"] <= 1  # a request that the machine held up is none of a slow loop
    assert not found["gone"]
    assert found["ms"] <= found["loop_ms"] <= found["request_ms"]
    assert "N+1" in shop.page("/routes/orders")


def test_after_the_repair_it_is_gone(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The route says so, and the overview does not mention it."""
    from inapp_monitor.web.findings import repeated_statements

    monkeypatch.setattr(repeated_statements, "SLACK_S", -12)  # the counts are of steps of 10 s
    shop.visit(times=8)
    shop.monitor.refresh()
    shop.is_mended = True
    shop.visit(times=60)
    (found,) = shop.json("/routes/orders.json")["repeats"]
    assert found["gone"]
    assert found["share"] < 0.2
    assert "gone since" in shop.page("/routes/orders")
    titles = [verdict["title"] for verdict in shop.json("/overview.json")["verdicts"]]
    assert not any("N+1" in title for title in titles)


def test_where_the_time_goes(shop: Shop) -> None:
    """A stacked chart on overview and route, of series that anybody can ask for."""
    shop.visit(times=8)
    for page in ("/overview.json", "/routes/orders.json"):
        chart = shop.json(page)["charts"]["breakdown"]
        assert chart["stacked"]
        assert {"database", "computing"} <= {entry["name"] for entry in chart["series"]}
    target = "/render?target=requests.breakdown.database&target=routes.orders.breakdown.database"
    found = shop.json(f"{target}&format=json&from=-1min")
    sums = [sum(value or 0 for value, _ in series["datapoints"]) for series in found]
    assert len(sums) == 2
    assert sums[0] == pytest.approx(sums[1])
    assert sums[0] > 0


def test_statements_of_an_hour_ago_are_there_after_a_restart(shop: Shop) -> None:
    """They lie in the database, whoever made them."""
    shop.visit(times=3)
    shop.monitor.close()
    again = Monitor(lambda e, s: [], data_dir=shop.data_dir, token=TOKEN, flush_interval_s=60)
    shop.monitor = again
    rows = shop.json("/statements.json")["rows"]
    assert {row["count"] for row in rows} == {75, 3}


def test_an_application_without_statements_is_told_what_would_be_there(tmp_path: Path) -> None:
    """No empty table, and no verdict about a database that is not there."""
    shop = Shop.__new__(Shop)
    shop.monitor = Monitor(
        lambda environ, start: (start("200 OK", []), [b""])[1],
        data_dir=tmp_path / "data", token=TOKEN, flush_interval_s=60,
    )  # fmt: skip
    try:
        shop.visit()
        assert "appears here by shape" in shop.page("/statements")
        assert shop.json("/statements.json")["rows"] == []
        assert shop.json("/overview.json")["charts"]["breakdown"] is not None
    finally:
        shop.monitor.close()


def test_texts_that_utf_8_cannot_say_lose_nothing(shop: Shop) -> None:
    """A route or a statement with half a character is stored with a question mark."""
    shop.visit("/or\udc00ders", times=4)
    assert {row["count"] for row in shop.json("/statements.json")["rows"]} == {100, 4}
    (route,) = shop.json("/routes.json")["rows"]
    assert shop.json(f"/routes/{route['slug']}.json")["repeats"]
