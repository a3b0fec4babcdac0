"""The command that takes over the series of another installation: pull.

Only arguments and messages; what it does is in `export.pulling`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import click

from inapp_monitor.cli import data_directory, echo
from inapp_monitor.ground.clock import SYSTEM, sleep
from inapp_monitor.ground.destination import parse_url
from inapp_monitor.ground.exceptions import ConfigError
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.names import check_path, refuse_reserved


@click.command()
@click.argument("url")
@click.option("--prefix", required=True, help="First nodes of the names here, such as web2.")
@click.option("--token", default=None, help="Of the other dashboard; others can see it in ps.")
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help="A file that holds it.",
)
@click.option(
    "--every", type=click.IntRange(1, 86_400), default=None, help="Seconds: go on until Ctrl-C."
)
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), default=None)
@click.option("--config", "config_file", default=None, help="A TOML file.")
def pull(
    url: str,
    prefix: str,
    token: str | None,
    token_file: Path | None,
    every: int | None,
    data_dir: Path | None,
    config_file: str | None,
) -> None:
    """Take over the series of the installation whose dashboard is at URL, below a prefix.

    Each closed interval comes once, timers as they are; what is older than six hours does not come.
    """
    from inapp_monitor.export import pulling
    from inapp_monitor.export.running_totals import DIRECTORY
    from inapp_monitor.store.series import Store

    if (token is None) == (token_file is None):
        raise click.UsageError("give --token or --token-file")
    if token_file is not None:
        token = token_file.read_text("utf-8").strip()
    try:
        destination = parse_url(url)
        refuse_reserved(check_path(prefix))
    except ValueError as error:
        raise ConfigError(str(error)) from None
    settings = data_directory.settings_of(data_dir, config_file)
    store = Store(settings.data_dir, settings, SYSTEM, Guard())
    name = hashlib.sha256(f"{destination.address} {prefix}".encode()).hexdigest()[:12]
    path = settings.data_dir / DIRECTORY / f"pull_{name}"
    arguments = (destination, token or "", prefix, store, path, SYSTEM.wall)
    try:
        while True:
            found = pulling.pull(*arguments)
            also = f", {found.refused} with too long a name left out" if found.refused else ""
            echo.line(f"{found.points} points{also}")
            if every is None:
                break
            sleep(every)
    except KeyboardInterrupt:
        echo.line("stopped")
    finally:
        store.close()


#: What the main command registers.
COMMANDS: list[click.Command] = [pull]
