"""`inapp-monitor clear`: everything that was recorded is forgotten. Question and messages only."""

from __future__ import annotations

from pathlib import Path

import click

from inapp_monitor.cli import data_directory, echo
from inapp_monitor.database.file import Database
from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.ground.exceptions import MonitorError
from inapp_monitor.ground.guard import Guard


@click.command()
@data_directory.ARGUMENT
@click.option("--yes", is_flag=True, help="Do not ask.")
def clear(data_dir: Path | None, yes: bool) -> None:
    """Delete all recorded data of DATA_DIR: series, issues, traces, logs, events.

    Token, settings, dashboards, keys, alert rules and Whisper files stay. The app may run or not.
    Default of DATA_DIR: ./.inapp_monitor, or what INAPP_MONITOR_DATA_DIR says.
    """
    from inapp_monitor.web import clearing

    settings = data_directory.settings_of(data_dir)
    where = settings.data_dir
    if not any((where / name).exists() for name in ("store", "monitor.db", "logs")):
        raise MonitorError(f"{where} holds no recorded data")
    if not yes:
        click.confirm(f"Delete all data recorded in {where}?", abort=True)
    database = Database(where, settings, SYSTEM, Guard())
    try:
        cleared = clearing.clear(database, where, settings, SYSTEM.wall())
    except OSError as error:
        raise MonitorError(f"not everything was cleared, try again: {error}") from None
    finally:
        database.close()
    echo.line(f"cleared: {cleared.series} series, {cleared.issues} issues")


COMMANDS = (clear,)
