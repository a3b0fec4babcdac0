"""The past to other engines, for `inapp-monitor export`: its options, what they call, the bar.

Only arguments and messages; what is done is in `export`.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from inapp_monitor.cli import echo
from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.ground.config import Settings
from inapp_monitor.ground.destination import Destination, parse, parse_url
from inapp_monitor.ground.exceptions import ConfigError
from inapp_monitor.ground.guard import Guard

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

    from inapp_monitor.export.handing_over import Receiver
    from inapp_monitor.query.series import Series
    from inapp_monitor.store.series import Store


class Asked(NamedTuple):
    """What the options say besides the target.

    Attributes:
        restart: Whether an earlier attempt is forgotten.
        targets, since, until: Of tables.
        credentials_file: What an engine asks for: a line `USER:PASSWORD`, or a token.
    """

    restart: bool
    targets: tuple[str, ...]
    since: str
    until: str
    credentials_file: Path | None = None


_MAX_CREDENTIALS = 4_096
_FILE = click.Path(dir_okay=False, path_type=Path)


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of engines; it gets their values as keywords."""
    command = click.argument("targets", nargs=-1, metavar="[TARGET...]")(command)
    for name, text, usual in (("until", "now", "now"), ("since", "-24h", "-24h")):
        flag = "--from" if name == "since" else "--until"
        about = f"Of --csv and --parquet: such as {text}."
        command = click.option(flag, name, default=usual, show_default=True, help=about)(command)
    for name, kind, text in (
        ("--sqlite", _FILE, "A file: a tidy database of series, issues, events and 404s."),
        ("--parquet", _FILE, "A file: the series of some TARGETs (default: all), a row a point."),
        ("--csv", _FILE, "The same as text."),
        ("--victoriametrics", str, "A URL: the past to VictoriaMetrics."),
        ("--remote-write", str, "A URL, such as http://HOST/api/v1/write: the past to Mimir."),
        ("--openmetrics", _FILE, "A file: the past for promtool's create-blocks-from openmetrics."),
        ("--carbon", str, "HOST:PORT, or an address as of `forward`: the past to Carbon."),
    ):
        command = click.option(name, type=kind, default=None, help=text)(command)
    command = click.option(
        "--credentials-file",
        type=_FILE,
        default=None,
        help="Of --remote-write and --victoriametrics: has a line USER:PASSWORD, or a token.",
    )(command)
    return click.option(
        "--restart", is_flag=True, help="Forget how far an interrupted attempt has come."
    )(command)


def run(settings: Settings, engine: str, target: str | Path, asked: Asked) -> None:
    """Hand over the past to an engine, by the name of its option.

    Raises:
        UsageError: targets are given to one that takes none.
    """
    if asked.targets and engine not in ("csv", "parquet"):
        raise click.UsageError(f"--{engine} hands over everything: no TARGET, please")
    _ENGINES[engine](settings, target, asked)


def _store(settings: Settings) -> Store:
    from inapp_monitor.store.series import Store

    return Store(settings.data_dir, settings, SYSTEM, Guard(), read_only=True)


def _to_carbon(settings: Settings, address: str, asked: Asked) -> None:
    from inapp_monitor.export.past_to_carbon import CarbonPast

    destination = _destination("--carbon", address if "://" in address else f"carbon://{address}")
    if destination.kind != "carbon":
        raise ConfigError(f"--carbon: expected HOST:PORT, got {destination.label}")
    _hand_over(settings, CarbonPast(destination), destination.node, restart=asked.restart)


def _to_openmetrics(settings: Settings, target: Path, asked: Asked) -> None:
    from inapp_monitor.export.past_to_prometheus import OpenMetricsFile
    from inapp_monitor.ground.workers.route_names import RouteNames

    digest = hashlib.sha256(str(target.resolve()).encode()).hexdigest()[:12]
    receiver = OpenMetricsFile(target, RouteNames(settings.data_dir).load())
    _hand_over(settings, receiver, f"openmetrics_{digest}", restart=asked.restart, counts_on=True)


def _to_victoriametrics(settings: Settings, address: str, asked: Asked) -> None:
    from inapp_monitor.export.past_to_prometheus import VictoriaMetricsImport

    _post_to(settings, "victoriametrics", VictoriaMetricsImport, address, asked)


def _to_remote_write(settings: Settings, address: str, asked: Asked) -> None:
    from inapp_monitor.export.past_to_prometheus import RemoteWrite

    _post_to(settings, "remote_write", RemoteWrite, address, asked)


def _post_to(
    settings: Settings,
    engine: str,
    receiver: Callable[[Destination, Mapping[str, str]], Receiver],
    address: str,
    asked: Asked,
) -> None:
    from inapp_monitor.ground.workers.route_names import RouteNames

    try:
        destination = parse_url(address)
    except ValueError as error:
        raise ConfigError(f"--{engine.replace('_', '-')}: {error}") from None
    if asked.credentials_file is not None:
        destination = _with_credentials(destination, asked.credentials_file)
    to = receiver(destination, RouteNames(settings.data_dir).load())
    state = f"{engine}_{destination.node}"
    _hand_over(settings, to, state, restart=asked.restart, counts_on=True)


def _with_credentials(destination: Destination, path: Path) -> Destination:
    with path.open("rb") as file:
        text = file.read(_MAX_CREDENTIALS).decode("utf-8", "replace").strip()
    if not text or not text.isprintable():
        raise ConfigError(f"--credentials-file {path}: expected a line USER:PASSWORD or a token")
    user, colon, password = text.partition(":")
    if colon:
        return replace(destination, user=user, password=password)
    return replace(destination, options={**destination.options, "bearer": text})


def _destination(option: str, address: str) -> Destination:
    try:
        return parse(address)
    except ValueError as error:
        raise ConfigError(f"{option}: {error}") from None


def _hand_over(
    settings: Settings, receiver: Receiver, name: str, *, restart: bool, counts_on: bool = False
) -> None:
    from inapp_monitor.export.handing_over import hand_over
    from inapp_monitor.export.running_totals import DIRECTORY as EXPORT_DIRECTORY
    from inapp_monitor.export.running_totals import RunningTotals

    store = _store(settings)
    path = settings.data_dir / EXPORT_DIRECTORY / f"past_{name}"
    if restart:
        path.unlink(missing_ok=True)
    with _progress() as progress:
        try:
            state = hand_over(store, receiver, path, int(SYSTEM.wall()), progress)
        except KeyboardInterrupt:
            echo.line("stopped; the same command goes on from here", err=True)
            raise SystemExit(130) from None
    echo.line(f"{len(state.done)} series, {state.points} points handed over")
    if counts_on:
        # The counters that are scraped go on from where the past ends.
        RunningTotals(store, settings.data_dir, SYSTEM.perf).begin_with(state.totals)


@contextmanager
def _progress() -> Iterator[_Progress]:
    progress = _Progress()
    try:
        yield progress
    finally:
        progress.close()


class _Progress:
    """A bar on the terminal, once it is known how much there is to do."""

    def __init__(self) -> None:
        self._bar: ProgressBar[int] | None = None
        self._done = 0

    def __call__(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = click.progressbar(
                length=total, label="series", file=sys.stderr, show_pos=True
            )
            self._bar.render_progress()
        if self._bar is not None:
            self._bar.update(done - self._done)
        self._done = done

    def close(self) -> None:
        """End its line."""
        if self._bar is not None:
            self._bar.render_finish()


def _to_sqlite(settings: Settings, target: Path, asked: Asked) -> None:  # noqa: ARG001
    from inapp_monitor.database.file import Database
    from inapp_monitor.export import tidy_database

    database = Database(settings.data_dir, settings, SYSTEM, Guard(), read_only=True)
    with _progress() as progress:
        now = int(SYSTEM.wall())
        points = tidy_database.write(target, _store(settings), database, now, progress)
    database.close()
    echo.line(f"{points} points written")


def _to_csv(settings: Settings, target: Path, asked: Asked) -> None:
    from inapp_monitor.export.table_files import write_csv

    echo.line(f"{write_csv(target, _found(settings, asked))} points written")


def _to_parquet(settings: Settings, target: Path, asked: Asked) -> None:
    from inapp_monitor.export.table_files import write_parquet

    echo.line(f"{write_parquet(target, _found(settings, asked))} points written")


def _found(settings: Settings, asked: Asked) -> Iterator[Series]:
    from zoneinfo import ZoneInfo

    from inapp_monitor.export.table_files import evaluated, targets_of
    from inapp_monitor.query.sources import StoreSource
    from inapp_monitor.query.timespec import parse_time

    store, now, tz = _store(settings), int(SYSTEM.wall()), ZoneInfo("UTC")
    start, end = (parse_time(text, now, tz) for text in (asked.since, asked.until))
    targets = asked.targets or targets_of(store.leaves())
    return evaluated(StoreSource(store), targets, start, end, now)


_ENGINES: dict[str, Callable[..., None]] = {
    "csv": _to_csv,
    "parquet": _to_parquet,
    "sqlite": _to_sqlite,
    "carbon": _to_carbon,
    "openmetrics": _to_openmetrics,
    "victoriametrics": _to_victoriametrics,
    "remote_write": _to_remote_write,
}
