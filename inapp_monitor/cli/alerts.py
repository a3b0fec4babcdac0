"""`inapp-monitor alerts`: rules and states of a data directory, and what to do with them.

Only arguments and messages. The app that writes the directory carries out what is asked for; while
it does not run, it is kept until it does.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from inapp_monitor.alerts import kept_states, overview, requests
from inapp_monitor.alerts.kept_states import KeptStates
from inapp_monitor.alerts.notice import trial
from inapp_monitor.alerts.overview import Judged
from inapp_monitor.cli import echo
from inapp_monitor.cli.serving import stored_backend
from inapp_monitor.database.file import Database
from inapp_monitor.ground import config
from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.ground.exceptions import MonitorError
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.utc_text import utc_text
from inapp_monitor.ground.visible_text import visible_line

_ACTIONS = ("list", "show", "ack", "unack", "downtime", "cancel", "test")
_KINDS = {
    "ack": kept_states.ACKNOWLEDGE,
    "unack": kept_states.UNACKNOWLEDGE,
    "downtime": kept_states.DOWNTIME,
    "cancel": kept_states.CANCEL_DOWNTIME,
}


@click.command()
@click.argument("words", nargs=-1, metavar="[DATA_DIR] [ACTION] [RULE]")
@click.option("--data-dir", type=click.Path(path_type=Path), default=None)
@click.option("--config", "config_file", default=None, help="A TOML file with settings.")
@click.option("--series", default="*", show_default=True, help="Of the rule; * for all.")
@click.option("--note", default="", help="With ack and downtime.")
@click.option("--sticky", is_flag=True, help="With ack: until it is OK.")
@click.option("--for", "for_", default="", help="With ack and downtime: how long, such as 2h.")
@click.option("--in", "in_", default="", help="With downtime: begins in, such as 10min.")
@click.option("--weekly", default="", help="With downtime: such as 'sun 03:00-04:00' (UTC).")
@click.option("--flexible", default="", help="With downtime: so long from the first problem on.")
@click.option("--id", "downtime_id", default="", help="With cancel: one of several downtimes.")
@click.option("--notifier", default="", help="With test: only this one.")
@click.option("--json", "as_json", is_flag=True, help="As alerts.json.")
def alerts(
    words: tuple[str, ...], data_dir: Path | None, config_file: str | None, **given: Any
) -> None:
    """List the rules of DATA_DIR, show one, acknowledge, plan a downtime, test the notifiers.

    ACTION is one of list, show, ack, unack, downtime, cancel, test; default: list.
    """
    rest = list(words)
    if rest and rest[0] not in _ACTIONS:
        data_dir = Path(rest.pop(0))
    action = rest.pop(0) if rest and rest[0] in _ACTIONS else "list"
    rule = rest.pop(0) if rest else ""
    if rest:
        raise MonitorError(f"unexpected {rest[0]!r}; expected one of {', '.join(_ACTIONS)}")
    settings = config.load({"data_dir": data_dir}, config_file).settings
    if action == "test":
        _test(settings, given["notifier"])
        return
    if not settings.data_dir.is_dir():
        raise MonitorError(f"no directory {str(settings.data_dir)!r}")
    judged = _judged(settings.data_dir)
    if action == "list":
        _list(judged, given["as_json"])
        return
    if rule not in judged.rules:
        known = ", ".join(sorted(judged.rules)[:8]) or "none"
        raise MonitorError(f"no rule {rule!r} in {settings.data_dir}; there are {known}")
    if action == "show":
        _show(judged, rule, given["as_json"], settings.data_dir)
        return
    _ask(settings, action, rule, given)


def _judged(data_dir: Path) -> Judged:
    backend = stored_backend(data_dir, may_write=False)
    kept = KeptStates(backend.database)
    return overview.read(data_dir, kept, backend.store, SYSTEM.wall())


def _list(judged: Judged, as_json: bool) -> None:
    now = SYSTEM.wall()
    rows = overview.rule_rows(judged, now)
    if as_json:
        stale = judged.is_stale(now)
        echo.document(json.dumps({"judged": judged.at, "stale": stale, "rules": rows}, indent=2))
        return
    if judged.fault:
        raise MonitorError(judged.fault)
    if judged.is_stale(now):
        since = "yet" if judged.at is None else f"since {utc_text(judged.at)}"
        echo.line(f"nobody has judged these rules {since}: the app does not run", err=True)
    echo.block(_table(rows))


def _table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "no rules"
    width = max(4, *(len(row["name"]) for row in rows))
    lines = [f"{'STATUS':8}  {'RULE':{width}}  {'SINCE':23}  FOUND"]
    for row in rows:
        worst = row["series"][0] if row["series"] else None
        nothing = "nothing found" if row["judged"] else "nothing yet"
        found = worst["detail"] if worst is not None else nothing
        more = f" (+{row['problems'] - 1} more)" if row["problems"] > 1 else ""
        since = utc_text(row["since"]) if row["since"] else ""
        status = row["status"] if row["judged"] else "-"
        lines.append(f"{status:8}  {row['name']:{width}}  {since:23}  {found}{more}")
    return "\n".join(visible_line(line).rstrip() for line in lines)


def _show(judged: Judged, name: str, as_json: bool, data_dir: Path) -> None:
    (row,) = (r for r in overview.rule_rows(judged, SYSTEM.wall()) if r["name"] == name)
    if as_json:
        echo.document(json.dumps(row, indent=2))
        return
    lines = [f"{row['title']}: {row['status']}", f"looks at {row['target']}"]
    lines += [
        f"{level} range {row[level]} {row['unit']}".rstrip()
        for level in ("warning", "critical")
        if row[level]
    ]
    for state in row["series"]:
        tried = "hard" if state["hard"] else f"soft {state['attempt']} of {state['attempts']}"
        lines.append(f"{state['status']} ({tried}) {state['series'] or '-'}: {state['detail']}")
        known = state["acknowledged"]
        if known:
            lines.append(f"    acknowledged by {known['author']}: {known['note']}")
        for planned in state["downtimes"]:
            lines.append(
                f"    downtime {planned['id']} {utc_text(planned['start'])} to"
                f" {utc_text(planned['end'])}{', weekly' if planned['weekly'] else ''}"
                f" {planned['note']}"
            )
    backend = stored_backend(data_dir, may_write=False)
    for turn in KeptStates(backend.database).transitions(name, limit=20):
        kind = "hard" if turn.hard else "soft"
        lines.append(
            f"{utc_text(turn.moment)}  {turn.status.name} {kind} {turn.series}: {turn.detail}"
        )
    echo.block("\n".join(visible_line(line).rstrip() for line in lines))


def _ask(settings: config.Settings, action: str, rule: str, given: dict[str, Any]) -> None:
    texts = {
        "note": given["note"],
        "sticky": "yes" if given["sticky"] else "",
        "for": given["for_"],
        "in": given["in_"],
        "weekly": given["weekly"],
        "flexible": given["flexible"],
    }
    now, author = SYSTEM.wall(), "command line"
    document: dict[str, Any] = {}
    try:
        if action == "ack":
            document = requests.acknowledgement(texts, author, now)
        elif action == "downtime":
            document = requests.downtime(texts, author, now)
        elif action == "cancel":
            document = {"id": given["downtime_id"] or None}
    except ValueError as error:
        raise MonitorError(str(error)) from None
    database = Database(settings.data_dir, settings, SYSTEM, Guard())
    try:
        asked = KeptStates(database).ask(rule, given["series"], _KINDS[action], document, now)
        fault = database.status().fault
    finally:
        database.close()
    if not asked or fault:
        raise MonitorError(f"not done: {fault or 'nothing can be written here'}")
    echo.line(f"{action}: {rule}, done when the app judges next")


def _test(settings: config.Settings, only: str) -> None:
    """Send one notice to each notifier, at once."""
    from inapp_monitor.alerts.notifiers import registry
    from inapp_monitor.alerts.notifiers.base import FailedError, RefusedError

    if settings.alert_notifiers is None:
        raise MonitorError("no notifiers: the setting alert_notifiers names no file")
    app = settings.app_name or settings.data_dir.parent.name
    around = registry.Surroundings(app, settings.dashboard_url, settings.alert_programs)
    channels = registry.read(settings.alert_notifiers, around)
    channels = [each for each in channels if only in ("", each.name)]
    if not channels:
        raise MonitorError(f"no notifier {only!r} in {settings.alert_notifiers}")
    failed = 0
    for channel in channels:
        try:
            if channel.notifier is not None:
                channel.notifier.send(trial(app, SYSTEM.wall()))
            elif channel.pusher is not None:
                channel.pusher.push([], SYSTEM.wall())
        except (FailedError, RefusedError, OSError) as error:
            failed += 1
            echo.line(f"{channel.name} ({channel.type}): {error}", err=True)
        else:
            echo.line(f"{channel.name} ({channel.type}): sent")
    if failed:
        raise SystemExit(1)


COMMANDS: list[click.Command] = [alerts]
