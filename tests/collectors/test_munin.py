"""munin-nodes are polled: values as Munin keeps them, and what a node says of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inapp_monitor import Monitor
from inapp_monitor.collectors import munin_protocol
from inapp_monitor.collectors.munin import MuninError, MuninNode, parse_address
from inapp_monitor.collectors.munin_protocol import Field, Range, Value
from inapp_monitor.ground.exceptions import ConfigError
from inapp_monitor.testing import FakeClock, collected, described
from tests.collectors import munin_node
from tests.environ import environ_of

ANSWERS = {
    "cap multigraph": "cap multigraph dirtyconfig\n",
    "nodes": "web1.example.com\n.\n",
    "list web1.example.com": "myapp broken load disk\n",
    "config myapp": munin_node.CONFIG,
    "fetch myapp": "reqs.value 1000\nerrs.value U\n.\n",
    "config load": "graph_title Load average\ngraph_vlabel load\nload.label load\n.\n",
    "fetch load": "load.value 1.85\n.\n",
    "config disk": "multigraph disk\ngraph_title Disks\nmultigraph disk.sda\nrd.type DERIVE\n.\n",
    "fetch disk": "multigraph disk.sda\nrd.value 5\n.\n",
}


@pytest.fixture
def node() -> Iterator[munin_node.MuninNode]:
    with munin_node.MuninNode(ANSWERS) as running:
        yield running
        running.shutdown()


def test_a_node_becomes_series(node: munin_node.MuninNode) -> None:
    """Gauges as they are, totals as rates by the second; a plugin that fails costs only itself."""
    clock = FakeClock()
    collector = MuninNode(f"127.0.0.1:{node.port}", 60.0, clock)
    assert collector.name == "munin.web1_example_com"
    assert collected(collector) == {"munin.web1_example_com.load.load": 1.85}
    node.answers["fetch myapp"] = "reqs.value 1600\nerrs.value 2\n.\n"
    node.answers["fetch disk"] = "multigraph disk.sda\nrd.value 65\n.\n"
    clock.advance(60.0)
    assert collected(collector) == {
        "munin.web1_example_com.load.load": 1.85,
        "munin.web1_example_com.myapp.reqs": 10.0,
        "munin.web1_example_com.myapp.errs": 2.0,
        "munin.web1_example_com.disk.sda.rd": 1.0,
    }


def test_what_a_node_says_of_its_series_is_kept(node: munin_node.MuninNode) -> None:
    """Title, label, unit and the ranges that Munin warns outside of."""
    collector = MuninNode(f"127.0.0.1:{node.port}", 60.0, FakeClock())
    collected(collector)
    said = described(collector)["munin.web1_example_com.myapp.reqs"]
    assert (said.title, said.label, said.unit) == ("My app requests", "requests", "req / second")
    assert (said.warning, said.critical) == ((None, 100.0), (50.0, 200.0))
    assert said.source == "munin.web1_example_com"


def test_a_node_that_is_not_one(node: munin_node.MuninNode) -> None:
    """Another service, a port that nobody has, plugins that all fail: an error that says so."""
    node.banner = "220 mail.example.com ESMTP\n"
    with pytest.raises(MuninError, match="is no munin-node"):
        MuninNode(f"127.0.0.1:{node.port}", 60.0)
    node.banner = "# munin node at web1\n"
    collector = MuninNode(f"127.0.0.1:{node.port}", 60.0)
    node.answers = {"cap multigraph": "cap\n", "nodes": "web1\n.\n", "list web1": "a b\n"}
    with pytest.raises(MuninError, match="no plugin of"):
        collected(collector)
    port = node.port
    node.shutdown()
    node.server_close()
    with pytest.raises(OSError):
        MuninNode(f"127.0.0.1:{port}", 60.0)


def test_an_endless_answer_is_cut_off(node: munin_node.MuninNode) -> None:
    """What a node may say is bounded."""
    collector = MuninNode(f"127.0.0.1:{node.port}", 60.0)
    node.answers["config myapp"] = "x.label y\n" * 40_000 + ".\n"
    with pytest.raises(MuninError, match="more than"):
        collected(collector)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("web1", ("web1", 4949)),
        ("127.0.0.1:5000", ("127.0.0.1", 5000)),
        ("[::1]:5000", ("::1", 5000)),
        ("[::1]", ("::1", 4949)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    """With and without a port."""
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", ":1", "a:b", "a:0", "a:99999"])
def test_addresses_that_are_none(text: str) -> None:
    """They are named."""
    with pytest.raises(ConfigError, match="munin"):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("100", (None, 100.0)),
        ("50:200", (50.0, 200.0)),
        (":5", (None, 5.0)),
        ("5:", (5.0, None)),
        ("", None),
        (":", None),
        ("x", None),
    ],
)
def test_ranges(text: str, limits: tuple[float | None, float | None] | None) -> None:
    """As Munin reads them: a lone number is the highest value."""
    assert munin_protocol.parse_range(text) == limits


@pytest.mark.parametrize(
    ("kind", "before", "now", "expected"),
    [
        ("GAUGE", None, 5.0, 5.0),
        ("DERIVE", None, 5.0, None),
        ("DERIVE", 10.0, 40.0, 3.0),
        ("DERIVE", 40.0, 10.0, -3.0),
        ("COUNTER", 10.0, 40.0, 3.0),
        ("COUNTER", 40.0, 10.0, None),
        ("ABSOLUTE", None, 30.0, 3.0),
    ],
)
def test_rates(kind: str, before: float | None, now: float, expected: float | None) -> None:
    """Types of a field, over ten seconds."""
    assert munin_protocol.rate(kind, before, now, 10.0, Field()) == expected


def test_a_value_outside_of_min_and_max_is_unknown() -> None:
    """So a counter that began anew makes no peak."""
    limits = Field(low=0.0, high=100.0)
    assert munin_protocol.rate("DERIVE", 40.0, 10.0, 10.0, limits) is None
    assert munin_protocol.rate("GAUGE", None, 101.0, 10.0, limits) is None
    assert munin_protocol.rate("GAUGE", None, 100.0, 10.0, limits) == 100.0
    assert Range(None, None).holds(1e300)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=8))
def test_no_answer_breaks_anything(lines: list[str]) -> None:
    """Whatever a node says."""
    for graph in munin_protocol.parse_config("p", lines):
        assert graph.name
    for value in munin_protocol.parse_values("p", ["a.value 1", *lines]):
        assert isinstance(value, Value)


# -- in a monitor


def page(monitor: Monitor, path: str, query: str = "") -> str:
    environ = environ_of(
        f"/_metrics{path}", QUERY_STRING=query, HTTP_AUTHORIZATION="Bearer the-token-of-all"
    )
    return b"".join(monitor(environ, lambda *_: None)).decode()


def test_ranges_are_judged_and_units_shown(node: munin_node.MuninNode, tmp_path: Path) -> None:
    """A value outside of a plugin's range is a verdict; Explore says what a series is."""
    node.answers["config load"] = (
        "graph_title Load average\ngraph_vlabel load\nload.label load\nload.warning 1\n"
        "load.critical 10\n.\n"
    )
    monitor = Monitor(
        lambda environ, start_response: [],
        data_dir=tmp_path / "data",
        token="the-token-of-all",
        flush_interval_s=0.2,
        munin=[f"127.0.0.1:{node.port}"],
        munin_interval_s=5,
        collect_host=False,
    )
    monitor.life.attach_if_needed()
    path = "munin.web1_example_com.load.load"
    try:
        end = time.monotonic() + 30
        while "Out of range" not in (seen := page(monitor, "/overview.json")):
            assert time.monotonic() < end, seen
            time.sleep(0.2)
        assert "1.85 load, should be at most 1" in seen
        assert f"/explore?target={path}" in page(monitor, "/")
        shown = page(monitor, "/explore", f"target={path}")
        assert (
            "Load average · load · warning unless at most 1 · critical unless at most 10" in shown
        )
    finally:
        monitor.close()
