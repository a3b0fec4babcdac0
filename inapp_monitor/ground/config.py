"""Every setting of the monitor, in one table: name, type, default, limits and documentation.

The table is the `Settings` class: each field carries its parser and its one-line description, and
from it come validation, the command line's listing, the status page and `settings_page`.
Values are taken, first found first, from keywords, a TOML file, `INAPP_MONITOR_*` variables and the
defaults. No I/O but reading that file; nothing here knows what a setting is used for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from inapp_monitor.ground.destination import parse_destinations
from inapp_monitor.ground.editors import parse_editor
from inapp_monitor.ground.exceptions import ConfigError
from inapp_monitor.ground.setting_sources import ENVIRONMENT_PREFIX, from_environment, from_file
from inapp_monitor.ground.setting_values import (
    LOCAL_ZONE,
    parse_bool,
    parse_duration,
    parse_int,
    parse_log_level,
    parse_mount,
    parse_path,
    parse_size,
    parse_switch,
    parse_text,
    parse_texts,
    parse_token,
    parse_url,
    parse_zone,
)

#: Settings that are relative to where the app started: it may change its directory later.
_PATHS = (
    *("data_dir", "dashboards_dir", "alert_rules", "alert_notifiers"),
    *("diamond_collectors", "diamond_config", "source_maps"),
)


def _setting(
    default: Any,
    parse: Callable[[object], Any],
    doc: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    secret: bool = False,
) -> Any:
    metadata = {
        "parse": parse,
        "doc": doc,
        "at_least": at_least,
        "at_most": at_most,
        "secret": secret,
    }
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, parsed and checked. Build one with `load`."""

    # -- what and where
    data_dir: Path = _setting(
        Path(".inapp_monitor"), parse_path, "Directory of all files; made on first need, mode 0700."
    )
    mount: str = _setting("/_metrics", parse_mount, "URL path of the dashboard in the wrapped app.")
    app_name: str = _setting("", parse_text, "Name shown on the dashboard; default: the directory.")
    enabled: bool = _setting(True, parse_bool, "False hands every request straight to the app.")

    # -- access
    token: str | None = _setting(
        None, parse_token, "Opens the dashboard; default: made at first start.", secret=True
    )
    dev_access: bool = _setting(
        False,
        parse_bool,
        "Open without a token on a development server that is asked from its machine; also to those"
        " whom a proxy or tunnel on it lets in that adds no header.",
    )
    read_only: bool = _setting(
        False, parse_bool, "Nobody changes anything on the dashboard: for a shared one."
    )
    allowed_hosts: tuple[str, ...] = _setting(
        (), parse_texts, "Host names the dashboard answers to; empty: any."
    )

    # -- dashboard
    apdex_target_s: float = _setting(
        0.25,
        parse_duration,
        "A request this fast satisfies; up to four times as long is tolerated.",
        at_least=0.001,
    )

    time_zone: str = _setting(
        LOCAL_ZONE,
        parse_zone,
        "Zone of the times shown and of words such as midnight; `local`: the machine's.",
    )

    dashboards_dir: Path | None = _setting(
        None, parse_path, "Directory of dashboards as TOML or JSON files, shown read-only."
    )
    editor: str = _setting(
        "", parse_editor, "Frames of errors link to it: vscode, pycharm, ... or an address."
    )

    # -- recording
    flush_interval_s: float = _setting(
        1.0, parse_duration, "Time between two flushes of a worker.", at_least=0.05, at_most=60
    )
    max_routes: int = _setting(
        500, parse_int, "Route names kept; further ones are counted as (other).", at_least=1
    )
    route_rules: tuple[str, ...] = _setting(
        (), parse_texts, "Names for requests: `expression -> name`, on route or else path."
    )
    max_series: int = _setting(
        5_000, parse_int, "Series that one worker may record under names of its own.", at_least=1
    )
    max_pending: int = _setting(
        200_000, parse_int, "Requests or calls that wait for the next fold.", at_least=1_000
    )
    max_not_found: int = _setting(
        200, parse_int, "404 paths kept, the most frequent ones.", at_least=1, at_most=10_000
    )
    strict: bool = _setting(
        False, parse_bool, "Raise on misuse of incr, timing and the like: for tests."
    )

    # -- traces
    traces: bool = _setting(
        True, parse_bool, "Note what requests spend their time on: statements, calls, templates."
    )
    server_timing: str = _setting(
        "auto",
        parse_switch,
        "Write the header Server-Timing, and keep all traces; auto: on a local development server.",
    )
    profiles: bool = _setting(
        True, parse_bool, "Profile one request a route and minute, for flame graphs; with traces."
    )
    traces_off: tuple[str, ...] = _setting(
        (), parse_texts, "Libraries that are not watched, by the names on the status page."
    )
    trace_hosts: tuple[str, ...] = _setting(
        (), parse_texts, "Hosts that get the request's trace (`traceparent`), as `*.internal`."
    )

    # -- collectors
    collect_process: bool = _setting(
        True, parse_bool, "Sample each worker: CPU, memory, threads, descriptors, GC: `process.*`."
    )
    collect_host: bool = _setting(
        True, parse_bool, "Sample the machine: CPU, load, memory, disk, network: `host.*`."
    )
    collect_interval_s: float = _setting(
        10.0,
        parse_duration,
        "Time between two runs of a collector that does not say itself.",
        at_least=1,
        at_most=3_600,
    )
    collect_installed: bool = _setting(
        True, parse_bool, "Run collectors that installed packages offer as entry points."
    )
    collectors: tuple[str, ...] = _setting(
        (), parse_texts, "Further collectors to run: `module:Class`."
    )
    munin: tuple[str, ...] = _setting(
        (), parse_texts, "Munin-nodes whose plugins are polled: `host` or `host:port`."
    )
    munin_interval_s: float = _setting(
        60.0, parse_duration, "Time between two visits at a munin-node.", at_least=5
    )
    diamond_collectors: Path | None = _setting(
        None, parse_path, "Directory of Diamond's collectors to run, as they are."
    )
    diamond_config: Path | None = _setting(
        None, parse_path, "A diamond.conf: which of them are enabled, and how; without one all are."
    )

    # -- numbers from outside
    listen: tuple[str, ...] = _setting(
        (),
        parse_texts,
        "Addresses at which numbers are received, such as `carbon://127.0.0.1:2003`.",
    )
    ingest_token: str | None = _setting(
        None,
        parse_token,
        "Lets in numbers by HTTP and nothing else; the dashboard's token does so, too.",
        secret=True,
    )
    max_ingested_series: int = _setting(
        1_000, parse_int, "Series that clients may name; further ones are refused.", at_least=1
    )

    # -- errors
    environment: str = _setting(
        "production", parse_text, "Name of this installation, shown with every error."
    )
    release: str = _setting(
        "",
        parse_text,
        "Version of the app; default: the git revision checked out when the app starts.",
    )
    max_issues: int = _setting(
        1_000, parse_int, "Error issues kept; then the ones not seen longest go.", at_least=10
    )
    error_locals: bool = _setting(True, parse_bool, "Keep local variables with errors.")
    error_remote_address: bool = _setting(
        False, parse_bool, "Keep the client's address with errors."
    )
    log_errors: bool = _setting(
        True,
        parse_bool,
        "Log records of level ERROR and above are errors, without a traceback too.",
    )
    log_level: str = _setting(
        "WARNING", parse_log_level, "Least level of the log records kept for the page Logs."
    )
    scrub_names: tuple[str, ...] = _setting(
        (), parse_texts, "Further names whose values are hidden, by substring."
    )
    scrub_patterns: tuple[str, ...] = _setting(
        (), parse_texts, "Further regular expressions of texts that are hidden."
    )
    in_app_include: tuple[str, ...] = _setting(
        (), parse_texts, "Installed modules that count as the app's own code in errors."
    )
    in_app_exclude: tuple[str, ...] = _setting(
        (), parse_texts, "Modules that do not count as the app's own code in errors."
    )

    # -- alerts
    alert_rules: Path | None = _setting(
        None, parse_path, "TOML file of alert rules, or a directory of such files."
    )
    alert_notifiers: Path | None = _setting(
        None, parse_path, "TOML file of those who are notified of alerts."
    )
    alert_programs: bool = _setting(
        False, parse_bool, "Notifiers may start programs (type `exec`)."
    )
    dashboard_url: str = _setting(
        "",
        parse_url,
        "Address of the dashboard in notifications, such as https://example.org/_metrics;"
        " default: as the server knows itself.",
    )
    public_health: bool = _setting(
        False, parse_bool, "`health` answers without a token: 200 or 503, and no more."
    )

    # -- SDKs of Sentry
    sentry_origins: tuple[str, ...] = _setting(
        (), parse_texts, "Other origins whose pages may send errors, as `*.example.com`, or `*`."
    )
    page_traces: bool = _setting(
        False, parse_bool, "Tell pages their trace (`Server-Timing`), so that browser errors link."
    )
    source_maps: Path | None = _setting(
        None, parse_path, "Folder of source maps; the static files of Flask and Django are known."
    )

    # -- what leaves
    forward: tuple[str, ...] = _setting(
        (), parse_destinations, "Where numbers and errors are sent as well.", secret=True
    )

    # -- store
    disk_budget: int = _setting(
        256 * 2**20, parse_size, "Bytes that all files together may take.", at_least=32 * 2**20
    )
    buffer_size: int = _setting(
        16 * 2**20, parse_size, "Bytes of points kept while the disk refuses them.", at_least=2**16
    )
    sync_interval_s: float = _setting(
        10.0, parse_duration, "Time between two fdatasync of a file; 0: at each flush.", at_least=0
    )
    retention: str = _setting(
        "10s:6h,1m:3d,10m:30d,2h:2y",
        parse_text,
        "Archives of a series, finest first: step:length.",
    )
    distribution_retention: str = _setting(
        "10s:1h,1m:1d,10m:14d,2h:1y", parse_text, "Archives of a distribution."
    )
    storage_schemas: Path | None = _setting(
        None, parse_path, "A storage-schemas.conf: retention of new series by name."
    )
    storage_aggregation: Path | None = _setting(
        None, parse_path, "A storage-aggregation.conf: rollup of new series by name."
    )

    # -- queries
    max_targets: int = _setting(
        50, parse_int, "Targets of one render request.", at_least=1, at_most=1_000
    )
    max_target_length: int = _setting(
        16_384, parse_int, "Characters of one target.", at_least=64, at_most=65_536
    )
    max_target_depth: int = _setting(
        20, parse_int, "Levels of nested calls in a target.", at_least=1, at_most=50
    )
    max_query_series: int = _setting(
        1_000, parse_int, "Series that one path of a target may match.", at_least=1
    )
    max_query_points: int = _setting(
        2_000_000, parse_int, "Points that one render request may read or make.", at_least=1_000
    )
    max_query_time_s: float = _setting(
        2.0, parse_duration, "Time that one render request may work.", at_least=0.05, at_most=60
    )
    max_renders: int = _setting(
        2, parse_int, "Render requests worked on at once in a process.", at_least=1, at_most=64
    )
    render_cache_size: int = _setting(
        4 * 2**20,
        parse_size,
        "Memory for answers about periods that are over; 0 keeps none.",
        at_least=0,
    )


class Loaded(NamedTuple):
    """Settings, and where each came from: `keyword`, `file`, `environment` or `default`."""

    settings: Settings
    sources: dict[str, str]


class Row(NamedTuple):
    """One setting for people: what the documentation, the CLI and the status page show."""

    name: str
    value: str
    default: str
    source: str
    doc: str


def load(
    keywords: Mapping[str, object] | None = None,
    config_file: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """Put the settings together.

    Args:
        keywords: Highest priority; None values count as not given.
        config_file: A TOML file: settings at its top level or in an `[inapp_monitor]` table;
            default: what `INAPP_MONITOR_CONFIG` names.
        environ: The environment; default `os.environ`. Unknown `INAPP_MONITOR_*` names raise.

    Raises:
        ConfigError: an unknown name (with the nearest match), a bad value, an unreadable file.
    """
    environ = os.environ if environ is None else environ
    if config_file is None:
        config_file = environ.get(f"{ENVIRONMENT_PREFIX}CONFIG")
    table = {entry.name: entry for entry in fields(Settings)}
    values: dict[str, Any] = {}
    sources = dict.fromkeys(table, "default")
    for source, given in (
        ("environment", from_environment(environ)),
        ("file", from_file(config_file)),
        ("keyword", {k: v for k, v in (keywords or {}).items() if v is not None}),
    ):
        for name, value in given.items():
            if name not in table:
                raise ConfigError(_unknown(name, table, source))
            values[name] = _parse(table[name], value, source)
            sources[name] = source
    settings = Settings(**values)
    absolute: dict[str, Any] = {
        name: _absolute(name, path)
        for name in _PATHS
        if (path := getattr(settings, name)) is not None
    }
    return Loaded(replace(settings, **absolute), sources)


def _absolute(name: str, path: Path) -> Path:
    try:
        return path.absolute()
    except OSError as error:
        why = f"the working directory is gone ({error}): give an absolute path"
        raise ConfigError(f"{name} = {str(path)!r}: {why}") from None


def rows(loaded: Loaded) -> list[Row]:
    """The whole table for people, secrets hidden."""
    result = []
    for entry in fields(Settings):
        value = getattr(loaded.settings, entry.name)
        shown = "(hidden)" if entry.metadata["secret"] and value else show(value)
        default = "" if entry.default is MISSING else show(entry.default)
        source = loaded.sources[entry.name]
        result.append(Row(entry.name, shown, default, source, entry.metadata["doc"]))
    return result


def show_limit(entry: Field[Any], limit: float) -> str:
    """A limit as one would write it: sizes of whole megabytes as such."""
    if entry.metadata["parse"] is parse_size and limit % 2**20 == 0:
        return f"{int(limit) // 2**20}MB"
    return show(limit)


def show(value: object) -> str:
    """A setting's value as text; nothing (None, empty) is an empty string."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _parse(entry: Field[Any], value: object, source: str) -> Any:
    where = f"setting {entry.name!r} (from {source})"
    try:
        parsed = entry.metadata["parse"](value)
    except ValueError as error:
        got = "" if entry.metadata["secret"] else f", got {value!r}"
        raise ConfigError(f"{where} must be {error}{got}") from None
    at_least, at_most = entry.metadata["at_least"], entry.metadata["at_most"]
    if at_least is not None and parsed < at_least:
        raise ConfigError(f"{where} must be at least {show_limit(entry, at_least)}, got {value!r}")
    if at_most is not None and parsed > at_most:
        raise ConfigError(f"{where} must be at most {show_limit(entry, at_most)}, got {value!r}")
    return parsed


def _unknown(name: str, table: Mapping[str, object], source: str) -> str:
    import difflib  # rarely needed, and not cheap to load

    nearest = difflib.get_close_matches(name, table, 1, 0.5)
    hint = f", did you mean {nearest[0]!r}?" if nearest else ""
    return f"unknown setting {name!r} (from {source}){hint}"
