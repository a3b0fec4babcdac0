"""The 404 table: bounded, the most frequent stay, referers say where the broken links are."""

from __future__ import annotations

from inapp_monitor.issues.bloom_filter import CAPACITY, AgingBloomFilter

from .conftest import NOW, MakeMonitor, Monitor


def test_hits_are_counted_by_path_with_their_referers(monitor: Monitor) -> None:
    """Count, first and last time and the most frequent referer come first, flushed or not."""
    monitor.not_found.add([("/old", "https://example.org/a", NOW), ("/old", "", NOW + 5)])
    for expected in (2, 5):
        row = monitor.not_found.top()[0]
        assert (row.path, row.count, row.first_seen) == ("/old", expected, NOW)
        monitor.tick()
        if expected == 2:
            monitor.not_found.add([("/old", "https://example.org/b", NOW + 9)] * 3)
    assert row.last_seen == NOW + 9
    assert row.referers == [("https://example.org/b", 3), ("https://example.org/a", 1)]


def test_the_most_frequent_paths_are_kept(make_monitor: MakeMonitor) -> None:
    """A scanner's thousands of paths do not push out a broken link."""
    monitor = make_monitor(max_not_found=10)
    for number in range(2_000):
        monitor.not_found.add([(f"/scan/{number}", "", NOW), ("/broken", "", NOW)])
        if number % 100 == 0:
            monitor.tick()
    monitor.tick()
    rows = monitor.not_found.top()
    assert rows[0].path == "/broken"
    assert rows[0].count == 2_000
    assert len(rows) == 10
    assert monitor.not_found.dropped > 0


def test_several_processes_are_merged(make_monitor: MakeMonitor) -> None:
    """Any worker shows the whole app."""
    one, two = make_monitor(), make_monitor()
    for monitor in (one, two, one):
        monitor.not_found.add([("/old", "", NOW)])
        monitor.tick()
    assert [row.count for row in two.not_found.top()] == [3]


def test_hostile_paths_and_secrets_are_harmless(monitor: Monitor) -> None:
    """Long paths are cut, control characters made visible, secrets hidden."""
    monitor.not_found.add(
        [
            ("/" + "a" * 5_000, "x" * 5_000, NOW),
            ("/\x1b[31m\u202e\ud800", "", NOW),
            ("/reset", "https://example.org/?token=hunter2hunter2", NOW),
        ]
    )
    monitor.tick()
    rows = {row.path: row for row in monitor.not_found.top()}
    assert "/\\x1b[31m\\u202e\\ud800" in rows
    assert max(map(len, rows)) == 500
    assert rows["/reset"].referers == [("https://example.org/?token=[scrubbed]", 1)]


def test_the_table_survives_a_bad_disk(monitor: Monitor) -> None:
    """What cannot be written is kept, shown, and written later, once."""
    monitor.settings.data_dir.write_text("a file in the way")
    for _ in range(3):
        monitor.not_found.add([("/old", "", NOW)])
        monitor.tick()
    assert monitor.not_found.top()[0].count == 3
    monitor.settings.data_dir.unlink()
    monitor.clock.advance(100)
    for _ in range(3):
        monitor.tick()
    assert monitor.not_found.top()[0].count == 3
    assert monitor.database.read("select count from not_found") == [{"count": 3}]


def test_a_broken_link_is_found_under_a_flood_of_paths(make_monitor: MakeMonitor) -> None:
    """Followed once a minute among 3,000 other paths a minute, each asked for once."""
    monitor = make_monitor(max_not_found=50)
    links = [f"/old/page-{number}" for number in range(5)]
    for minute in range(20):
        now = NOW + 60.0 * minute
        for part in range(10):
            flood = [(f"/x{minute}-{part}-{number}", "", now) for number in range(300)]
            if part == 3:
                flood[150:150] = [(link, "https://example.org/menu", now) for link in links]
            monitor.not_found.add(flood)
            monitor.tick()
    rows = {row.path: row for row in monitor.not_found.top(10)}
    assert set(links) <= set(rows)
    for link in links:
        assert 18 <= rows[link].count <= 20
        assert rows[link].referers[0][0] == "https://example.org/menu"


def test_paths_that_nobody_asks_for_any_more_give_way(make_monitor: MakeMonitor) -> None:
    """A table full of last month's scan lets new broken links in."""
    monitor = make_monitor(max_not_found=20)
    monitor.not_found.add((f"/scan{n % 20}", "", NOW) for n in range(20 * 5))
    monitor.tick()
    later = NOW + 30 * 86_400
    for hit in range(3):
        monitor.not_found.add([("/old", "", later + 60 * hit)])
        monitor.tick()
    assert {row.path: row.count for row in monitor.not_found.top()}["/old"] == 3


def test_what_came_before_in_fixed_memory() -> None:
    """Found again for two generations, and strangers hardly ever."""
    earlier = AgingBloomFilter()
    assert not earlier.add("/first")
    assert earlier.add("/first")
    strangers = sum(earlier.add(f"/{number}") for number in range(CAPACITY))
    assert strangers < CAPACITY / 400
    assert earlier.add("/first")
    for number in range(3 * CAPACITY):
        earlier.add(f"/other/{number}")
    assert not earlier.add("/first")
