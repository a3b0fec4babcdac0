"""The past: every moment of it once, the sums exact, and what is interrupted goes on."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from inapp_monitor.cli.command_line import main
from inapp_monitor.export import past
from inapp_monitor.export.handing_over import HandOverError, hand_over
from inapp_monitor.export.past_to_prometheus import OpenMetricsFile, VictoriaMetricsImport
from inapp_monitor.export.running_totals import RunningTotals
from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.ground.destination import parse
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Batch, Distribution, Method, Scalar
from inapp_monitor.store.retention import Retention
from inapp_monitor.store.series import Store
from inapp_monitor.testing import FakeClock
from tests.export.conftest import open_store
from tests.export.peers import Posts

_RETENTION = Retention.parse("10s:6h,1m:3d,10m:30d,2h:2y")


@given(st.integers(1_700_000_000, 1_900_000_000))
def test_the_parts_of_the_past_meet_and_are_within_their_archives(now: int) -> None:
    """No moment twice, none missing, and every part is still in the archive that has it."""
    found = past.spans(_RETENTION, now)
    assert [part.step for part in found] == [7_200, 600, 60, 10]
    assert found[-1].end == past.end_of_past(now)
    for older, newer in pairwise(found):
        assert older.end == newer.start
        assert newer.start % older.step == 0
    for part, archive in zip(found, reversed(_RETENTION.archives), strict=True):
        assert part.start > now - archive.retention


@pytest.fixture
def filled(store: Store, clock: FakeClock) -> Store:
    """Eight hours in two archives: 43 series and two timers."""
    for number in range(96):
        moment = int(clock.now)
        scalars = [Scalar(f"s{i}", moment, float(i + number), Method.SUM) for i in range(40)]
        scalars += [Scalar(f"g{i}", moment, float(number), Method.LAST) for i in range(3)]
        timers = [Distribution(f"t{i}", moment, Histogram.of([number + 1.0])) for i in range(2)]
        store.add(Batch(scalars, timers))
        store.flush()
        clock.advance(300.0)
    clock.advance(300.0)
    return store


def test_sums_over_the_past_are_exact(filled: Store, clock: FakeClock) -> None:
    """Nothing is lost or doubled where one archive ends and the next begins."""
    found = {p.leaf.path: p for p in past.read(filled, filled.leaves(), int(clock.now))}
    for i in range(40):
        total = sum(value for _, _, value in found[f"s{i}"].numbers)
        assert total == sum(i + number for number in range(96))
    assert sum(h.count for _, _, h in found["t0"].histograms) == 96
    assert len({step for _, step, _ in found["s0"].numbers}) == 2


class _Interrupted(OpenMetricsFile):
    """Stops in the middle, as Ctrl-C would, with something written after the last note."""

    left = 27

    def take(self, series: past.Past, totals: object) -> int:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().take(series, totals)  # type: ignore[arg-type]


def test_what_is_interrupted_goes_on(
    filled: Store, data_dir: Path, tmp_path: Path, clock: FakeClock
) -> None:
    """The file is the same as without an interruption, and of the moment at which it began."""
    whole, parts, state = tmp_path / "whole.om", tmp_path / "parts.om", data_dir / "export/past"
    seen: list[tuple[int, int]] = []
    at_once = hand_over(
        filled, OpenMetricsFile(whole, {}), state, int(clock.now), lambda *n: seen.append(n)
    )
    assert seen[0] == (0, 45)
    assert seen[-1] == (45, 45)
    with pytest.raises(KeyboardInterrupt):
        hand_over(filled, _Interrupted(parts, {}), state, int(clock.now), lambda *_: None)
    clock.advance(3_600.0)
    seen.clear()
    resumed = hand_over(
        filled, OpenMetricsFile(parts, {}), state, int(clock.now), lambda *n: seen.append(n)
    )
    assert seen[0] == (20, 45)
    assert parts.read_bytes() == whole.read_bytes()
    assert (resumed.points, resumed.totals) == (at_once.points, at_once.totals)
    assert not state.exists()
    text = whole.read_text()
    assert text.count("# TYPE ") == 45
    assert text.endswith("# EOF\n")


def test_scraped_counters_go_on_from_where_the_past_ends(
    filled: Store, data_dir: Path, tmp_path: Path, clock: FakeClock
) -> None:
    """No reset and no jump between what was handed over and what is scraped."""
    state = hand_over(
        filled, OpenMetricsFile(tmp_path / "f", {}), data_dir / "s", int(clock.now), lambda *_: None
    )
    totals = RunningTotals(filled, data_dir, clock.perf)
    assert totals.begin_with(state.totals)
    filled.add(Batch([Scalar("s0", int(clock.now), 5.0, Method.SUM)], []))
    filled.flush()
    present = totals.read(int(clock.now))
    assert present.sums["s0"] == sum(range(96)) + 5.0
    assert sum(present.histograms["t0"].counts) == 96
    assert not totals.begin_with(state.totals)  # counting has begun


def test_an_engine_that_refuses_is_named(filled: Store, data_dir: Path, clock: FakeClock) -> None:
    """With its answer; what it took needs not be sent again."""
    posts = Posts()
    try:
        destination = parse(f"otlp://127.0.0.1:{posts.port}")
        receiver = VictoriaMetricsImport(destination, {})
        posts.answer = lambda number: (204, {}, b"") if number < 2 else (500, {}, b"disk full")
        state = data_dir / "export" / "past"
        with pytest.raises(HandOverError, match="HTTP 500 disk full"):
            hand_over(filled, receiver, state, int(clock.now), lambda *_: None)
        posts.answer = lambda _: (204, {}, b"")
        hand_over(filled, receiver, state, int(clock.now), lambda *_: None)
    finally:
        posts.stop()
    names = [
        json.loads(line)["metric"]["__name__"]
        for number, (path, _, body) in enumerate(posts.bodies)
        for line in body.splitlines()
        if path == "/api/v1/import" and number != 2
    ]
    plain = [name for name in names if "_bucket" not in name]
    assert len(plain) == len(set(plain)) == 40 + 3 + 2 * 2


def test_the_command_says_what_it_wants(
    data_dir: Path, clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    """One target, and one line about anything else."""
    open_store(data_dir, clock).flush()
    data_dir.mkdir(exist_ok=True)
    where = ["--data-dir", str(data_dir)]
    for arguments, words in (
        ([], "give one of --whisper"),
        (["--carbon", "h:1", "--victoriametrics", "h:1"], "give one of"),
        (["--carbon", "ftp://h"], "--carbon: scheme"),
        (["--victoriametrics", "ftp://h"], "--victoriametrics: expected"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["export", *arguments, *where])
        assert ended.value.code == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1


@pytest.mark.parametrize("option", ["--remote-write", "--victoriametrics"])
@pytest.mark.parametrize(
    ("line", "header"),
    [("12345:key-of-it\n", "Basic MTIzNDU6a2V5LW9mLWl0"), ("glc_abc==", "Bearer glc_abc==")],
)
def test_an_engine_that_asks_who_sends_is_shown_the_credentials_of_a_file(
    data_dir: Path, tmp_path: Path, option: str, line: str, header: str
) -> None:
    """A user with a password, or a token; they are in no output."""
    store, now = open_store(data_dir, SYSTEM), int(SYSTEM.wall())
    store.add(Batch([Scalar("s0", now - age, 5.0, Method.SUM) for age in (600, 590)], []))
    store.flush()
    store.close()
    file = tmp_path / "credentials"
    file.write_text(line)
    posts = Posts()
    try:
        address = f"http://127.0.0.1:{posts.port}"
        where = ["--data-dir", str(data_dir), "--credentials-file", str(file)]
        answer = CliRunner().invoke(main, ["export", option, address, *where])
    finally:
        posts.stop()
    assert answer.exit_code == 0, answer.output
    assert {headers["authorization"] for _, headers, _ in posts.bodies} == {header}
    assert line.strip() not in answer.output


def test_credentials_that_are_none_are_refused(
    filled: Store, data_dir: Path, tmp_path: Path
) -> None:
    """An empty file is named, and nothing is sent."""
    filled.close()
    file = tmp_path / "credentials"
    file.touch()
    where = ["--data-dir", str(data_dir), "--credentials-file", str(file)]
    answer = CliRunner().invoke(main, ["export", "--remote-write", "http://127.0.0.1:9", *where])
    assert answer.exit_code == 2
    assert "expected a line USER:PASSWORD or a token" in answer.output
