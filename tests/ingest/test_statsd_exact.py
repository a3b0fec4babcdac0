"""With `names=statsd`, what the daemon would have sent to Graphite, to the last digit and name."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inapp_monitor.ingest.protocols.parsed import Parsed
from inapp_monitor.ingest.protocols.statsd_exact import js_float
from inapp_monitor.ingest.protocols.statsd_flush import StatsDConfig, config_of, timer_numbers
from inapp_monitor.ingest.statsd_state import StatsDState
from tests.each import each
from tests.ingest import corpus
from tests.ingest.conftest import NOW


def options_of(row: dict[str, Any]) -> dict[str, str]:
    """A recorded configuration as the options of an address."""
    config = {**row["config"], **row["config"].get("graphite", {})}
    options = {"flushInterval": str(row["flushInterval_ms"])}
    for name, value in config.items():
        if name == "histogram":
            bins = [f"{h['metric']}:{','.join(map(str, h['bins']))}" for h in value]
            options[name] = ";".join(bins)
        elif isinstance(value, list):
            options[name] = ",".join(map(str, value))
        elif name not in ("graphite", "graphiteProtocol"):
            options[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return options


def as_number(text: str) -> float:
    value = js_float(text)
    return math.nan if value is None else value


def assert_flush(state: StatsDState, rows: list[list[str]], volatile: set[str]) -> None:
    """The same names and the same numbers, in any order."""
    expected = {name: as_number(value) for name, value in rows if name not in volatile}
    found = {n: value for n, value, _, _ in state.flush(NOW) if n not in volatile}
    assert set(found) == set(expected)
    assert [name for name in found if found[name] != expected[name]] == []


@each("row", corpus.load("statsd"), ids=lambda row: row["name"])
def test_a_recorded_configuration(row: dict[str, Any]) -> None:
    """Three flushes of the real daemon: with values, and twice idle."""
    state = StatsDState(config_of(options_of(row)))
    for packet in row["packets"]:
        state.parse(packet.encode(), NOW)
    volatile = set(row["volatile_names"])
    for flush in (row["flush1"], row["flush2"], row["flush3"]):
        assert_flush(state, flush, volatile)


CAPTURES = [
    row["name"]
    for row in corpus.load("captures")
    if (row.get("reference") or {}).get("server", "").startswith("npm statsd")
]


@each("name", CAPTURES)
def test_a_captured_client(name: str) -> None:
    """What the real daemon flushed of a client's bytes, and the lines that it called bad."""
    row = corpus.capture(name)
    reference = row["reference"]
    state = StatsDState(config_of({"flushInterval": "2000"}))
    bad = 0
    for packet in row["packets"]:
        bad += len(state.parse(bytes.fromhex(packet["hex"]), NOW).rejects)
    # The daemon reads TCP as ASCII, so that other letters are lost in another way than over UDP.
    own = (
        "app.utf8",
        "mlaut=",
        "statsd.packets_received",
        "numStats",
        "timestamp_lag",
        "graphiteStats",
        "processing",
    )
    found = {n: v for n, v, _, _ in state.flush(NOW) if not any(word in n for word in own)}
    wanted = {n: as_number(v) for n, v in reference["flush"] if not any(word in n for word in own)}
    assert bad == len(reference["bad_lines"])
    assert found == wanted


def test_an_address_carries_statsds_own_settings() -> None:
    """The names of its configuration file are options of the address; a bad one is named."""
    config = config_of({"percentThreshold": "90,-10,99.9", "deleteIdleStats": "true"})
    assert config == StatsDConfig(
        percent_threshold=(90, -10, 99.9),
        **dict.fromkeys(("delete_counters", "delete_timers", "delete_sets", "delete_gauges"), True),
    )
    with pytest.raises(ValueError, match="flush_counts=maybe"):
        config_of({"flush_counts": "maybe"})


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30), st.floats(-100, 100).map(round))
def test_a_threshold_never_makes_nan(values: list[float], threshold: int) -> None:
    """The daemon sends NaN where a negative threshold covers all values."""
    config = StatsDConfig(percent_threshold=(threshold,))
    numbers = timer_numbers("t", values, float(len(values)), config)
    assert all(math.isfinite(number) for number in numbers.values())
    assert numbers["sum"] == pytest.approx(math.fsum(values))


def test_lines_that_end_the_daemon_are_bad_or_ordinary() -> None:
    """No datagram is fatal, and none makes an infinite counter."""
    state = StatsDState(StatsDConfig())
    for line in (
        "a:1|c|@Infinity",
        "a:1|c|@0",
        "hasOwnProperty:1|ms",
        "__proto__:x|s",
        "a:1|c|@+0.5",
    ):
        assert isinstance(state.parse(line.encode(), NOW), Parsed)
    found = {name: value for name, value, _, _ in state.flush(NOW)}
    assert found["stats_counts.a"] == 2.0
    assert found["stats.sets.__proto__.count"] == 1.0
