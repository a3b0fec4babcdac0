"""Whisper files, with the `whisper` package as the oracle."""

from __future__ import annotations

import errno
import math
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inapp_monitor.ground.points import Method
from inapp_monitor.store import whisper_format, whisper_tree
from inapp_monitor.store.check import check_directory
from inapp_monitor.store.maintenance import export_whisper, import_whisper
from inapp_monitor.store.retention import Archive, Retention
from inapp_monitor.store.rollup import aggregate
from inapp_monitor.store.whisper_export import STATISTICS, file_name, statistic
from tests.store.conftest import START, Bench

whisper = pytest.importorskip("whisper")

pytestmark = pytest.mark.compat

METHODS = [method.name.lower() for method in Method]
ARCHIVES = [(10, 12), (60, 10), (120, 30)]


def normal(values: object) -> list[float | None]:
    """NaN as None, as whisper has it."""
    return [None if value != value else value for value in values]  # type: ignore[attr-defined]


def assert_same(path: Path, tree: whisper_tree.WhisperTree, start: int, end: int, now: int) -> None:
    """Our reading of a window and whisper's are the same."""
    theirs = whisper.fetch(str(path), start, end, now)
    ours = tree.fetch(path.stem, start, end, now)
    if theirs is None:
        assert ours is None
        return
    assert ours is not None
    assert (ours.start, ours.end, ours.step) == theirs[0]
    assert normal(ours.values) == theirs[1]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    method=st.sampled_from(METHODS),
    x_files_factor=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    updates=st.lists(
        st.tuples(st.integers(1, 400), st.integers(0, 600), st.integers(-9, 9)), max_size=40
    ),
    windows=st.lists(st.tuples(st.integers(-50, 4000), st.integers(-50, 4000)), min_size=5),
)
def test_files_read_in_place_as_whisper_reads_them(
    tmp_path_factory: pytest.TempPathFactory,
    method: str,
    x_files_factor: float,
    updates: list[tuple[int, int, int]],
    windows: list[tuple[int, int]],
) -> None:
    """Any file that whisper wrote reads the same in any window: wrapped rings, late points, all."""
    directory = tmp_path_factory.mktemp("whisper")
    path = directory / "a.wsp"
    whisper.create(str(path), ARCHIVES, x_files_factor, method)
    now = START
    for wait, age, value in updates:
        now += wait
        whisper.update(str(path), value, now - age, now)
    tree = whisper_tree.WhisperTree(directory)
    assert tree.refresh(0.0)
    assert [leaf.method.name.lower() for leaf in tree.leaves()] == [method]
    for first, second in windows:
        start, end = now - max(first, second), now - min(first, second)
        assert_same(path, tree, start, end, now)


@given(
    method=st.sampled_from(list(Method)),
    values=st.lists(st.one_of(st.none(), st.integers(-50, 50)), min_size=1, max_size=12),
    x_files_factor=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
)
def test_rollups_follow_whisper(
    tmp_path_factory: pytest.TempPathFactory,
    method: Method,
    values: list[int | None],
    x_files_factor: float,
) -> None:
    """The value that finer values become is the one that whisper's own code makes of them."""
    known = [float(value) for value in values if value is not None]
    ours = aggregate(
        method, [float("nan") if v is None else float(v) for v in values], x_files_factor
    )
    if not known or len(known) / len(values) < x_files_factor:
        assert ours != ours
        return
    name = method.name.lower()
    theirs = whisper.aggregate(name, known, [None if v is None else float(v) for v in values])
    assert ours == pytest.approx(theirs)


def test_a_tree_is_listed_by_path(bench: Bench) -> None:
    """Directories are nodes, tagged files are listed under their path, damaged ones are not."""
    tree = bench.data_dir / "whisper"
    for name in ("servers/web1/load", "top", "_tagged/abc/def/cpu;host=a"):
        path = tree / f"{name}.wsp"
        path.parent.mkdir(parents=True, exist_ok=True)
        whisper.create(str(path), ARCHIVES)
    (tree / "broken.wsp").write_bytes(b"not whisper")
    (tree / "notes.txt").write_text("no series")
    assert [(leaf.path, leaf.kind) for leaf in bench.store.leaves()] == [
        ("_tagged.abc.def.cpu;host=a", "whisper"),
        ("servers.web1.load", "whisper"),
        ("top", "whisper"),
    ]
    assert bench.store.fetch(["broken", "notes"], START - 60, START, START) == []


def test_the_store_serves_whisper_files_beside_its_own(bench: Bench) -> None:
    """One fetch answers for both kinds, in the order asked."""
    path = bench.data_dir / "whisper" / "old.wsp"
    path.parent.mkdir(parents=True)
    whisper.create(str(path), [(10, 100)], 0.0, "sum")
    whisper.update(str(path), 5, START - 20, START)
    bench.put("new", 1)
    answers = bench.store.fetch(["old", "none", "new"], START - 60, START, START)
    assert [answer.path for answer in answers] == ["old", "new"]
    assert 5.0 in answers[0].values


def fill(bench: Bench, rounds: int, wait: int) -> None:
    """Points of every method, with gaps."""
    for number in range(rounds):
        for method in Method:
            if number % 7:
                bench.put(f"all.{method.name.lower()}", number % 11 - 4.5, method=method)
        bench.observe("all.time", [1.0 + number % 5, 20.0])
        bench.store.flush()
        bench.wait(wait)


@pytest.mark.parametrize(("rounds", "wait"), [(300, 10), (250, 130)])
def test_export_reads_as_the_store_does(bench: Bench, rounds: int, wait: int) -> None:
    """`whisper.fetch` of every exported archive equals our own answer."""
    fill(bench, rounds, wait)
    target = bench.data_dir.parent / "export"
    report = export_whisper(bench.store, target, bench.now)
    assert not report.failed
    assert report.files == len(Method) + len(STATISTICS)
    now, compared = int(bench.now), 0
    for leaf in bench.store.leaves():
        facts = bench.store.retention_of(leaf.path)
        assert facts is not None
        for archive in facts[0].archives:
            start = now - archive.retention
            if leaf.kind == "scalar":
                answers = {leaf.path: bench.store.fetch([leaf.path], start, now, now)[0].values}
            else:
                found = bench.store.fetch_distribution(leaf.path, start, now, now)
                assert found is not None
                answers = {
                    f"{leaf.path}.{name}": [statistic(name, slot) for slot in found.slots]
                    for name in STATISTICS
                }
            for path, values in answers.items():
                info, theirs = whisper.fetch(str(target / file_name(path)), start, now, now)
                assert info[2] == archive.step
                assert normal(values) == theirs
                compared += sum(value is not None for value in theirs)
    assert compared > 1_000


def test_whisper_goes_on_with_an_exported_file(bench: Bench) -> None:
    """Real `whisper.update` continues where the export ends, also across a wrap of the ring."""
    fill(bench, 100, 10)
    target = bench.data_dir.parent / "export"
    export_whisper(bench.store, target, bench.now)
    path = str(target / "all" / "sum.wsp")
    before = whisper.fetch(path, START, int(bench.now), int(bench.now))[1]
    for number in range(20):
        now = int(bench.now) + 10 * number
        whisper.update(path, 7, now, now)
    after = whisper.fetch(path, START, now, now)[1]
    assert after[: len(before) - 1] == before[:-1]
    assert after[-19:] == [7.0] * 19


def test_graphites_own_tools_are_content(bench: Bench) -> None:
    """whisper-info, whisper-dump and find-corrupt-whisper-files accept an exported file."""
    fill(bench, 30, 10)
    target = bench.data_dir.parent / "export"
    export_whisper(bench.store, target, bench.now)
    tools = Path(sys.executable).parent
    path = str(target / "all" / "average.wsp")
    for command in (
        ["whisper-info.py", path],
        ["whisper-dump.py", path],
        ["find-corrupt-whisper-files.py", str(target)],
    ):
        if not (tools / command[0]).exists():
            pytest.skip(f"{command[0]} is not installed")
        done = subprocess.run(
            [sys.executable, str(tools / command[0]), *command[1:]], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "corrupt" not in done.stdout.lower()


def test_export_ends_where_whispers_times_end(bench: Bench) -> None:
    """Points beyond February 2106 are left out of the export, and counted."""
    bench.now = float(2**32 - 2**32 % 7200 + 7200)
    bench.put("late", 1)
    bench.store.flush()
    report = export_whisper(bench.store, bench.data_dir.parent / "export", bench.now)
    assert report.beyond_whisper > 0
    assert bench.get("late") == {int(bench.now): 1}


@settings(max_examples=10, deadline=None)
@given(
    method=st.sampled_from(METHODS),
    updates=st.lists(st.tuples(st.integers(1, 90), st.integers(-9, 9)), min_size=1, max_size=60),
)
def test_import_keeps_every_archive(
    tmp_path_factory: pytest.TempPathFactory, method: str, updates: list[tuple[int, int]]
) -> None:
    """An imported series answers like its file, at every step."""
    directory = tmp_path_factory.mktemp("import")
    source = directory / "source"
    (source / "a").mkdir(parents=True)
    path = source / "a" / "b.wsp"
    whisper.create(str(path), ARCHIVES, 0.5, method)
    bench = Bench(directory / "data")
    for wait, value in updates:
        bench.wait(wait)
        whisper.update(str(path), value, int(bench.now), int(bench.now))
    now = int(bench.now)
    settings_ = bench.loaded
    report = import_whisper(bench.data_dir, settings_, source, bench.now, prefix="old")
    assert (report.files, report.failed) == (1, [])
    for step, points in ARCHIVES:
        start = now - step * points
        answer = bench.store.fetch(["old.a.b"], start, now, now)[0]
        theirs = whisper.fetch(str(path), start, now, now)[1]
        assert normal(answer.values) == pytest.approx(theirs)


def test_import_tells_what_it_could_not_take(bench: Bench, tmp_path: Path) -> None:
    """Files that are broken or break the rules are named with the reason; the others are taken."""
    source = tmp_path / "source"
    source.mkdir()
    whisper.create(str(source / "good.wsp"), ARCHIVES)
    (source / "bad.wsp").write_bytes(b"x" * 100)
    report = import_whisper(bench.data_dir, bench.loaded, source, bench.now)
    assert report.files == 1
    assert [Path(name).name for name, _ in report.failed] == ["bad.wsp"]


def _cut(path: Path, size: int) -> None:
    os.truncate(path, size)


def _long_promise(path: Path) -> None:
    """A header that tells of more archives than there is room for."""
    data = bytearray(path.read_bytes())
    data[16 + 8 : 16 + 12] = (2**31).to_bytes(4, "big")
    path.write_bytes(data)


def _strange_factor(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[8:12] = struct.pack(">f", math.nan)
    path.write_bytes(data)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (partial(_cut, size=0), "0 bytes"),
        (partial(_cut, size=30), "header is cut"),
        (partial(_cut, size=60), "cut, 60 bytes"),
        (partial(_cut, size=600), "cut, 600 bytes"),
        (_long_promise, "cut, "),
        (_strange_factor, "xFilesFactor"),
        (_pipe, "not a regular file"),
        (lambda path: (path.unlink(), path.symlink_to("nowhere")), "No such file"),
    ],
)
def test_a_bad_file_costs_an_import_only_itself(
    bench: Bench, tmp_path: Path, damage: Callable[[Path], object], reason: str
) -> None:
    """It is named with the reason and leaves no series; files of the same archives are imported."""
    source = tmp_path / "source"
    source.mkdir()
    now = int(bench.now)
    for name in ("a", "bad", "z"):
        whisper.create(str(source / f"{name}.wsp"), ARCHIVES)
        points = [(now - 10 * back, float(back)) for back in range(30)]
        whisper.update_many(str(source / f"{name}.wsp"), points, now=now)
    damage(source / "bad.wsp")
    report = import_whisper(bench.data_dir, bench.loaded, source, now)
    assert report.files == 2
    assert [name for name, _ in report.failed] == [str(source / "bad.wsp")]
    assert reason in report.failed[0][1]
    store = bench.open(read_only=True)
    assert [leaf.path for leaf in store.leaves()] == ["a", "z"]
    for name in ("a", "z"):
        assert len(bench.get(name, back=100, store=store)) == 10
    assert check_directory(bench.data_dir, now).clean


def test_a_file_that_breaks_off_while_it_is_read(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that cannot read the end of a file costs that file; the columns are free again."""
    source = tmp_path / "source"
    source.mkdir()
    now = int(bench.now)
    for name in ("a", "bad", "z"):
        whisper.create(str(source / f"{name}.wsp"), ARCHIVES)
        whisper.update(str(source / f"{name}.wsp"), 1.0, now, now)

    opened = 0

    def failing(path: object, *options: object) -> int:
        nonlocal opened
        opened += str(path).endswith("bad.wsp")
        if str(path).endswith("bad.wsp") and opened == 3:
            raise OSError(errno.EIO, "Input/output error")
        return system_open(path, *options)  # type: ignore[arg-type]

    system_open = os.open
    monkeypatch.setattr(os, "open", failing)
    report = import_whisper(bench.data_dir, bench.loaded, source, now)
    assert report.files == 2
    assert report.failed == [(str(source / "bad.wsp"), "Input/output error")]
    assert [leaf.path for leaf in bench.open(read_only=True).leaves()] == ["a", "z"]
    monkeypatch.undo()
    report = import_whisper(bench.data_dir, bench.loaded, source / "bad.wsp", now)
    assert (report.files, report.failed) == (1, [])
    assert bench.total("bad", back=60, store=bench.open()) == 1


def test_a_directory_that_cannot_be_listed_is_named(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is below it is left out; the rest is imported."""
    source = tmp_path / "source"
    (source / "closed").mkdir(parents=True)
    for name in ("a", "closed/b"):
        whisper.create(str(source / f"{name}.wsp"), ARCHIVES)
    scandir = os.scandir

    def denied(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    report = import_whisper(bench.data_dir, bench.loaded, source, bench.now)
    assert report.files == 1
    assert report.failed == [(str(source / "closed"), "Permission denied")]


def test_an_import_reports_what_it_left_out(tmp_path: Path) -> None:
    """Exit status 1, a line for each file, whatever it is called, and a summary."""
    source = tmp_path / "source"
    source.mkdir()
    whisper.create(str(source / "good.wsp"), ARCHIVES)
    for name in (b"cut.wsp", b"not\xffutf8.wsp", b"esc\x1b[31m.wsp"):
        (Path(os.fsdecode(bytes(source) + b"/" + name))).write_bytes(b"")
    command = [sys.executable, "-m", "inapp_monitor", "import", str(source), "--data-dir"]
    done = subprocess.run(
        [*command, str(tmp_path / "data")], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (1, "1 files, 0 points imported, 3 left out\n")
    lines = done.stderr.splitlines()
    assert len(lines) == 3 and all("Whisper file: 0 bytes" in line for line in lines)
    assert "\x1b" not in done.stderr and "cut.wsp" in done.stderr


def test_two_files_of_one_name(bench: Bench, tmp_path: Path) -> None:
    """The second one is named and left out."""
    source = tmp_path / "source"
    (source / "a").mkdir(parents=True)
    for name in ("a.b.wsp", "a/b.wsp"):
        whisper.create(str(source / name), ARCHIVES)
    report = import_whisper(bench.data_dir, bench.loaded, source, bench.now)
    assert report.files == 1
    assert "a.b is the name of" in report.failed[0][1]
    assert check_directory(bench.data_dir, bench.now).clean


def test_an_import_displaces_no_other_series(tmp_path: Path) -> None:
    """Where the budget is used up, series that are idle keep their past; the file is named."""
    bench = Bench(tmp_path / "data", retention="10s:1h,1m:1d", disk_budget=400_000)
    number = 0
    while not bench.store.status().drops:
        bench.put(f"old.s{number}", 1)
        bench.store.flush()
        number += 1
        assert number < 1_000
    kept = {leaf.path for leaf in bench.open(read_only=True).leaves()}
    bench.wait(86_400)
    source = tmp_path / "new.wsp"
    whisper.create(str(source), [(10, 360), (60, 1440)])
    report = import_whisper(bench.data_dir, bench.loaded, source, bench.now)
    assert report.failed == [(str(source), "no room in the disk budget")]
    assert {leaf.path for leaf in bench.open(read_only=True).leaves()} == kept


def test_names_become_files_below_the_directory() -> None:
    """No name leads out of the export; tagged names go where Graphite looks for them."""
    assert file_name("a.b") == Path("a/b.wsp")
    assert file_name("/etc/passwd") == Path("%2Fetc%2Fpasswd.wsp")
    tagged = file_name("cpu.load;host=a")
    assert tagged.parts[0] == "_tagged"
    assert tagged.name == "cpu_DOT_load;host=a.wsp"


def test_header_round_trip() -> None:
    """What is packed is read back."""
    header = whisper_format.layout(Method.MAX, 0.5, ARCHIVES)
    assert whisper_format.read_header(whisper_format.pack_header(header)) == header


def test_retention_accepts_what_whisper_accepts() -> None:
    """Archive lists are valid for us exactly when whisper would create them."""
    for archives in ([(10, 6), (60, 5)], [(10, 5), (60, 5)], [(10, 60), (15, 60)], [(60, 1)]):
        try:
            whisper.validateArchiveList(list(archives))
            valid = True
        except whisper.InvalidConfiguration:
            valid = False
        try:
            Retention(tuple(Archive(*archive) for archive in archives))
            ours = True
        except ValueError:
            ours = False
        assert ours is valid, archives


def test_export_keeps_the_archive_list(make_bench: Callable[..., Bench]) -> None:
    """Series of different retentions are exported with their own archives."""
    bench = make_bench(retention="1s:1m,10s:1h")
    bench.put("x", 3)
    bench.store.flush()
    target = bench.data_dir.parent / "export"
    export_whisper(bench.store, target, bench.now)
    assert [a["secondsPerPoint"] for a in whisper.info(str(target / "x.wsp"))["archives"]] == [
        1,
        10,
    ]
