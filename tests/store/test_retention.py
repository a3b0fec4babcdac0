"""Archive lists, windows, rollups of rows, and Carbon's configuration files."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inapp_monitor.ground.exceptions import ConfigError
from inapp_monitor.ground.points import Method
from inapp_monitor.store.group_format import (
    ENTRY_SIZE,
    Entry,
    Geometry,
    State,
    open_row,
    pack_entry,
    pack_header,
    pack_state,
    seal_row,
    unpack_header,
    unpack_state,
    unpack_table,
)
from inapp_monitor.store.retention import Archive, Retention
from inapp_monitor.store.rollup import HEAD, PAIRED, Column, Layout, aggregate
from inapp_monitor.store.schemas import Schemas, parse_aggregations, parse_schemas
from tests.each import each

DEFAULT = Retention.parse("10s:6h,1m:3d,10m:30d,2h:2y")


@pytest.mark.parametrize(
    ("text", "archives"),
    [
        ("10s:6h", [(10, 2160)]),
        ("60:1440", [(60, 1440)]),
        ("1m:1d,10s:1h", [(10, 360), (60, 1440)]),
        ("1s:1m, 1m:1w, 1d:1y", [(1, 60), (60, 10080), (86400, 365)]),
    ],
)
def test_archive_lists(text: str, archives: list[tuple[int, int]]) -> None:
    """Step and length with units, or seconds and points, in any order."""
    assert Retention.parse(text).archives == tuple(Archive(*archive) for archive in archives)


BAD = (
    ["", "10s", "10s:", ":6h", "10x:6h", "0s:6h", "10s:6h,10s:1d", "10s:1h,15s:2h"],
    ["10s:1h,60s:1h", "10s:30s,1m:1h", "1.5s:1h", "-1s:1h", "10s:5s", "٣s:1h"],
    ["1s:9999999999y", "10s:1h,,1m:2h"],
)


@each("text", [text for some in BAD for text in some])
def test_bad_archive_lists(text: str) -> None:
    """A list that Whisper would refuse, or that means nothing, is a configuration error."""
    with pytest.raises(ConfigError, match="retention"):
        Retention.parse(text)


def test_text_round_trip() -> None:
    """A retention prints as something that means the same."""
    assert Retention.parse(str(DEFAULT)) == DEFAULT


@given(st.integers(0, 2**33), st.integers(0, 10**8), st.integers(0, 10**8))
def test_a_window_is_inside_what_is_kept(now: int, first: int, second: int) -> None:
    """Never more points than the ring has, and all of them on steps."""
    start, end = now - max(first, second), now - min(first, second)
    window = DEFAULT.window(start, end, now)
    if window is None:
        assert end < now - DEFAULT.longest
        return
    archive = DEFAULT.archives[window.archive]
    assert window.step == archive.step
    assert window.start % archive.step == window.end % archive.step == 0
    assert 1 <= window.length <= archive.points
    assert archive.retention >= now - max(start, now - DEFAULT.longest, 0)


@given(
    st.lists(
        st.lists(st.one_of(st.none(), st.integers(-9, 9)), min_size=8, max_size=8),
        min_size=1,
        max_size=7,
    ),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_rows_roll_up_like_single_values(
    rows: list[list[int | None]], x_files_factor: float
) -> None:
    """Rolling up whole rows at once gives what each series alone would get."""
    methods = [method for method in Method if method not in PAIRED]
    columns = [Column(n, method, x_files_factor) for n, method in enumerate(methods)]
    layout = Layout(8, columns)
    stored = []
    for row in rows:
        known = {n: float(v) for n, v in enumerate(row) if v is not None}
        stored.append(layout.merged(None, known) if known else None)
    result = layout.rolled_up(stored)
    for number, method in enumerate(methods):
        values = [math.nan if row[number] is None else float(row[number] or 0) for row in rows]
        expected = aggregate(method, values, x_files_factor)
        got = math.nan if result is None else result[number + HEAD]
        assert got == expected or (got != got and expected != expected)


def test_headers_of_groups() -> None:
    """A header says everything that is needed to find a row; a damaged one says nothing."""
    for width in (1, 62, 254):
        geometry = Geometry.of(width, DEFAULT)
        page = pack_header(geometry)
        assert unpack_header(page) == geometry
        for at in range(120):
            bad = bytearray(page)
            bad[at] ^= 0x10
            with pytest.raises(ValueError, match="group file"):
                unpack_header(bytes(bad))
    assert Geometry.of(254, DEFAULT).pitch == 2048


def test_state_entries_and_rows_round_trip() -> None:
    """Each is read back as it was written, and not at all when a bit has flipped."""
    state = State(7, (0, 60, 600, 7200))
    packed = pack_state(state)
    assert unpack_state(packed, 4) == state
    assert unpack_state(packed[:20], 4) is None
    assert unpack_state(packed[:20] + b"x" + packed[21:], 4) is None
    entry = Entry(1, "ä" * 200, Method.AVG_ZERO, 0.25, 1_700_000_000)
    table = bytes(ENTRY_SIZE) + pack_entry(entry)
    assert unpack_table(table) == ([entry], [])
    broken = bytearray(table)
    broken[ENTRY_SIZE + 300] ^= 1
    assert unpack_table(bytes(broken)) == ([], [1])
    row = seal_row(Layout(3, []).merged(None, {1: 5.0}), 600)
    data = row.tobytes()
    opened = open_row(data, 600)
    assert opened is not None and opened[HEAD + 1] == 5.0
    assert open_row(data, 610) is None
    assert open_row(data[:-1] + b"\0", 600) is None
    assert open_row(bytes(len(data)), 0) is None


SCHEMAS = """
# as Carbon ships it
[carbon]
pattern = ^carbon\\.
retentions = 60:90d

[default_1min_for_1day]
pattern = .*
retentions = 60s:1d
"""
ROLLUPS = """
[min]
pattern = \\.min$
xFilesFactor = 0.1
aggregationMethod = min

[default]
pattern = .*
xFilesFactor = 0.3
aggregationMethod = average
"""


def test_carbons_files() -> None:
    """The first section that matches decides; counters keep their method whatever it says."""
    schemas = Schemas(
        DEFAULT, parse_schemas(SCHEMAS, "schemas"), parse_aggregations(ROLLUPS, "rollups")
    )
    assert str(schemas.retention_for("carbon.x")) == "1m:90d"
    assert str(schemas.retention_for("my.carbon")) == "1m:1d"
    assert schemas.rollup_for("a.min", Method.AVERAGE) == (Method.MIN, 0.1)
    assert schemas.rollup_for("a.x", Method.LAST) == (Method.AVERAGE, 0.3)
    assert schemas.rollup_for("a.x", Method.SUM) == (Method.SUM, 0.0)
    assert Schemas(DEFAULT).retention_for("any") is DEFAULT


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a]\nretentions = 60s:1d\n", "pattern is missing"),
        ("[a]\npattern = (\nretentions = 60s:1d\n", "no regular expression"),
        ("[a]\npattern = x\n", "retentions is missing"),
        ("[a]\npattern = x\nretentions = often\n", r"file \[a\]: retention"),
        ("pattern = x\n", "file"),
        ("[a]\npattern = x\nretentions = 1s:1d\n[a]\npattern = y\n", "already exists"),
    ],
)
def test_bad_schema_files(text: str, message: str) -> None:
    """The error names the file, the section and what is wrong."""
    with pytest.raises(ConfigError, match=message):
        parse_schemas(text, "file")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("xFilesFactor = 2", "from 0 to 1"),
        ("xFilesFactor = half", "from 0 to 1"),
        ("aggregationMethod = median", "must be one of"),
    ],
)
def test_bad_aggregation_files(line: str, message: str) -> None:
    """The error names the file, the section and what is wrong."""
    with pytest.raises(ConfigError, match=message):
        parse_aggregations(f"[a]\npattern = x\n{line}\n", "file")
