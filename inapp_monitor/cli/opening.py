"""`inapp-monitor open`: the dashboard of a running app in the browser, logged in."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path

import click

from inapp_monitor.cli import data_directory, echo
from inapp_monitor.ground.exceptions import MonitorError
from inapp_monitor.ground.guard import Guard


@click.command("open")
@data_directory.ARGUMENT
@click.option("--url", help="Where the app answers; default: where it last did.")
@click.option("--print", "only_print", is_flag=True, help="Print the link, open no browser.")
def open_dashboard(data_dir: Path | None, url: str | None, only_print: bool) -> None:
    """Open the dashboard in the browser, logged in.

    DATA_DIR is the app's; default: ./.inapp_monitor, or what INAPP_MONITOR_DATA_DIR says.
    """
    from inapp_monitor.web.access import login_token

    settings = data_directory.settings_of(data_dir)
    try:
        address = login_token.kept_address(settings.data_dir)
    except OSError as error:
        raise MonitorError(f"the address of the dashboard cannot be read: {error}") from None
    if url is not None:
        address = url.rstrip("/") + settings.mount + "/"
    if address is None:
        raise MonitorError(
            f"no app has been served from {settings.data_dir} yet: start it and send it a request, "
            "or give --url http://127.0.0.1:8000"
        )
    token = login_token.obtain(settings, Guard(), may_write=False)
    link = address if token.source == "memory" else f"{address}?token={token.value}"
    echo.line(link)
    if not only_print and sys.stdout.isatty():
        webbrowser.open(link)


COMMANDS = (open_dashboard,)
