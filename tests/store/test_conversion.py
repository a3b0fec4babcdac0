"""Another archive list: `convert` keeps whatever the files still hold, at the new steps."""

from __future__ import annotations

import math
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from inapp_monitor.ground.points import Method
from inapp_monitor.store import whisper_format
from inapp_monitor.store.check import check_directory
from inapp_monitor.store.maintenance import convert, import_whisper
from inapp_monitor.store.retention import Archive, Retention
from inapp_monitor.store.rollup import aggregate
from tests.store.conftest import START, Bench, known

Values = dict[int, float]


@st.composite
def retentions(draw: st.DrawFn) -> Retention:
    """Any legal archive list of small rings."""
    archives = [Archive(draw(st.sampled_from([5, 10, 15, 30, 60])), draw(st.integers(1, 40)))]
    for _ in range(draw(st.integers(0, 2))):
        fine = archives[-1]
        step = fine.step * draw(st.integers(2, 6))
        archives[-1] = fine._replace(points=max(fine.points, step // fine.step))
        least = archives[-1].retention // step + 1
        archives.append(Archive(step, least + draw(st.integers(0, 20))))
    return Retention(tuple(archives))


@st.composite
def files(draw: st.DrawFn) -> tuple[Retention, Method, float, list[Values]]:
    """A Whisper file whose archives know anything of each other, or nothing."""
    retention = draw(retentions())
    method = draw(st.sampled_from(list(Method)))
    x_files_factor = draw(st.sampled_from([0.0, 0.0, 0.5, 1.0]))
    share = draw(st.sampled_from([0.2, 0.8, 1.0]))
    random = draw(st.randoms(use_true_random=False))
    rings = []
    for archive in retention.archives:
        times = range(archive.oldest(START), archive.floor(START) + 1, archive.step)
        rings.append({t: float(random.randint(-9, 9)) for t in times if random.random() < share})
    return retention, method, x_files_factor, rings


def write_file(
    path: Path, retention: Retention, method: Method, x_files_factor: float, rings: list[Values]
) -> None:
    """A Whisper file as Graphite would have it."""
    rows = [(archive.step, archive.points) for archive in retention.archives]
    data = whisper_format.pack_header(whisper_format.layout(method, x_files_factor, rows))
    for archive, values in zip(retention.archives, rings, strict=True):
        first = next(iter(values), 0)
        times = [first + number * archive.step for number in range(archive.points)]
        times = [t if t <= START else t - archive.retention for t in times]
        points = [(t, values[t]) if t in values else (0, 0.0) for t in times]
        data += whisper_format.pack_points(points)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def rings_of(bench: Bench, path: str, retention: Retention) -> list[Values]:
    """What each archive answers."""
    store, now = bench.open(read_only=True), int(bench.now)
    rings = []
    for archive in retention.archives:
        (answer,) = store.fetch([path], now - archive.retention, now, now)
        assert answer.step == archive.step
        rings.append(known(answer))
    return rings


class Remembered:
    """All that an archive list knows of one series, each time in the finest steps."""

    def __init__(
        self, retention: Retention, method: Method, x_files_factor: float, rings: list[Values]
    ) -> None:
        self.archives = retention.archives
        self.method = method
        self.x_files_factor = x_files_factor
        self.rings = rings
        last = self.archives[-1]
        starts = range(last.floor(last.oldest(START) - 10_000), START + 1, last.step)
        self.points = [p for at in starts for p in self.within(len(self.archives) - 1, at)]

    def within(self, number: int, start: int) -> list[tuple[int, int, float]]:
        """(start, step, value) of one interval of an archive; NaN where nothing is known."""
        archive = self.archives[number]
        own = self.rings[number].get(start, math.nan)
        whole = [(start, archive.step, own)]
        if number == 0:
            return whole
        fine = self.archives[number - 1]
        times = range(start, start + archive.step, fine.step)
        held = [at for at in times if at >= fine.oldest(START)]
        finer = [point for at in held for point in self.within(number - 1, at)]
        if not finer or (own == own and (len(held) < len(times) or math.isnan(self.joined(finer)))):
            return whole
        return finer

    def joined(self, points: list[tuple[int, int, float]]) -> float:
        """One value for some points; each counts for as long as its step is."""
        seconds = math.gcd(*(step for _, step, _ in points))
        known = sum(step for _, step, value in points if value == value)
        if not known or known / sum(step for _, step, _ in points) < self.x_files_factor:
            return math.nan
        if len(points) == 1:
            return points[0][2]
        if self.method is Method.AVG_ZERO:
            values = [v for _, step, value in points for v in [value] * (step // seconds)]
            return aggregate(self.method, values, 0)
        return aggregate(self.method, [value for _, _, value in points], 0)

    def at_steps(self, archive: Archive) -> Values:
        """The values of another archive; one of the same step keeps what it has."""
        cells: dict[int, list[tuple[int, int, float]]] = {}
        for point in self.points:
            cells.setdefault(archive.floor(point[0]), []).append(point)
        made = {at: self.joined(points) for at, points in cells.items()}
        for own, ring in zip(self.archives, self.rings, strict=True):
            if own.step == archive.step:
                asked = {at for at, points in cells.items() if points[0][1] <= own.step}
                made |= {at: value for at, value in ring.items() if at in asked}
        oldest = archive.oldest(START)
        return {at: value for at, value in made.items() if at >= oldest and value == value}


def approximately(values: Values) -> Values:
    return {at: pytest.approx(value) for at, value in values.items()}


@given(files(), retentions())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)  # each example is a store on disk
def test_a_conversion_is_a_summary_of_what_was_known(
    file: tuple[Retention, Method, float, list[Values]], target: Retention
) -> None:
    """From any archives, with any holes, to any others: no value is lost and none counts twice."""
    retention, method, x_files_factor, rings = file
    assume(target != retention)  # nothing to do then
    with tempfile.TemporaryDirectory() as directory:
        write_file(Path(directory, "in", "jobs.wsp"), retention, method, x_files_factor, rings)
        bench = Bench(Path(directory, "data"), retention=str(target))
        report = import_whisper(bench.data_dir, bench.loaded, Path(directory, "in"), bench.now)
        assert (report.files, report.failed) == (1, [])
        before = rings_of(bench, "jobs", retention)
        assert convert(bench.data_dir, bench.loaded, bench.now).failed == []
        after = rings_of(bench, "jobs", target)
        bench.store.close()
    remembered = Remembered(retention, method, x_files_factor, before)
    closed = [archive.floor(START) for archive in target.archives]
    for archive, values, open_from in zip(target.archives, after, closed, strict=True):
        expected = remembered.at_steps(archive)
        for found in (values, expected):
            found.pop(open_from, None)  # shown as a rollup of the finer archive until it is over
        assert values == approximately(expected)


COUNTED = [1 + number % 3 for number in range(2_000)]


@pytest.fixture(scope="module")
def in_use(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A store of nearly a day; each test converts a copy."""
    bench = Bench(tmp_path_factory.mktemp("use") / "data", retention="10s:2h,1m:6h,10m:30d")
    for number, count in enumerate(COUNTED):
        bench.put("hits", count)
        bench.put("time", number, method=Method.AVERAGE)
        bench.put("time", number + 1, method=Method.AVERAGE)
        bench.store.flush()
        bench.wait(40)
    bench.store.close()
    return bench


@pytest.mark.parametrize(
    "target",
    [
        "10s:12h,1m:3d,10m:30d", "10s:6h,30s:3d,5m:30d", "15s:6h,1m:3d,15m:30d", "40s:2d,2m:4d",
        "7s:10h,14m:30d", "1m:2d", "1m:1d,1h:30d", "10s:6h,1m:3d,10m:30d,1d:10y",
    ],
)  # fmt: skip
def test_totals_of_a_store_in_use_stay(in_use: Bench, tmp_path: Path, target: str) -> None:
    """Counts of a day are the same before, afterwards, and when the open intervals are over."""
    shutil.copytree(in_use.data_dir, tmp_path / "data")
    bench = Bench(tmp_path / "data", **in_use.settings)
    bench.now = in_use.now
    wanted = sum(COUNTED)
    assert bench.total("hits", back=23 * 3600) == wanted
    bench.settings["retention"] = target
    report = convert(bench.data_dir, bench.loaded, bench.now)
    assert [path for path, _, _ in report.converted] == ["hits", "time"]
    bench.store.close()
    bench.store = bench.open()
    assert bench.total("hits", back=23 * 3600) == wanted
    assert check_directory(bench.data_dir, bench.now).clean
    for _ in range(100):
        bench.put("hits", 4)
        bench.store.flush()
        bench.wait(160)
    assert bench.total("hits", back=28 * 3600) == wanted + 400
    assert check_directory(bench.data_dir, bench.now).clean
