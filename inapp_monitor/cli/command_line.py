"""The command line: each command joins parts that do the work, and prints. No logic of its own.

Exit status: 0 done, 2 wrong input (one line on stderr that names it).
"""

from __future__ import annotations

from pathlib import Path

import click

from inapp_monitor import __version__
from inapp_monitor.cli import (
    alerts,
    check,
    clearing,
    dashboards,
    echo,
    errors,
    export,
    logs,
    opening,
    pulling,
    run,
    sdk_keys,
    serving,
    store,
)
from inapp_monitor.cli.group import Group
from inapp_monitor.ground import config as configuration
from inapp_monitor.ground import settings_page
from inapp_monitor.ground.exceptions import MonitorError


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """The monitor that lives inside a WSGI app: look at its data from outside."""


@main.command()
@click.argument("file", type=click.Path(exists=True, path_type=Path))
def info(file: Path) -> None:
    """Print the header of a Whisper FILE (.wsp)."""
    from inapp_monitor.store.whisper_format import read_header

    if not file.is_file():  # a pipe would wait for a writer
        raise MonitorError(f"{file} is no regular file")
    header = read_header(file.read_bytes())
    echo.line(f"aggregation method: {header.method.name.lower()}")
    echo.line(f"xFilesFactor: {header.x_files_factor:g}")
    echo.line(f"max retention: {header.max_retention} s")
    echo.line(f"size: {file.stat().st_size} bytes")
    for number, archive in enumerate(header.archives):
        echo.line(
            f"archive {number}: {archive.step} s a point, {archive.points} points, "
            f"{archive.step * archive.points} s, at byte {archive.offset}"
        )


@main.command()
@click.option("--config", "config_file", default=None, help="A TOML file.")
@click.option("--markdown", is_flag=True, help="As the documentation page.")
def settings(config_file: str | None, markdown: bool) -> None:
    """List every setting: value, source and meaning."""
    if markdown:
        echo.document(settings_page.settings_markdown())
        return
    for row in configuration.rows(configuration.load({}, config_file)):
        echo.line(f"{row.name} = {row.value or '(none)'}  [{row.source}]")
        echo.line(f"    {row.doc}")


_MODULES = (
    *(serving, opening, store, check, export, pulling, errors, alerts),
    *(dashboards, logs, run, sdk_keys, clearing),
)
for module in _MODULES:
    for command in module.COMMANDS:
        main.add_command(command)
