"""What operators do: check and repair, convert, and the commands for them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from inapp_monitor.cli import check, export, store
from inapp_monitor.cli.command_line import main
from inapp_monitor.ground import config
from inapp_monitor.ground.points import Method
from inapp_monitor.store import maintenance
from inapp_monitor.store.check import check_directory
from inapp_monitor.store.maintenance import convert
from tests.store.conftest import START, Bench

GROUPS = (store, check, export)
COMMANDS = {command.name: command for module in GROUPS for command in module.COMMANDS}


def live(bench: Bench, rounds: int = 100) -> None:
    """Counts, averages, extremes and times, every ten seconds."""
    for number in range(rounds):
        bench.put("a.hits", 1)
        bench.put("a.avg", number, method=Method.AVERAGE)
        bench.put("a.max", number, method=Method.MAX)
        bench.observe("a.time", [1.0 + number])
        bench.store.flush()
        bench.wait(10)


def path_of(bench: Bench, kind: str) -> Path:
    return next((bench.data_dir / "store").glob(f"{kind}-*[0-9]"))


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as handle:
        handle.seek(offset)
        handle.write(data)


def test_a_sound_store_is_clean(bench: Bench) -> None:
    """A store in use has no problem, and its rows are counted."""
    live(bench)
    report = check_directory(bench.data_dir, bench.now)
    assert report.clean
    assert report.files == 2
    assert report.rows > 200


def damage_row(bench: Bench) -> None:
    group = bench.group_of("a.hits")
    overwrite(path_of(bench, "group"), group.offset(0, START + 100) + 30, b"\xff\x00\xff")


def damage_slot(bench: Bench) -> None:
    distribution = bench.distribution("a.time")
    overwrite(path_of(bench, "dist"), distribution.offset(0, START + 100) + 30, b"\xff\x00\xff")


def damage_rollup(bench: Bench) -> None:
    group = bench.group_of("a.hits")
    row = group.load(1, START + 120)
    assert row is not None
    row[2] += 5
    group.write_row(1, START + 120, row)


def damage_state(bench: Bench) -> None:
    overwrite(path_of(bench, "group"), 4096 + 20, b"\xff\xff\xff")


def damage_table(bench: Bench) -> None:
    overwrite(path_of(bench, "group"), 8192 + 100, b"\xff")


def damage_header(bench: Bench) -> None:
    overwrite(path_of(bench, "dist"), 9, b"\xff")


def damage_size(bench: Bench) -> None:
    path = path_of(bench, "group")
    os.truncate(path, path.stat().st_size - 5_000)


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (damage_row, "row"),
        (damage_slot, "row"),
        (damage_rollup, "rollup"),
        (damage_state, "state"),
        (damage_table, "table"),
        (damage_header, "header"),
        (damage_size, "size"),
    ],
)
def test_damage_is_found_and_mended(
    bench: Bench, damage: Callable[[Bench], None], kind: str
) -> None:
    """Each kind of damage is reported as such; after a repair the store is clean and usable."""
    live(bench)
    damage(bench)
    assert kind in {problem.kind for problem in check_directory(bench.data_dir, bench.now).problems}
    report = check_directory(bench.data_dir, bench.now, repair=True)
    assert all(problem.repaired for problem in report.problems)
    assert check_directory(bench.data_dir, bench.now).clean
    if kind == "rollup":
        assert bench.get("a.hits", back=86_400)[START + 120] == 6
    bench.store.close()
    bench.store = bench.open()
    live(bench, 3)
    assert bench.store.status().fault == ""
    assert check_directory(bench.data_dir, bench.now).clean


def test_convert_moves_series_with_their_past(bench: Bench) -> None:
    """Series whose schema changed are moved; sums, averages and extremes stay what they were."""
    live(bench, 300)
    before = {name: bench.get(name, back=86_400) for name in ("a.hits", "a.avg", "a.max")}
    bench.settings["retention"] = "30s:12h,1m:3d,1h:1y"
    settings = config.load(bench.settings, environ={}).settings
    assert len(convert(bench.data_dir, settings, bench.now, dry_run=True).converted) == 3
    report = convert(bench.data_dir, settings, bench.now)
    assert [path for path, _, _ in report.converted] == ["a.avg", "a.hits", "a.max"]
    assert report.failed == []
    assert check_directory(bench.data_dir, bench.now).clean
    store = bench.open()
    assert str(store.retention_of("a.hits")[0]) == "30s:12h,1m:3d,1h:365d"  # type: ignore[index]
    for name, values in before.items():
        assert bench.get(name, back=86_400, store=store) == values
    assert bench.get("a.hits", store=store)[START + 30] == 3
    # A process that has not looked meanwhile goes on in the new place.
    bench.put("a.hits", 100)
    bench.store.flush()
    assert bench.get("a.hits", store=store)[int(bench.now)] == 100
    assert convert(bench.data_dir, settings, bench.now).converted == []


def test_processes_write_while_series_are_moved(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two steps, to series that have moved and to those that have not: nothing is lost."""
    monkeypatch.setattr(maintenance, "MOVED_AT_ONCE", 1)
    live(bench, 30)
    before = sum(bench.get("a.hits", back=86_400).values())
    bench.settings["retention"] = "30s:12h,1m:3d,1h:1y"
    flushes = []

    def between() -> None:
        bench.put("a.hits", 1)
        bench.put("a.max", 1_000 + len(flushes), method=Method.MAX)
        bench.store.flush()
        flushes.append(bench.store.flushes)

    report = convert(bench.data_dir, bench.loaded, bench.now, between=between)
    assert [path for path, _, _ in report.converted] == ["a.avg", "a.hits", "a.max"]
    assert sorted(set(flushes)) == flushes
    store = bench.open()
    assert sum(bench.get("a.hits", back=86_400, store=store).values()) == before + 3
    assert max(bench.get("a.max", back=86_400, store=store).values()) == 1_002
    assert check_directory(bench.data_dir, bench.now).clean


def run(name: str, *arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(COMMANDS[name], [str(argument) for argument in arguments])
    return done.exit_code, done.output


def test_check_command(bench: Bench) -> None:
    """Exit 0 only when clean; `--repair` makes it so."""
    live(bench, 10)
    code, output = run("check", bench.data_dir)
    assert (code, output.splitlines()[-1].split(", ")[-1]) == (0, "0 problems")
    damage_row(bench)
    code, output = run("check", bench.data_dir)
    assert code == 1
    assert "checksum does not match" in output
    assert run("check", bench.data_dir, "--repair")[0] == 0
    assert run("check", bench.data_dir)[0] == 0


def test_export_and_import_commands(tmp_path: Path) -> None:
    """What one store exports another one imports."""
    whisper = pytest.importorskip("whisper")
    bench = Bench(tmp_path / "data")
    bench.now = __import__("time").time() - 3_000
    live(bench)
    target = tmp_path / "export"
    code, output = run("export", "--whisper", target, "--data-dir", bench.data_dir)
    assert code == 0, output
    assert whisper.info(str(target / "a" / "hits.wsp"))["aggregationMethod"] == "sum"
    second = tmp_path / "second"
    code, output = run("import", target, "--prefix", "old", "--data-dir", second)
    assert code == 0, output
    other = Bench(second)
    other.now = bench.now
    assert other.get("old.a.hits") == bench.get("a.hits")
    assert other.get("old.a.avg") == bench.get("a.avg")


def test_convert_command(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run only tells."""
    live(bench, 5)
    monkeypatch.setenv("INAPP_MONITOR_RETENTION", "1m:1d")
    for dry in (["--dry-run"], []):
        code, output = run("convert", "--data-dir", bench.data_dir, *dry)
        assert code == 0, output
        assert "3 series" in output
    assert "0 series moved" in run("convert", "--data-dir", bench.data_dir)[1]


def test_plan_command(bench: Bench) -> None:
    """It names the cost of a series and how many fit."""
    live(bench, 2)
    code, output = run("plan", "--data-dir", bench.data_dir)
    assert code == 0
    assert "room for" in output


@pytest.mark.parametrize("command", ["export --whisper out", "plan", "convert"])
def test_a_directory_that_does_not_exist_is_refused(tmp_path: Path, command: str) -> None:
    """One line, exit status 2, and nothing is made."""
    missing = tmp_path / "nosuch"
    name, *options = command.replace("out", str(tmp_path / "out")).split()
    done = CliRunner().invoke(main, [name, *options, "--data-dir", str(missing)])
    assert done.exit_code == 2
    why = f"no directory {str(missing)!r}: give the data directory of the app"
    assert done.output == f"inapp-monitor: {why}\n"
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_cannot_be_written_says_so_once(bench: Bench, tmp_path: Path) -> None:
    """Not once a series."""
    live(bench, 5)
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "out"
    arguments = ["export", "--whisper", str(target), "--data-dir", str(bench.data_dir)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert len(done.output.splitlines()) == 1
    assert str(target) in done.output


def test_a_pipe_is_not_waited_for(bench: Bench, tmp_path: Path) -> None:
    """A pipe where a file should be is reported, by whatever command meets it."""
    live(bench, 5)
    (bench.data_dir / "whisper").mkdir()
    os.mkfifo(bench.data_dir / "whisper" / "pipe.wsp")
    os.mkfifo(bench.data_dir / "store" / "group-000009")
    code, output = run("check", bench.data_dir)
    assert code == 1
    assert "whisper/pipe.wsp: whisper: not a regular file" in output
    assert "store/group-000009: header" in output
    assert run("plan", "--data-dir", bench.data_dir)[0] == 0
    code, output = run(
        "import", bench.data_dir / "whisper" / "pipe.wsp", "--data-dir", bench.data_dir
    )
    assert code == 1
    assert "pipe.wsp: not a regular file" in output
    assert "pipe" not in {leaf.path for leaf in bench.open(read_only=True).leaves()}
    assert bench.get("pipe") == {}
    bench.put("a.hits", 1)
    bench.store.flush()
    assert not (bench.data_dir / "store" / "group-000009").exists()
    assert bench.store.status().buffered == 0
