"""`inapp-monitor dsn`: keys for SDKs of Sentry. Only arguments and messages."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from inapp_monitor.cli import data_directory, echo
from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.ground.exceptions import MonitorError
from inapp_monitor.ground.utc_text import utc_text
from inapp_monitor.ingest.sentry.dsn import dsn_of
from inapp_monitor.ingest.sentry.keys import DEFAULT_PER_MINUTE, Key, Keys

DEFAULT_URL = "http://localhost:8000/_metrics"


@click.command()
@click.argument("words", nargs=-1, metavar="[DATA_DIR] [PROJECT]")
@click.option("--url", default=DEFAULT_URL, show_default=True, help="Where the dashboard is.")
@click.option("--origin", multiple=True, help="Pages of it may send too, e.g. https://shop.example")
@click.option(
    "--per-minute",
    default=DEFAULT_PER_MINUTE,
    show_default=True,
    help="Requests a minute, of all workers together.",
)
@click.option("--key", default="", help="A key of another installation that goes on here.")
@click.option("--revoke", metavar="KEY", default="", help="Refuse this key from now on.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def dsn(
    words: tuple[str, ...],
    url: str,
    origin: tuple[str, ...],
    per_minute: int,
    key: str,
    revoke: str,
    as_json: bool,
) -> None:
    """Make a key for an SDK of Sentry, and print its DSN; without PROJECT list the keys.

    PROJECT names who sends, such as web or worker. DATA_DIR is the app's; default:
    ./.inapp_monitor, or what INAPP_MONITOR_DATA_DIR says.
    """
    data_dir, (project,) = data_directory.split(words, "")
    keys = Keys(data_directory.settings_of(data_dir).data_dir)
    try:
        if revoke:
            found = keys.revoke(revoke, SYSTEM.wall())
            echo.line(f"revoked {found.key} of {found.project}")
            return
        if not project:
            _list(keys.all(), url, as_json=as_json)
            return
        made = keys.make(project, SYSTEM.wall(), key=key, origins=origin, per_minute=per_minute)
    except OSError as error:
        raise MonitorError(f"{keys.path}: {error.strerror or error}") from None
    if as_json:
        echo.document(json.dumps({**asdict(made), "dsn": dsn_of(url, made)}) + "\n")
    else:
        echo.line(dsn_of(url, made))


def _list(keys: list[Key], url: str, *, as_json: bool) -> None:
    if as_json:
        rows = [{**asdict(key), "dsn": dsn_of(url, key)} for key in keys]
        echo.document(json.dumps({"keys": rows}) + "\n")
        return
    for key in keys:
        state = f"revoked {utc_text(key.revoked)}" if key.revoked else dsn_of(url, key)
        echo.line(f"{key.project}  {key.key}  {state}")
    if not keys:
        echo.line("no key: inapp-monitor dsn PROJECT makes one")


COMMANDS = (dsn,)
