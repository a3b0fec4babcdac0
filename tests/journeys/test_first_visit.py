"""The main job: an app is used, and what happened can be looked at, asked for and kept."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def use(one: Any) -> None:
    """Ten good requests, three 404s and two exceptions."""
    for number in range(10):
        assert one.get(f"/page/{number}").status == 200
    for _ in range(3):
        assert one.get("/missing/link", HTTP_REFERER="http://shop.example/start").status == 404
    for _ in range(2):
        with pytest.raises(ValueError, match="boom at /boom/now"):
            one.get("/boom/now")


def test_requests_are_counted_exactly(journey: Callable[..., Any]) -> None:
    """All of them, by status and by error; those of the dashboard are not."""
    one = journey()
    use(one)
    assert one.total("requests.time.count") == 15
    assert one.total("requests.status.2xx") == 10
    assert one.total("requests.status.4xx") == 3
    assert one.total("requests.status.5xx") == 2
    assert one.total("requests.errors") == 2
    assert one.total("requests.time.count") == 15


def test_not_found_pages_are_listed_with_their_referer(journey: Callable[..., Any]) -> None:
    """Path, count and who links there."""
    one = journey()
    use(one)
    text = one.ask("/not-found.json").text
    rows = json.loads(text)
    row = next(r for r in rows["not_found"] if r["path"] == "/missing/link")
    assert row["count"] == 3
    assert "http://shop.example/start" in json.dumps(row)


def test_exceptions_are_grouped_with_type_message_and_stack(journey: Callable[..., Any]) -> None:
    """One issue for both, with the line that raised."""
    one = journey()
    use(one)
    issues = one.ask("/errors.json").json()["issues"]
    assert len(issues) == 1
    assert issues[0]["type"] == "ValueError"
    assert issues[0]["count"] == 2
    detail = one.ask(f"/errors/{issues[0]['id']}.json").text
    assert "boom at /boom/now" in detail
    assert "plain_app" in detail


@pytest.mark.parametrize("page", ["/", "/routes", "/errors", "/not-found", "/status"])
def test_every_page_has_a_json_twin(page: str, journey: Callable[..., Any]) -> None:
    """HTML for people at the path, JSON for machines beside it."""
    one = journey()
    use(one)
    html = one.ask(page)
    assert html.status == 200
    assert html.headers["content-type"].startswith("text/html")
    twin = one.ask("/overview.json" if page == "/" else f"{page}.json")
    assert twin.status == 200
    assert isinstance(twin.json(), dict)


def test_the_svg_is_well_formed_and_self_contained(journey: Callable[..., Any]) -> None:
    """No script, no reference to anywhere, readable as XML."""
    one = journey()
    use(one)
    answer = one.ask("/render?target=requests.time.count&from=-1h&format=svg")
    assert answer.headers["content-type"].startswith("image/svg+xml")
    root = ElementTree.fromstring(answer.text)
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert "script" not in names
    assert not any("href" in key for element in root.iter() for key in element.attrib)


def test_files_keep_their_size_while_points_arrive(journey: Callable[..., Any]) -> None:
    """The size of every data file is fixed when it is made."""
    one = journey()
    use(one)
    one.monitor.refresh()
    sizes = {
        p: p.stat().st_size
        for p in one.data_dir.rglob("*")
        if p.name.startswith(("group-", "dist-"))
    }
    assert sizes
    use(one)
    one.monitor.refresh()
    assert {p: p.stat().st_size for p in sizes} == sizes


def test_what_was_recorded_is_there_after_a_restart(journey: Callable[..., Any]) -> None:
    """A second monitor over the same directory shows the first one's requests and issues."""
    first = journey()
    use(first)
    first.monitor.close()
    second = journey()
    assert second.total("requests.time.count") == 15
    assert second.ask("/errors.json").json()["issues"][0]["count"] == 2


def test_statsd_calls_arrive_under_their_names(journey: Callable[..., Any]) -> None:
    """Counters add, gauges keep the last value, timers become distributions in milliseconds."""
    one = journey()
    monitor = one.monitor
    for _ in range(5):
        monitor.incr("signups")
    monitor.decr("signups", 2)
    monitor.gauge("queue.length", 7)
    monitor.gauge("queue.length", 3, delta=True)
    monitor.timing("mail.time", 320)
    monitor.set("visitors", "ann")
    monitor.set("visitors", "bob")
    monitor.set("visitors", "ann")
    assert one.total("signups") == 3
    assert one.total("queue.length") == 10
    assert one.total("mail.time.count") == 1
    assert one.total("mail.time.max") == pytest.approx(320)
    assert one.total("visitors") == 2


def test_a_whisper_tree_in_the_data_directory_is_readable(
    journey: Callable[..., Any], tmp_path: Path
) -> None:
    """Graphite's own files, dropped below `whisper/`, answer to the same calls."""
    import time

    import whisper

    file = tmp_path / "data" / "whisper" / "servers" / "web1" / "cpu.wsp"
    file.parent.mkdir(parents=True, mode=0o700)
    whisper.create(str(file), [(60, 1440)])
    now = int(time.time())
    whisper.update(str(file), 42.5, now - 120)
    one = journey()
    assert one.total("servers.*.cpu") == 42.5
