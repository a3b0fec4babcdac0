"""`inapp-monitor export`: Whisper files, the past for other engines, objects for Nagios, rules.

Only arguments and messages; what is written is decided in `store.maintenance` and `alerts`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inapp_monitor.cli import data_directory, echo, handing_over
from inapp_monitor.cli.store import check_target, failures
from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.ground.config import Settings
from inapp_monitor.ground.exceptions import MonitorError
from inapp_monitor.ground.guard import Guard

if TYPE_CHECKING:
    from inapp_monitor.alerts.rule import Rule
    from inapp_monitor.export.metric_names import Metric

_DIRECTORY = click.Path(file_okay=False, path_type=Path)
#: What a command in Nagios's configuration may hold: no macro, no comment, no second line.
_COMMAND = re.compile(r"[ -~]{1,500}", re.ASCII)


@click.command()
@click.option(
    "--whisper", type=_DIRECTORY, default=None, help="Every series as a Whisper file here."
)
@click.option("--nagios", is_flag=True, help="Print objects for Nagios: a service a rule.")
@click.option("--prometheus-rules", is_flag=True, help="Print the rules for Prometheus.")
@handing_over.options
@click.option("--host", default="localhost", show_default=True, help="Of --nagios.")
@click.option(
    "--command", default="inapp-monitor check", show_default=True, help="Of --nagios: the plugin."
)
@click.option("--passive", is_flag=True, help="Of --nagios: results come by its command file.")
@click.option("--prefix", default="", help="Of --nagios: put before the names of services.")
@click.option("--use", "template", default="", help="Of --nagios: a service template.")
@click.option("--data-dir", type=_DIRECTORY, default=None, help="Default: what the settings say.")
@click.option("--config", "config_file", default=None, help="A TOML file.")
def export(
    whisper: Path | None,
    nagios: bool,
    prometheus_rules: bool,
    host: str,
    command: str,
    passive: bool,
    prefix: str,
    template: str,
    data_dir: Path | None,
    config_file: str | None,
    restart: bool,
    targets: tuple[str, ...],
    since: str,
    until: str,
    credentials_file: Path | None,
    **engines: str | Path | None,
) -> None:
    """Hand over what is stored, or write what other tools read; give one of the first options.

    What is interrupted on its way to an engine goes on when the same command is given again.
    """
    chosen = {name: target for name, target in engines.items() if target is not None}
    if sum((whisper is not None, nagios, prometheus_rules)) + len(chosen) != 1:
        options = [name.replace("_", "-") for name in ("whisper", *sorted(engines))]
        names = ", ".join(f"--{name}" for name in options)
        raise click.UsageError(f"give one of {names}, --nagios and --prometheus-rules")
    settings = data_directory.settings_of(data_dir, config_file)
    for name, target in chosen.items():
        asked = handing_over.Asked(restart, targets, since, until, credentials_file)
        handing_over.run(settings, name, target, asked)
        return
    if whisper is not None:
        _whisper(settings, whisper)
    elif nagios:
        _nagios(settings, host, command, passive, prefix, template)
    else:
        _prometheus(settings)


def _whisper(settings: Settings, target: Path) -> None:
    from inapp_monitor.store.maintenance import export_whisper
    from inapp_monitor.store.series import Store

    check_target(target)
    store = Store(settings.data_dir, settings, SYSTEM, Guard(), read_only=True)
    report = export_whisper(store, target, SYSTEM.wall())
    failures(report.failed)
    echo.line(f"{report.files} files, {report.points} points written")
    if report.beyond_whisper:
        echo.line(
            f"{report.beyond_whisper} points left out: Whisper's times end in February 2106",
            err=True,
        )
    if report.failed:
        raise SystemExit(1)


def _nagios(
    settings: Settings, host: str, command: str, passive: bool, prefix: str, template: str
) -> None:
    from inapp_monitor.alerts import nagios_config

    for name, text in (("--host", host), ("--use", template), ("--prefix", prefix)):
        if text and not re.fullmatch(r"[\w .:/@-]{1,100}", text):
            raise MonitorError(f"{name} must be letters, digits and `.:/@_- `, got {text!r}")
    if not _COMMAND.fullmatch(command) or ";" in command:
        raise MonitorError(f"--command must be one line without `;`, got {command!r}")
    rules = _rules(settings)
    echo.document(
        nagios_config.objects(
            rules, host, command, passive=passive, prefix=prefix, template=template
        )
    )


def _prometheus(settings: Settings) -> None:
    from inapp_monitor.alerts import prometheus_rules

    echo.document(prometheus_rules.document(_rules(settings), _metrics(settings)))


def _rules(settings: Settings) -> list[Rule]:
    from inapp_monitor.alerts import published_rules, rule_files

    try:
        rules, _ = published_rules.read(settings.data_dir)
    except (ValueError, TypeError, KeyError) as error:
        raise MonitorError(f"{published_rules.FILE_NAME} is damaged: {error}") from None
    if not rules and settings.alert_rules is not None:
        rules = {rule.name: rule for rule in rule_files.read(settings.alert_rules)}
    if not rules:
        raise MonitorError("no rules: the app has not run yet, and alert_rules names no file")
    return [rules[name] for name in sorted(rules)]


#: Counters that a healthy app does not have yet: Prometheus finds nothing of them until then.
_COUNTED = ("requests.errors", "requests.not_found", *(f"requests.status.{n}xx" for n in (4, 5)))


def _metrics(settings: Settings) -> Callable[[str], Sequence[Metric]]:
    """The metrics of the series that a path selects, as `/_metrics/prometheus` names them."""
    from inapp_monitor.export.metric_names import metrics_of
    from inapp_monitor.ground.points import Method
    from inapp_monitor.ground.ranges import Leaf
    from inapp_monitor.ground.workers.route_names import RouteNames
    from inapp_monitor.query import globs
    from inapp_monitor.store.series import Store

    store = Store(settings.data_dir, settings, SYSTEM, Guard(), read_only=True)
    stored = store.leaves()
    paths = {leaf.path for leaf in stored}
    never = [Leaf(path, "scalar", Method.SUM) for path in _COUNTED if path not in paths]
    if "requests.time" not in paths:
        never.append(Leaf("requests.time", "distribution", Method.SUM))
    known = metrics_of([*stored, *never], RouteNames(settings.data_dir).load())
    tree = globs.Tree()
    tree.add(known)

    def metrics(pattern: str) -> list[Metric]:
        return [known[path] for path, node in tree.find(pattern) if node.is_leaf]

    return metrics


#: What the main command registers.
COMMANDS: list[click.Command] = [export]
