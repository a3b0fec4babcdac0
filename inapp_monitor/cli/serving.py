"""The commands that show a data directory without its app: serve, fetch.

Only arguments, messages and the backend over stored files; the dashboard is `web`'s.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inapp_monitor.cli import data_directory, echo
from inapp_monitor.ground import config, disk_shares
from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.ground.exceptions import MonitorError

if TYPE_CHECKING:
    from werkzeug.serving import WSGIRequestHandler

    from inapp_monitor.web.backend import Backend


@click.command()
@data_directory.ARGUMENT
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8900, show_default=True, type=click.IntRange(0, 65535))
@click.option("--token", default=None, help="Opens the dashboard; it is asked for here too.")
def serve(data_dir: Path | None, host: str, port: int, token: str | None) -> None:
    """Serve a data directory's dashboard and render API at / until interrupted.

    From this machine it opens without a token, unless one is given here or by the settings: give
    one before a proxy or a tunnel leads here. The app that writes the directory may run or not;
    Graphite's own files below DATA_DIR/whisper/ are served as well. Posted events and names of
    tagged series are kept in DATA_DIR/monitor.db, which is made with the first of them. Default of
    DATA_DIR: ./.inapp_monitor, or what INAPP_MONITOR_DATA_DIR says.
    """
    from werkzeug.serving import make_server

    from inapp_monitor.web.access.login_token import announce, obtain
    from inapp_monitor.web.app import WebApp

    data_dir = data_directory.settings_of(data_dir).data_dir
    backend = stored_backend(data_dir, token=token, open_here=True)
    with listen(host, port) as listener:
        server = make_server(
            host,
            port,
            WebApp(backend),
            threaded=True,
            request_handler=quiet_handler(),
            fd=listener.fileno(),
        )
    named = f"[{host}]" if ":" in host else host
    address = f"http://{named}:{server.port}/"
    announce(obtain(backend.loaded.settings, backend.guard, may_write=False), address)
    echo.line(f"serving {data_dir} at {address}")
    if backend.database is not None and backend.database.read_only:
        why = f"{data_dir} is no data directory that can be written"
        echo.line(f"{why}: posted events are kept in memory only", err=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        echo.line("stopped")


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="[DATA_DIR] TARGET...")
@click.option("--from", "since", default="-1h", show_default=True, help="Such as -1h, 6pm+today.")
@click.option("--until", default="now", show_default=True)
@click.option("--format", "form", default="json", show_default=True, help="json, csv, raw, ...")
def fetch(words: tuple[str, ...], since: str, until: str, form: str) -> None:
    """Print the series of one or more TARGETs, in any format of the render API.

    DATA_DIR is the app's; default: ./.inapp_monitor, or what INAPP_MONITOR_DATA_DIR says.
    """
    from werkzeug.test import Client

    from inapp_monitor.web.app import WebApp

    given = Path(words[0]) if data_directory.is_directory(words[0]) else None
    targets = list(words if given is None else words[1:])
    if not targets:
        raise MonitorError("no TARGET is given, such as requests.count")
    data_dir = data_directory.settings_of(given).data_dir
    app = WebApp(stored_backend(data_dir, may_write=False), authorizer=_anybody)
    query = {"target": targets, "from": since, "until": until, "format": form}
    answer = Client(app).get("/render", query_string=query)
    if answer.status_code != 200:
        raise MonitorError(answer.get_data(as_text=True).strip())
    sys.stdout.buffer.write(answer.get_data())
    sys.stdout.buffer.flush()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket: werkzeug's own explains a taken port in several lines.

    Raises:
        MonitorError: why not, in one line.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, UnicodeError) as error:
        listener.close()
        why = getattr(error, "strerror", None) or error
        raise MonitorError(f"cannot listen on {host}:{port}: {why}") from None
    return listener


def quiet_handler() -> type[WSGIRequestHandler]:
    """werkzeug's handler without a log line a request: that would show tokens in URLs."""
    from werkzeug.serving import WSGIRequestHandler

    class QuietHandler(WSGIRequestHandler):
        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

    return QuietHandler


def _anybody(environ: dict[str, Any]) -> bool:  # noqa: ARG001
    """Everybody who can run this command can read the files."""
    return True


def stored_backend(
    data_dir: Path, token: str | None = None, *, may_write: bool = True, open_here: bool = False
) -> Backend:
    """What the dashboard needs to show a data directory that another process may be writing.

    Posted events and names of tagged series go into `monitor.db`, which is made with the first of
    them; they are kept in memory where that is no data directory that can be written, or where
    `may_write` is false. Looking at a directory makes no file. With `open_here` it is open to this
    machine, unless a token or `dev_access` is set.
    """
    from inapp_monitor.alerts.incidents import Incidents
    from inapp_monitor.database.file import Database
    from inapp_monitor.ground.facts import Facts
    from inapp_monitor.ground.guard import Guard
    from inapp_monitor.ground.workers.route_names import RouteFacts, RouteNames
    from inapp_monitor.issues.not_found import NotFoundTable
    from inapp_monitor.issues.triage import Triage
    from inapp_monitor.logs.ring_file import LogFile
    from inapp_monitor.query.sources import StoreSource
    from inapp_monitor.request.slowest_file import SlowestFacts, as_rows, stored
    from inapp_monitor.store.series import Store
    from inapp_monitor.traces.profile_table import ProfileTable
    from inapp_monitor.traces.statement_tables import StatementTables
    from inapp_monitor.traces.time_table import TimeTable
    from inapp_monitor.traces.trace_table import TraceTable
    from inapp_monitor.web.backend import Backend

    loaded = config.load({"data_dir": data_dir, "token": token})
    if open_here and not loaded.settings.token and loaded.sources["dev_access"] == "default":
        loaded = config.load({"data_dir": data_dir, "dev_access": True})
    guard = Guard()
    parts = (data_dir, loaded.settings, SYSTEM, guard)
    store = Store(*parts, read_only=True)
    database = Database(*parts, read_only=not (may_write and _keeps_events(data_dir)))
    names = RouteNames(data_dir)
    return Backend(
        loaded=loaded,
        clock=SYSTEM,
        guard=guard,
        source=StoreSource(store),
        store=store,
        triage=Triage(database, SYSTEM),
        not_found=NotFoundTable(loaded.settings, guard, database),
        database=database,
        traces=TraceTable(database),
        profiles=ProfileTable(database),
        statements=StatementTables(database),
        times=TimeTable(database),
        logs=LogFile(data_dir, disk_shares.of_logs(loaded.settings.disk_budget)),
        refresh=database.write_pending,
        live=False,
        incidents=Incidents(database).between,
        facts=lambda: Facts(
            [
                RouteFacts(names.load()),
                SlowestFacts(as_rows(stored(data_dir, SYSTEM.wall()))),
            ]
        ),
    )


def _keeps_events(data_dir: Path) -> bool:
    """Whether SQLite could write the database and its log, or make them in a data directory.

    None is made in the directory of another user, by root neither: the app could not open it; and
    none among files of other programs.
    """
    from inapp_monitor.database.file import FILE_NAME

    file, found = data_dir / FILE_NAME, data_dir.stat()
    if not os.access(data_dir, os.W_OK | os.X_OK):
        return False
    if file.exists():
        return os.access(file, os.R_OK | os.W_OK)
    if found.st_uid != os.geteuid() or found.st_mode & stat.S_IWOTH:
        return False
    names = {path.name for path in data_dir.iterdir()}
    return not names or bool(names & {"store", "whisper"})


#: What the main command registers.
COMMANDS: list[click.Command] = [serve, fetch]
