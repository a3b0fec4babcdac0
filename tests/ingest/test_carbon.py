"""Carbon's plaintext protocol: an odd line costs only itself, captured clients are understood."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from inapp_monitor.ingest.protocols import carbon
from inapp_monitor.ingest.protocols.framing import LineFraming
from inapp_monitor.ingest.protocols.parsed import Parsed
from tests.each import each
from tests.ingest import corpus
from tests.ingest.conftest import NOW, Hall

CARBON_CAPTURES = [
    row["name"]
    for row in corpus.load("captures")
    if (row.get("reference") or {}).get("server", "").startswith("carbon-relay")
    and row["transport"] != "uds-dgram"
    and "pickle" not in row["name"]
]


def outcomes(hall: Hall, data: bytes, *, stream: bool) -> list[str]:
    """What became of each line, in order: `accept`, `ignore` or `reject:REASON`."""
    found = []
    framing = LineFraming()
    refused: list[str] = []
    units = framing.feed(data, lambda reason, _: refused.append(reason)) if stream else [data]
    if stream:
        framing.end(lambda reason, text: units.append(text))
    for line in b"".join(units).split(b"\n"):
        parsed = carbon.parse(line, NOW)
        accepted = hall.take(parsed)
        if parsed.rejects:
            found.append(f"reject:{parsed.rejects[0].reason}")
        elif accepted:
            found.append("accept")
        elif line.strip(b"\r"):
            found.append("ignore")
    return [f"reject:{reason}" for reason in refused] + found


def expected(target: object) -> list[str]:
    """A target in the words of `outcomes`."""
    targets = target if isinstance(target, list) else [target]
    words = [str(each).split(" ")[0] for each in targets]
    words = [
        word.split(":")[0] if word.startswith(("accept", "ignore")) else word for word in words
    ]
    return [word for word, each in zip(words, targets, strict=True) if each != "ignore:blank"]


@each("row", corpus.malformed("carbon-line-tcp"), ids=lambda row: row["id"])
def test_a_line_over_tcp(hall: Hall, row: dict[str, Any]) -> None:
    """Accepted, ignored or refused for the reason that the corpus gives."""
    if row["id"] == "line.part.nolf":
        framing, refused = LineFraming(), []
        framing.feed(b"m.partial 1 1", lambda *each: refused.append(each))
        framing.end(lambda *each: refused.append(each))
        assert refused == [("truncated", b"m.partial 1 1")]
        return
    assert outcomes(hall, corpus.bytes_of(row, NOW), stream=True) == expected(row["target"])


@each("row", corpus.malformed("carbon-line-udp"), ids=lambda row: row["id"])
def test_a_datagram(hall: Hall, row: dict[str, Any]) -> None:
    """A bad line costs only itself, the last one need not end."""
    assert outcomes(hall, corpus.bytes_of(row, NOW), stream=False) == expected(row["target"])


@each("row", corpus.malformed("carbon-line-udp"), ids=lambda row: row["id"])
def test_lines_together_are_what_they_are_alone(row: dict[str, Any]) -> None:
    """The fast way through a datagram finds the same as line by line."""
    data = corpus.bytes_of(row, NOW)
    whole, parts = carbon.parse(data, NOW), Parsed()
    for line in data.split(b"\n"):
        each = carbon.parse(line, NOW)
        parts.lines += each.lines
        parts.points += each.points
        parts.rejects += each.rejects
    assert (whole.lines, whole.points) == (parts.lines, parts.points)
    assert [reject.reason for reject in whole.rejects] == [r.reason for r in parts.rejects]


@each("name", CARBON_CAPTURES)
@each("at_once", [1, 7, 10_000])
def test_a_captured_client(name: str, at_once: int) -> None:
    """Whole and byte by byte, a client's bytes become the points that carbon-relay accepted."""
    row = corpus.capture(name)
    points = []
    for packet in row["packets"]:
        data = bytes.fromhex(packet["hex"])
        if row["transport"] == "udp":
            points += carbon.parse(data, NOW).points
            continue
        framing = LineFraming()
        for begin in range(0, len(data), at_once):
            for unit in framing.feed(data[begin : begin + at_once], lambda *_: None):
                points += carbon.parse(unit, NOW).points
        if row["transport"] == "fifo":
            points += carbon.parse(framing.take_rest(), NOW).points
    accepted = row["reference"]["accepted"]
    assert [(name, value) for name, value, _, _ in points] == [(n, v) for n, v, _ in accepted]
    for (_, _, timestamp, _), (_, _, theirs) in zip(points, accepted, strict=True):
        assert timestamp == theirs or timestamp is None


WORDS = st.sampled_from(
    ["a.b", "1", "nan", "1795391840", "ü", "\u2028", "\r", " ", "\n", "-1", "#"]
)


@given(st.lists(WORDS).map("".join), st.integers(1, 9))
def test_any_text_in_any_pieces(text: str, at_once: int) -> None:
    """Where a stream is cut changes nothing."""
    data = text.encode() + b"\n"
    framing, pieces = LineFraming(), []
    for begin in range(0, len(data), at_once):
        pieces += framing.feed(data[begin : begin + at_once], lambda *_: None)
    assert b"".join(pieces) == data


def test_a_line_that_never_ends_costs_one_lines_memory() -> None:
    """Too long is counted once; what follows the next line feed counts again."""
    framing, refused = LineFraming(), []
    units = []
    for _ in range(100):
        units += framing.feed(b"z" * 10_000, lambda reason, text: refused.append(reason))
    units += framing.feed(b"z\nm.ok 1\n", lambda reason, text: refused.append(reason))
    assert refused == ["too_long"]
    assert units == [b"m.ok 1\n"]
