"""The commands that look after stored data: import, convert, plan.

Only arguments, messages and exit codes; what they do is in `store.check` and `store.maintenance`.
The main command turns their errors into one line.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryFile

import click

from inapp_monitor.cli import data_directory, echo
from inapp_monitor.ground import config
from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.ground.config import Settings
from inapp_monitor.ground.guard import Guard
from inapp_monitor.issues.safe_text import clean_text

_DIRECTORY = click.Path(file_okay=False, path_type=Path)
_DATA_DIR = click.option(
    "--data-dir", type=_DIRECTORY, default=None, help="Default: what the settings say."
)
_CONFIG = click.option("--config", "config_file", default=None, help="A TOML file.")


def _settings(data_dir: Path | None, config_file: str | None) -> Settings:
    return config.load({"data_dir": data_dir}, config_file).settings


def check_target(directory: Path) -> None:
    """Make a directory, or say at once that nothing can be written there."""
    directory.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=directory):
        pass


@click.command("import")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--prefix", default="", help="Put in front of each name.")
@_DATA_DIR
@_CONFIG
def import_(source: Path, prefix: str, data_dir: Path | None, config_file: str | None) -> None:
    """Take in a Whisper file, or all below a directory, with their whole past.

    A file that cannot be read is named and left out: exit 1, the others are imported.
    """
    from inapp_monitor.store.maintenance import import_whisper

    settings = _settings(data_dir, config_file)
    report = import_whisper(settings.data_dir, settings, source, SYSTEM.wall(), prefix=prefix)
    failures(report.failed)
    left = f", {len(report.failed)} left out" if report.failed else ""
    echo.line(f"{report.files} files, {report.points} points imported{left}")
    if report.failed:
        raise SystemExit(1)


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would move.")
@_DATA_DIR
@_CONFIG
def convert(dry_run: bool, data_dir: Path | None, config_file: str | None) -> None:
    """Move series to the retention that the settings ask for now."""
    from inapp_monitor.store.maintenance import convert as run

    settings = data_directory.settings_of(data_dir, config_file)
    report = run(settings.data_dir, settings, SYSTEM.wall(), dry_run=dry_run)
    for path, old, new in report.converted:
        echo.line(f"{path}: {old} -> {new}")
    failures(report.failed)
    echo.line(f"{len(report.converted)} series {'would move' if dry_run else 'moved'}")
    if report.failed:
        raise SystemExit(1)


@click.command()
@_DATA_DIR
@_CONFIG
def plan(data_dir: Path | None, config_file: str | None) -> None:
    """Show what each series costs on disk and how many still fit."""
    from inapp_monitor.store.maintenance import plan as run
    from inapp_monitor.store.series import Store

    settings = data_directory.settings_of(data_dir, config_file)
    store = Store(settings.data_dir, settings, SYSTEM, Guard(), read_only=True)
    report = run(store, settings)
    largest, smallest = (size // report.series_bytes for size in report.distribution_bytes)
    echo.line(f"disk budget: {_size(report.disk_budget)}, {_size(report.store_budget)} for series")
    echo.line(f"files: at most {_size(report.taken)}")
    echo.line(f"series: {report.series}, {_size(report.series_bytes)} each at {report.retention}")
    echo.line(
        f"distributions: {report.distributions}, {_size(report.distribution_bytes[0])} each, "
        f"the later ones down to {_size(report.distribution_bytes[1])}, at "
        f"{report.distribution_retention}"
    )
    echo.line(
        f"room for {report.more_series} more series or {report.more_distributions} distributions, "
        f"not for both: a distribution takes as much as {smallest} to {largest} series"
    )


def failures(failed: list[tuple[str, str]]) -> None:
    for name, reason in failed:
        echo.line(clean_text(f"{name}: {reason}"), err=True)


def _size(count: int) -> str:
    if count >= 2**20:
        return f"{count / 2**20:.1f} MB"
    return f"{count / 2**10:.1f} KB"


#: What the main command registers.
COMMANDS: list[click.Command] = [import_, convert, plan]
