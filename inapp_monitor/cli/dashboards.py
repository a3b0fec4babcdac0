"""`inapp-monitor dashboards`: named dashboards as files, out of a data directory and into it.

Only arguments and messages; what may be in a file is in `web.dashboards.format`.
"""

from __future__ import annotations

from pathlib import Path

import click

from inapp_monitor.cli import data_directory, echo
from inapp_monitor.database.file import Database
from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.ground.exceptions import MonitorError
from inapp_monitor.ground.guard import Guard

_ACTIONS = ("list", "export", "import")
_FORMS = ("toml", "json", "graphite")


@click.command()
@click.argument("words", nargs=-1, metavar="[DATA_DIR] [list|export|import] [NAME|FILE]")
@click.option("--format", "form", type=click.Choice(_FORMS), default="toml", show_default=True)
@click.option("--name", default="", help="With import: instead of the file's own name.")
def dashboards(words: tuple[str, ...], form: str, name: str) -> None:
    """List the dashboards of DATA_DIR, print one to keep it as a file, or import a file.

    The files are what `dashboards_dir` and the dashboard's import take as well: TOML, JSON or
    Graphite's dashboard JSON. DATA_DIR is the app's; default: ./.inapp_monitor, or what
    INAPP_MONITOR_DATA_DIR says.
    """
    from inapp_monitor.web.dashboards import format
    from inapp_monitor.web.dashboards.library import DashboardLibrary

    settings, action, what = data_directory.settings_and_action(words, _ACTIONS)
    data_dir = settings.data_dir
    database = Database(data_dir, settings, SYSTEM, Guard(), read_only=action != "import")
    library = DashboardLibrary(database)
    if action == "list":
        for entry in library.names():
            echo.line(f"{entry['name']}  {entry['panels']} charts  {entry['title']}".rstrip())
        return
    if not what:
        raise MonitorError(f"{action} needs the {'NAME' if action == 'export' else 'FILE'}")
    if action == "export":
        document = library.get(what)
        if document is None:
            raise MonitorError(f"no dashboard {what!r} in {data_dir}")
        write = format.WRITERS["graphite.json" if form == "graphite" else form]
        echo.document(write(what, document))
        return
    path = Path(what)
    try:
        found = format.read(path.read_text("utf-8"))
    except (MonitorError, UnicodeDecodeError) as error:
        raise MonitorError(f"{path}: {error}") from None
    name = name or found.name or path.name.partition(".")[0]
    library.put(name, found.document, SYSTEM.wall())
    fault = database.status().fault
    if fault:
        raise MonitorError(f"not done: {fault}")
    echo.line(f"{name}: {len(found.document['panels'])} charts imported")


#: What the main command registers.
COMMANDS: list[click.Command] = [dashboards]
