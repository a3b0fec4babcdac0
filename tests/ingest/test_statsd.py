"""StatsD's lines and their dialects, added up into series of the kit's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inapp_monitor import Monitor
from inapp_monitor.ground.points import Batch
from inapp_monitor.ingest.doors import Door
from inapp_monitor.ingest.protocols.framing import StatsDFraming
from inapp_monitor.ingest.protocols.parsed import Parsed
from inapp_monitor.ingest.protocols.registry import PROTOCOLS
from inapp_monitor.ingest.protocols.statsd import StatsDParser
from tests.each import each
from tests.ingest import corpus
from tests.ingest.conftest import NOW, Hall, latest, total

PARSER = StatsDParser()


def words(target: object) -> list[str]:
    """What the corpus wants of each line."""
    found = []
    for entry in target if isinstance(target, list) else [target]:
        word = str(entry).split(" ")[0]
        found.append("accept" if word.startswith("accept") else word)
    return [word for word in found if word != "ignore:blank"]


def outcomes(hall: Hall, data: bytes) -> list[str]:
    found = []
    for line in data.split(b"\n"):
        parsed = PARSER.parse(line, NOW)
        accepted = hall.take(parsed)
        if parsed.rejects:
            found.append(f"reject:{parsed.rejects[0].reason}")
        elif accepted:
            found.append("accept")
    return found


@pytest.mark.parametrize("row", corpus.malformed("statsd-udp"), ids=lambda row: row["id"])
def test_an_odd_line(hall: Hall, row: dict[str, Any]) -> None:
    """Accepted or refused for the reason that the corpus gives; nothing is fatal."""
    if row["id"].startswith("statsd.bad.carbon.style"):
        mixed = PROTOCOLS["lines"].parser({})
        assert mixed(bytes.fromhex(row["hex"]), NOW).points
        return
    assert outcomes(hall, bytes.fromhex(row["hex"])) == words(row["target"])


def batch_of(hall: Hall, *lines: str, parser: StatsDParser = PARSER) -> Batch:
    hall.take(parser.parse("\n".join(lines).encode(), NOW))
    hall.intake.tick(NOW, room_bytes=10**9, stored_value=lambda path: 40.0)
    return hall.batches[-1]


def values(batch: Batch) -> dict[str, float]:
    return {path: value for path, _, value, _ in batch.scalars}


def test_what_samples_become(hall: Hall) -> None:
    """Counters add up by their rate, gauges keep the last value, sets count members, timers are
    distributions in which a sampled value stands for many."""
    batch = batch_of(
        *(hall, "c:1|c", "c:2|c|@0.5", "g:5|g", "g:-2|g", "g:+4|g", "moved:+2|g"),
        *("s:a|s", "s:b|s", "s:a|s", "t:10|ms", "t:20|ms|@0.1", "h:3|h"),
    )
    assert values(batch) == {"c": 5.0, "g": 7.0, "moved": 42.0, "s": 2.0}
    timers = {each.path: each.histogram for each in batch.distributions}
    assert (timers["t"].count, timers["t"].total) == (11, 210.0)
    assert timers["h"].maximum == 3.0


@each(
    ("line", "samples"),
    [
        ("a:1|c:2|c:20|ms", [("c", "a", 1.0), ("c", "a", 2.0), ("ms", "a", 20.0)]),
        ("a:1:2:3|ms", [("ms", "a", 1.0), ("ms", "a", 2.0), ("ms", "a", 3.0)]),
        ("s:a:b|s", [("s", "s", "a:b")]),
        ("a:1|c|#env:prod,x,r:/users/:id", [("c", "a;env=prod;x=true;r=/users/:id", 1.0)]),
        ("a,env=test,route=/u/:id:12.5|g", [("g", "a;env=test;route=/u/:id", 12.5)]),
        ("a:1|c|@0.5|#t:1|c:ci-1|card:low", [("c", "a;t=1", 1.0)]),
        ("GET /users/1:1|c", [("c", "GET_-users-1", 1.0)]),
        ("a:1|c|@0.5:2|c", [("c", "a", 1.0), ("c", "a", 2.0)]),
        ("a:1|m", [("c", "a", 1.0)]),
    ],
)
def test_dialects(line: str, samples: list[tuple[str, str, object]]) -> None:
    """Each client's way of writing is understood on one port."""
    assert [sample[:3] for sample in PARSER.parse(line.encode(), NOW).samples] == samples


@pytest.mark.parametrize(
    ("lines", "reasons"),
    [
        ("a:1|c|@0.0\na:1|c|@.0", {"rate": 2}),
        ("a:1|ms|@1e-300", {"rate": 1}),
        ("a:1e308|c|@0.001", {"nonfinite": 1}),
        ("a:9e299|c\na:9e299|c", {"nonfinite": 1}),
        ("a:9e299|g\na:+9e299|g", {"nonfinite": 1}),
        ("_e{5,40}:title|text\n_e{99,1}:a|b\n_e{0,1}:|x", {"event": 3}),
        ("_sc|a|4\n_sc| |0", {"check": 2}),
        ("a:-0|ms\na:-0.0|ms", {}),
    ],
)
def test_what_cannot_be_added_up_is_refused(
    hall: Hall, lines: str, reasons: dict[str, int]
) -> None:
    """Rates of nothing, sums past all numbers, lengths that lie: counted, and nothing infinite."""
    batch_of(hall, "ok:1|c", *lines.split("\n"))
    assert hall.door.rejects == reasons
    assert all(abs(value) < 1e301 for value in values(hall.batches[0]).values())


def test_sampled_timers_come_out_even(hall: Hall) -> None:
    """Ten of 0.3 stand for 33, not for 30: what is left of one is carried to the next."""
    batch = batch_of(hall, *["t:2|ms|@0.3"] * 10)
    assert batch.distributions[0].histogram.count == 33


def test_a_sign_means_what_the_door_says() -> None:
    """StatsD's clients move a gauge by it; DogStatsD's set it, by the same bytes."""
    line = b"temp:-7|g"
    assert PARSER.parse(line, NOW).samples == [("g+", "temp", -7.0, 1.0)]
    dogstatsd = StatsDParser(sign_is_delta=False)
    assert dogstatsd.parse(line, NOW).samples == [("g", "temp", -7.0, 1.0)]


def test_a_time_after_T_is_honoured() -> None:
    """A counter or a gauge with a time is a point of that time."""
    parsed = PARSER.parse(b"g:1|g|#x:1|T1795391800\nbytes:7|c|T1795391800", NOW)
    assert [point[:3] for point in parsed.points] == [
        ("g;x=1", 1.0, 1795391800.0),
        ("bytes", 7.0, 1795391800.0),
    ]


def test_a_name_may_be_of_every_kind(hall: Hall) -> None:
    """The first kind has the name, the others a node below it, as StatsD has a namespace each."""
    batch = batch_of(hall, "a;t=1:1|c:20|ms:x|s:5|g", "a;t=1:+2|g", "a;t=1:y|s", "a;t=1:30|ms|@0.5")
    assert values(batch) == {"a;t=1": 1.0, "a.sets;t=1": 2.0, "a.gauges;t=1": 7.0}
    (timer,) = batch.distributions
    assert (timer.path, timer.histogram.count) == ("a.timers;t=1", 3)
    batch_of(hall, "a;t=1:2|c")
    batch = batch_of(hall, "b:1|ms", "b:2|c", "b.sets:1|g", "b:z|s")
    assert values(batch) == {"b.counters": 2.0, "b.sets": 1.0}
    assert hall.door.rejects == {"kind": 1}  # another gauge has the set's place
    assert hall.door.last_rejected["kind"].text == "b:z|s"


def test_what_is_stored_keeps_its_name(make: Callable[..., Monitor]) -> None:
    """After a restart each kind of a name goes on in its series, in whatever order they come."""
    lines = [b"a:1|c", b"a:x|s", b"a:20|ms", b"a:5|g", b"t:20|ms", b"t:1|c"]
    for order in (lines, lines[::-1]):
        monitor = make()
        monitor.incr("own")
        monitor.refresh()
        door, intake = Door("statsd://"), monitor.life.services.listening.intake
        intake.take(door, PARSER.parse(b"\n".join([*order, b"own:7|ms"]), NOW))
        monitor.close()
        assert not door.rejects
    monitor = make()
    names = ("a", "a.sets", "t.counters", "own")
    assert [total(monitor, name) for name in names] == [2.0, 2.0, 2.0, 2.0]
    assert latest(monitor, "a.gauges") == 5.0
    kinds = {leaf.path: leaf.kind for leaf in monitor.store.leaves()}
    assert {kinds[name] for name in ("a.timers", "t", "own.timers")} == {"distribution"}
    assert "t.timers" not in kinds


def test_events_and_checks(hall: Hall) -> None:
    """Events become annotations, a check the worst state of a step; lengths are bytes."""
    data = (
        "_e{5,4}:ünï|b|ar|d:1795391800|t:error|#t:1\n_sc|my.check|2|#env:x|m:down\n"
        f"_sc|late|1|d:{NOW - 60:.0f}|h:a;b|#bare,~k:~v\n"
        "_sc|disk|1|m:60 % | 70 %, m\\:1|c:ci-1\n"
        "_e{9,11}:app.title|text\\nline2|h:h"
    )
    hall.take(PARSER.parse(data.encode(), NOW))
    events = hall.intake.tick(NOW, room_bytes=10**9, stored_value=lambda path: None)
    assert events[0] == ("ünï", "b|ar", ("alert:error", "t:1"), 1795391800.0)
    assert events[1][:3] == ("app.title", "text\nline2", ("host:h",))
    assert values(hall.batches[0]) == {
        "checks.my.check;env=x": 2.0,
        "checks.late;bare=true;host=a_b;~k=v": 1.0,
        "checks.disk": 1.0,
    }
    assert hall.batches[0].scalars[1][1] == NOW - 60
    checks = hall.intake.take_checks()
    assert checks["checks.my.check;env=x"][1::2] == (2, "down")
    assert checks["checks.late;bare=true;host=a_b;~k=v"].timestamp == NOW - 60
    assert checks["checks.disk"].message == "60 % | 70 %, m:1"
    assert hall.intake.take_checks() == {}


STATSD_CAPTURES = [
    row["name"]
    for row in corpus.load("captures")
    if (row.get("reference") or {}).get("server", "").startswith("npm statsd")
]


@each("name", STATSD_CAPTURES)
def test_a_captured_client_in_any_pieces(name: str) -> None:
    """Byte by byte a stream gives what it gives whole; no line of a real client goes unheard but
    those that mean nothing."""
    row = corpus.capture(name)
    nonsense = {"value", "type", "negative_time", "no_value", "encoding"}
    for packet in row["packets"]:
        data = bytes.fromhex(packet["hex"])
        if row["transport"] in ("udp", "uds-dgram"):
            assert {reject.reason for reject in PARSER.parse(data, NOW).rejects} <= nonsense
            continue
        found = [parsed_stream(data, at_once) for at_once in (1, 3, len(data))]
        assert found[0].samples == found[1].samples == found[2].samples
        assert {reject.reason for reject in found[0].rejects} <= nonsense
        assert found[0].samples


def parsed_stream(data: bytes, at_once: int) -> Parsed:
    framing, whole = StatsDFraming(), Parsed()
    for begin in range(0, len(data), at_once):
        for unit in framing.feed(data[begin : begin + at_once], lambda *_: None):
            parsed = PARSER.parse(unit, NOW)
            whole.samples += parsed.samples
            whole.rejects += parsed.rejects
    return whole


PIECES = st.sampled_from(
    [
        "a",
        ":",
        "|",
        "c",
        "ms",
        "g",
        "s",
        "@",
        "0.5",
        "#",
        "t:1",
        "1",
        "-",
        "\n",
        "_e{1,1}",
        "_sc",
        "T",
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_any_line_is_accepted_or_refused(text: str) -> None:
    """Every line that is not blank gives something or a reason, alone and among others."""
    parsed = PARSER.parse(text.encode(), NOW)
    lines = [line for line in text.split("\n") if line.strip()]
    assert parsed.lines == len(lines)
    for line in lines:
        alone = PARSER.parse(line.encode(), NOW)
        assert alone.samples or alone.points or alone.events or alone.checks or alone.rejects


def test_names_of_javascripts_own_are_names(hall: Hall) -> None:
    """The seven datagrams that end the real daemon are ordinary names here."""
    lines = ["hasOwnProperty:1|ms", "constructor:x|s", "__proto__:1|c", "toString:1|c"]
    batch = batch_of(hall, *lines)
    assert set(values(batch)) == {"constructor", "__proto__", "toString"}
