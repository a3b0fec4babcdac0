"""Carbon's pickle protocol, read without executing or allocating what a pickle asks for."""

from __future__ import annotations

import pickle
import struct
import tracemalloc
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from inapp_monitor.ingest.protocols import pickled
from inapp_monitor.ingest.protocols.framing import LengthFraming
from inapp_monitor.ingest.protocols.parsed import Parsed
from tests.each import each
from tests.ingest import corpus
from tests.ingest.conftest import NOW, Hall

Datapoints = list[tuple[str, tuple[float, float]]]


def received(data: bytes, at_once: int) -> tuple[list[Parsed], list[str], bool]:
    """What becomes of a connection's bytes: frames, refusals, and whether it is closed."""
    framing, refused, frames = LengthFraming(), [], []
    for begin in range(0, len(data), at_once):
        for frame in framing.feed(
            data[begin : begin + at_once], lambda why, _: refused.append(why)
        ):
            frames.append(pickled.parse(frame, NOW))
    framing.end(lambda why, _: refused.append(why))
    return frames, refused, framing.broken


@each("row", corpus.malformed("carbon-pickle-tcp"), ids=lambda row: row["id"])
@each("at_once", [1, 100_000])
def test_an_odd_frame(hall: Hall, row: dict[str, Any], at_once: int) -> None:
    """Good datapoints are taken as the reference took them, and one bad costs only itself; the
    connection is closed only for a length that cannot be."""
    frames, refused, closed = received(bytes.fromhex(row["hex"]), at_once)
    family = row["id"].split(".")[1]
    accepted = sum(map(hall.take, frames))
    rejected = sum(len(frame.rejects) for frame in frames) + len(refused)
    if family == "ok":
        theirs = [
            (name.strip("'"), float(value)) for name, value, _ in row["reference"]["accepted"]
        ]
        assert [point[:2] for frame in frames for point in frame.points] == theirs
        assert not rejected
    elif family == "mix":
        assert accepted >= 1
        assert accepted + rejected == sum(frame.lines for frame in frames)
    else:
        assert accepted == 0
        assert rejected >= 1
    assert closed == (row["id"] in ("pickle.frm.text", "pickle.frm.len2G"))


def test_large_nesting_and_repetition_cost_little() -> None:
    """Deep lists do not recurse, and a list that names itself a thousand times is not followed."""
    deep = b"(" * 20_000 + b"t" * 20_000 + b"."
    itself = b"]q\0(" + b"h\0" * 1_000 + b"e."
    tracemalloc.start()
    for data in (
        deep,
        itself,
        b"\x80\x02r\xff\xff\xff\x7f.",
        b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f.",
    ):
        assert pickled.parse(data, NOW).rejects
    assert tracemalloc.get_traced_memory()[1] < 30 * 2**20
    tracemalloc.stop()


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1, max_size=20)
POINTS = st.lists(
    st.tuples(NAMES, st.tuples(st.integers(1, 2**31), st.floats(-1e300, 1e300) | st.integers()))
)


@given(POINTS, st.integers(0, 5))
def test_what_python_pickles_is_read(points: Datapoints, protocol: int) -> None:
    """Of every protocol, with its memo and its frames."""
    parsed = pickled.parse(pickle.dumps(points, protocol), NOW)
    assert [point[:3] for point in parsed.points] == [(n, float(v), t) for n, (t, v) in points]


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    """Nothing but a refusal comes of garbage."""
    assert isinstance(pickled.parse(data, NOW), Parsed)


@each("text", ["-+5", "+-5", "5-", "", "1_0", "9" * 500])
@each("opcode", ["I", "L"])
def test_a_number_that_is_none_refuses_its_frame_alone(opcode: str, text: str) -> None:
    """Whatever stands where a whole number should: the connection goes on."""
    parsed = pickled.parse(f"(l(S'a'\n({opcode}{text}\nF1\ntta.".encode(), NOW)
    assert [each.reason for each in parsed.rejects] == ["pickle"]


def test_a_captured_client() -> None:
    """graphitesend's pickles, whole and byte by byte."""
    row = corpus.capture("pypi-graphitesend-pickle")
    for at_once in (1, 5, 100_000):
        points = []
        for packet in row["packets"]:
            for frame in received(bytes.fromhex(packet["hex"]), at_once)[0]:
                points += frame.points
        theirs = row["reference"]["accepted"]
        assert [(n, v, t) for n, v, t, _ in points] == [tuple(each) for each in theirs]


def test_statsds_own_pickles() -> None:
    """What npm statsd sends with `graphiteProtocol: pickle`."""
    row = next(row for row in corpus.load("statsd") if row["name"] == "pickle")
    frames, _, closed = received(bytes.fromhex(row["raw_flush1"]), 1_000)
    assert not closed
    names = [point[0] for frame in frames for point in frame.points]
    assert "stats_counts.c.one" in names


def test_a_length_says_what_follows() -> None:
    """Several frames in one piece are told apart."""
    frame = pickle.dumps([("a", (int(NOW), 1))], 2)
    data = (struct.pack(">L", len(frame)) + frame) * 3
    assert len(received(data, len(data))[0]) == 3
