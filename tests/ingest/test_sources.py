"""What came in, by door, of all workers; the page about it and its verdict."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from werkzeug.test import Client

from inapp_monitor import Monitor
from inapp_monitor.ingest.doors import Door
from inapp_monitor.ingest.protocols import carbon
from inapp_monitor.ingest.shared_doors import FILE_NAME, SharedDoors
from inapp_monitor.testing import FakeClock
from tests.ingest.conftest import NOW, Hall, total, until
from tests.ingest.test_listening import open_door

TOKEN = "secret-token-1"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def test_the_counts_of_all_workers_add_up(tmp_path: Path) -> None:
    """Each adds what is new to one file; what is not shared yet is seen by its own worker."""
    clock = FakeClock(NOW)
    first, second = SharedDoors(tmp_path, clock), SharedDoors(tmp_path, clock)
    halls = Hall(), Hall()
    address = halls[0].door.address
    for hall, shared, listens in ((halls[0], first, True), (halls[1], second, False)):
        hall.door.state = "open" if listens else "not open yet"
        hall.take(carbon.parse(b"a 1\nb\n<script> x\n", NOW))
        shared.share({address: hall.door}, listens=listens)
        clock.advance(2)
    assert second.share({address: halls[1].door}, listens=False) == {}
    halls[0].take(carbon.parse(b"a 2\nb c\n", NOW))
    for shared, hall, points in ((first, halls[0], 3), (second, halls[1], 2)):
        (row,) = shared.rows({address: hall.door})
        assert (row["state"], row["points"]) == ("open", points)
        assert row["rejects"]["fields"]["count"] == 2
        assert row["rejects"]["fields"]["text"] == "b"
    news = first.share({address: halls[0].door}, listens=True)
    assert (news[address]["points"], news[address]["rejected"]) == (1, 1)
    assert second.rows({address: halls[1].door})[0]["points"] == 3


def test_a_damaged_file_costs_the_earlier_counts_only(tmp_path: Path) -> None:
    """Whatever stands in it."""
    clock, door = FakeClock(NOW), Door("carbon://127.0.0.1:2003", "open")
    shared = SharedDoors(tmp_path, clock)
    for text in ("", "[]", '{"x": 5}', "{", "\0\0"):
        (tmp_path / FILE_NAME).write_text(text)
        door.lines += 1
        shared.share({door.address: door}, listens=True, at_once=True)
        assert [row["address"] for row in shared.rows({door.address: door})] == [door.address]


def visited(monitor: Monitor, path: str) -> Any:
    return Client(monitor).get(f"/_metrics{path}", headers=HEADERS)


def test_the_page_before_anything_came(make: Callable[..., Monitor]) -> None:
    """How to send the first number, with the address and the token of this installation."""
    monitor = make(token=TOKEN)
    page = visited(monitor, "/sources").text
    assert "No number from outside so far" in page
    assert f"Bearer {TOKEN}" in page
    assert "http://localhost/_metrics/ingest" in page
    assert not any(
        "outside" in verdict["title"]
        for verdict in json.loads(visited(monitor, "/overview.json").text)["verdicts"]
    )


def test_a_full_house_names_the_setting_that_ends_it(make: Callable[..., Monitor]) -> None:
    """Names past the cap are counted, and the page says what to raise; the app's own go on."""
    monitor = make(token=TOKEN, max_ingested_series=2)
    client = Client(monitor)
    body = b"".join(b"n%d 1\n" % number for number in range(5))
    answer = client.post("/_metrics/ingest", data=body, headers=HEADERS)
    assert (answer.json["accepted"], answer.json["rejected"]) == (2, 3)
    found = json.loads(visited(monitor, "/sources.json").text)
    assert found["limits"] == {"series": 2, "used": 2, "further": 0}
    (refused,) = found["rejected"]
    assert (refused["reason"], refused["count"]) == ("too_many_series", 3)
    page = visited(monitor, "/sources").text
    assert "2 of at most 2 series" in page
    assert "raise <code>max_ingested_series</code>" in page
    monitor.incr("mine", 7)
    until(lambda: total(monitor, "mine") == 7.0)


def test_a_token_is_shown_to_none_but_who_has_one(tmp_path: Path, make: Any) -> None:
    """Where an authorizer decides, or the dashboard is read-only, the page says TOKEN."""
    for number, settings in enumerate(({"authorizer": lambda environ: True}, {"read_only": True})):
        monitor = make(data_dir=tmp_path / str(number), token=TOKEN, **settings)
        page = visited(monitor, "/sources").text
        assert TOKEN not in page
        assert "Bearer TOKEN" in page


def test_the_page_of_a_door_that_hears_nonsense(make: Callable[..., Monitor], port: int) -> None:
    """The last refused line of each reason, nothing of it alive; a warning on the overview; and
    the counts as series."""
    address = f"carbon://127.0.0.1:{port}"
    monitor = make(token=TOKEN, listen=[address])
    open_door(monitor, address)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"good.one 1\n<script>alert(1)</script> x\n\x1b[31m 1 1\n")
    until(lambda: total(monitor, "monitor.ingest.rejected") == 2.0)
    assert total(monitor, "monitor.ingest.rejects.value") == 1.0
    page = visited(monitor, "/sources").text
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "\x1b" not in page
    assert f"/dev/tcp/127.0.0.1/{port}" in page
    found = json.loads(visited(monitor, "/sources.json").text)
    row = next(row for row in found["doors"] if row["address"] == address)
    assert (row["lines"], row["points"], row["rejected"], row["state"]) == (3, 1, 2, "open")
    assert row["held_by"]
    assert row["last_point"] == "good.one 1"
    verdicts = json.loads(visited(monitor, "/overview.json").text)["verdicts"]
    (warning,) = [each for each in verdicts if each["path"] == "/sources"]
    assert warning["state"] == "warn"
    assert "refused, 2" in warning["title"]
