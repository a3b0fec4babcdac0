"""Names from outside: legal, canonical, bounded, whatever is sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inapp_monitor.ground.names import MAX_PATH_LENGTH, check_path
from inapp_monitor.ingest.doors import Door
from inapp_monitor.ingest.intake import Intake
from inapp_monitor.ingest.known_names import KnownNames
from inapp_monitor.ingest.protocols import carbon
from inapp_monitor.ingest.protocols.parsed import RejectedError
from inapp_monitor.ingest.protocols.series_names import series_name
from inapp_monitor.ingest.protocols.statsd import StatsDParser
from inapp_monitor.testing import FakeClock
from tests.ingest.conftest import NOW, Hall

PIECES = st.sampled_from(
    [*"a.;=~!^/{}<>*?()[]\\'\" ü😀:,_-", "..", 'a="b"', ";a=b", "name", "\x00", "\u202e", "x" * 60]
)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_any_name_is_refused_or_becomes_a_legal_one(text: str) -> None:
    """That the store, the query language and pages take; and it becomes itself."""
    try:
        path = series_name(text)
    except RejectedError:
        return
    if len(path) <= MAX_PATH_LENGTH:
        assert check_path(path) == path
    assert series_name(path) == path


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("../../../../tmp/x", "tmp.x"),
        ("/tmp/x", "tmp.x"),
        ("a./../../b", "a.b"),
        ("m.<script>alert(1)</script>", "m._script_alert_1_.script_"),
        ('m{b="c",a="d"}', "m;a=d;b=c"),
        ("m;z=1;a=2;name=x", "m;a=2;z=1"),
        ("~m", "m"),
    ],
)
def test_what_becomes_of_a_name(sent: str, stored: str) -> None:
    """Nothing that a path, a page or a query would trip over is left."""
    assert series_name(sent) == stored


def test_names_are_bounded_and_make_room_when_they_are_not_sent() -> None:
    """The cap counts series, not spellings; an unused one is forgotten after two periods."""
    hall = Hall(max_series=3)
    hall.take(carbon.parse(b"a 1\nb 1\nc 1\n/c 2\nd 1\n", NOW))
    assert hall.door.rejects == {"too_many_series": 1}
    for _ in range(3):
        hall.clock.advance(3_601)
        hall.take(carbon.parse(b"a 1\n", NOW))
        hall.intake.tick(hall.clock.now, room_bytes=10**9, stored_value=lambda path: None)
    hall.take(carbon.parse(b"d 1\ne 1\nf 1\n", NOW))
    assert hall.door.rejects == {"too_many_series": 2}
    assert hall.intake.series_count == 3


def test_no_room_on_disk_is_left_for_outsiders() -> None:
    """The app's own series come first: what outsiders may take is counted before it is taken."""
    names = KnownNames(100, lambda path: None, lambda word: None)  # type: ignore[arg-type, return-value]
    names.room_bytes = 250
    assert [names.meet(name, 100)[0] for name in ("a", "b", "c", "a")] == ["a", "b", "c", "a"]
    with pytest.raises(RejectedError, match="no_room_on_disk"):
        names.meet("d", 100)


@pytest.mark.parametrize(("room_bytes", "further"), [(10**9, 2), (150, 2), (100, 1), (0, 0)])
def test_how_many_series_still_fit(room_bytes: int, further: int) -> None:
    """What is left of the cap, or of the disk where that ends first; so many are accepted."""
    intake = Intake(lambda batch: None, FakeClock(NOW), step_s=10, longest_s=3_600, max_series=3,
                    series_bytes=100)  # fmt: skip
    door = Door("carbon://127.0.0.1:2003")
    intake.take(door, carbon.parse(b"a 1\n", NOW))
    intake.tick(NOW, room_bytes=room_bytes, stored_value=lambda path: None)
    assert intake.further_series == further
    many = b"".join(b"n%d 1\n" % number for number in range(9))
    assert intake.take(door, carbon.parse(many, NOW)) == further
    assert intake.further_series == 0
    assert door.rejects.total() == 9 - further


def test_what_names_take_is_known_by_their_kind() -> None:
    """An average is two columns, a counter one, a timer a file: none is accepted that the store
    has no room for."""
    intake = Intake(lambda batch: None, FakeClock(NOW), step_s=10, longest_s=3_600, max_series=99,
                    series_bytes=100, distribution_bytes=700)  # fmt: skip
    door = Door("statsd://127.0.0.1:8125")
    intake.tick(NOW, room_bytes=1_000, stored_value=lambda path: None)
    intake.take(door, StatsDParser().parse(b"t:1|ms\nc:1|c\nd:1|c\ng:1|g\ns:x|s", NOW))
    intake.take(door, carbon.parse(b"a 1\nb 1\n", NOW))
    assert door.points == 6
    assert door.rejects == {"no_room_on_disk": 1}


def test_a_name_has_two_hundred_tag_sets(hall: Hall) -> None:
    """Further ones count together under `(other)`, and it is noted."""
    lines = b"".join(b"m;user=%d 1\n" % number for number in range(203))
    hall.take(carbon.parse(lines, NOW))
    paths = {scalar.path for scalar in hall.scalars}
    assert len(paths) == 201
    assert sum(scalar.path == "m;user=(other)" for scalar in hall.scalars) == 3
    assert hall.door.notes["tag set past the cap of its name"] == 3


def test_late_and_early_points(hall: Hall) -> None:
    """Late ones of the longest retention are stored where they belong; early ones are refused."""
    now = int(NOW)
    lines = (
        f"m {1} {now - 63_000_000}\nm 2 {now + 10}\nm 3 {now + 60}\nm 4 {now - 64_000_000}\n"
        f"m 5 -1\nm 6\nm 7 {now * 1000}\n"
    )
    assert hall.take(carbon.parse(lines.encode(), NOW)) == 5
    assert [(s.timestamp - now, s.value) for s in hall.scalars] == [
        *((-63_000_000, 1.0), (10, 2.0), (0, 5.0), (0, 6.0), (0, 7.0)),
    ]
    assert hall.door.rejects == {"timestamp_range": 2}
    assert hall.door.notes == {"time in milliseconds": 1}
