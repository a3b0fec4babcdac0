"""`inapp-monitor logs`: log records of a data directory, as they come with `-f`.

Only arguments and output; which records match is decided by `logs.search`. The app that writes the
directory may run or not.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import click

from inapp_monitor.cli import data_directory, echo
from inapp_monitor.ground import disk_shares
from inapp_monitor.ground.clock import sleep
from inapp_monitor.logs import search
from inapp_monitor.logs.ring_file import LogFile
from inapp_monitor.logs.rows import LEVELS
from inapp_monitor.logs.search import Wanted

_POLL_S = 0.5


@click.command()
@data_directory.ARGUMENT
@click.option("-f", "--follow", is_flag=True, help="Print further ones as they come.")
@click.option("-n", "--lines", default=50, show_default=True, type=click.IntRange(0, 1_000_000))
@click.option("--level", type=click.Choice(list(reversed(LEVELS)), case_sensitive=False))
@click.option("--logger", default="", help="A logger, those below it included.")
@click.option("--route", default="", help="A part of the route.")
@click.option("--text", default="", help="Words in message, fields, place or user.")
@click.option("--request", default="", help="A request's id, its X-Request-Id or its trace.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line.")
def logs(
    data_dir: Path | None,
    follow: bool,
    lines: int,
    level: str | None,
    logger: str,
    route: str,
    text: str,
    request: str,
    as_json: bool,
) -> None:
    """Print the newest log records of DATA_DIR, the oldest of them first.

    DATA_DIR is the app's; default: ./.inapp_monitor, or what INAPP_MONITOR_DATA_DIR says.
    """
    settings = data_directory.settings_of(data_dir)
    file = LogFile(settings.data_dir, disk_shares.of_logs(settings.disk_budget))
    wanted = Wanted(
        level=(level or "").upper(), logger=logger, route=route, text=text, request=request
    )
    show = _show_json if as_json else _show_line
    cursor = _newest(file)
    _print(reversed(list(islice(search.find(file, wanted), lines))), show)
    try:
        while follow:
            sleep(_POLL_S)
            newest = _newest(file)
            _print(reversed(list(search.find(file, wanted, after=cursor))), show)
            cursor = max(cursor, newest)
    except KeyboardInterrupt:
        pass


def _newest(file: LogFile) -> int:
    return next((row.cursor for row in file.rows()), 0)


def _print(rows: Iterable[dict[str, Any]], show: Callable[[dict[str, Any]], None]) -> None:
    for row in rows:
        show(row)
    sys.stdout.flush()


def _show_json(row: dict[str, Any]) -> None:
    echo.document(json.dumps(row, separators=(",", ":")))


def _show_line(row: dict[str, Any]) -> None:
    moment = datetime.fromtimestamp(row["time"]).astimezone()
    about = " ".join(str(row[name]) for name in ("method", "route") if row.get(name))
    fields = " ".join(f"{name}={value}" for name, value in row.get("fields", {}).items())
    parts = (row.get("logger", ""), row["text"], fields, f"[{about}]" if about else "")
    rest = "  ".join(str(part) for part in parts if part)
    echo.line(f"{moment:%Y-%m-%d %H:%M:%S} {row.get('level', ''):8} {rest}")


COMMANDS = [logs]
