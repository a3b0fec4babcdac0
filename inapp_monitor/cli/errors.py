"""`inapp-monitor errors`: issues of a data directory as text or JSON, and what to do with them.

Only arguments and messages; what they do is in `issues.triage`. The app that writes the directory
may run or not.
"""

from __future__ import annotations

import json

import click

from inapp_monitor.alerts.shown_numbers import times
from inapp_monitor.cli import data_directory, echo
from inapp_monitor.database.file import Database
from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.ground.config import Settings
from inapp_monitor.ground.exceptions import MonitorError
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.utc_text import utc_text
from inapp_monitor.ground.visible_text import visible_line
from inapp_monitor.issues.as_text import event_text
from inapp_monitor.issues.model import STATUSES, IssueDetail, IssueSummary
from inapp_monitor.issues.triage import Triage

_ACTIONS = ("list", "show", "resolve", "mute", "reopen", "delete")


@click.command()
@click.argument("words", nargs=-1, metavar="[DATA_DIR] [ACTION] [ID]")
@click.option("--json", "as_json", is_flag=True, help="As errors.json and errors/<id>.json.")
@click.option("--status", type=click.Choice([*STATUSES, "unresolved"]), help="Only these.")
@click.option("--text", default="", help="Words in title, message, file or function.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--release", default="", help="With resolve: older releases are no regression.")
@click.option("--hours", type=float, default=None, help="With mute: for so long; else for ever.")
@click.option("--more", type=click.IntRange(1), default=None, help="With mute: until so many more.")
def errors(
    words: tuple[str, ...],
    as_json: bool,
    status: str | None,
    text: str,
    limit: int,
    release: str,
    hours: float | None,
    more: int | None,
) -> None:
    """List the issues of DATA_DIR, show one with its latest stack, resolve, mute, reopen, delete.

    ACTION is one of list, show, resolve, mute, reopen, delete; default: list. ID is an issue's id
    or its beginning, as far as it is unique. DATA_DIR is the app's; default: ./.inapp_monitor, or
    what INAPP_MONITOR_DATA_DIR says.
    """
    settings, action, issue_id = data_directory.settings_and_action(words, _ACTIONS)
    data_dir = settings.data_dir
    triage, database = _open(settings, read_only=action in ("list", "show"))
    if action == "list":
        issues = triage.list_issues(limit, status=status, text=text)
        if as_json:
            echo.document(_json({"issues": [i.as_json() for i in issues]}))
        else:
            echo.block(_table(issues))
        return
    found = triage.get_issue(_full_id(triage, issue_id))
    if found is None:
        raise MonitorError(f"no issue {issue_id!r} in {data_dir}")
    known = found.summary.id
    if action == "show":
        if as_json:
            echo.document(_json(found.as_json()))
        else:
            echo.block(_page(found))
        return
    if action == "resolve":
        triage.resolve(known, release=release, by="command line")
    elif action == "mute":
        for_s = None if hours is None else hours * 3600
        triage.mute(known, for_s=for_s, more=more, by="command line")
    elif action == "reopen":
        triage.reopen(known, by="command line")
    else:
        triage.delete(known)
    fault = database.status().fault
    if fault:
        raise MonitorError(f"not done: {fault}")
    echo.line(f"{action}: {known} {found.summary.title}")


def _open(settings: Settings, *, read_only: bool) -> tuple[Triage, Database]:
    database = Database(settings.data_dir, settings, SYSTEM, Guard(), read_only=read_only)
    return Triage(database, SYSTEM), database


def _full_id(triage: Triage, beginning: str) -> str:
    if not beginning:
        raise MonitorError("which issue? give an ID, see the list")
    ids = [issue.id for issue in triage.list_issues(100_000) if issue.id.startswith(beginning)]
    if len(ids) > 1 and beginning not in ids:
        raise MonitorError(f"{beginning!r} is the beginning of {len(ids)} issues")
    return beginning if beginning in ids or not ids else ids[0]


def _table(issues: list[IssueSummary]) -> str:
    if not issues:
        return "no issues"
    lines = [f"{'ID':12}  {'STATUS':9}  {'TIMES':>7}  {'LAST SEEN':23}  ISSUE"]
    for issue in issues:
        where = f"  ({issue.culprit})" if issue.culprit else ""
        lines.append(
            f"{issue.id:12}  {issue.status:9}  {issue.count:7}  {utc_text(issue.last_seen):23}"
            f"  {issue.title}{where}"
        )
    return "\n".join(map(visible_line, lines))


def _page(issue: IssueDetail) -> str:
    summary = issue.summary
    users = "1 user" if summary.users == 1 else f"{summary.users:,} users"
    lines = [
        summary.title,
        f"{summary.status}, {times(summary.count)}, {users}, "
        f"first {utc_text(summary.first_seen)}, last {utc_text(summary.last_seen)}",
    ]
    if issue.releases:
        lines.append(f"releases: {', '.join(issue.releases)}")
    for name, pairs in issue.tags.items():
        shares = ", ".join(f"{value} ({count})" for value, count in pairs[:5])
        lines.append(f"{name}: {shares}")
    for known in issue.fingerprints:
        lines.append("together because of " + "; ".join(known.reason))
    for entry in issue.history:
        lines.append(f"{utc_text(entry.time)}  {entry.kind} {entry.text}".rstrip())
    lines = [visible_line(line) for line in lines]
    if issue.events:
        lines += ["", f"The latest of {len(issue.events)} stored events:", ""]
        lines.append(event_text(issue.events[-1]).rstrip())
    return "\n".join(lines)


def _json(document: object) -> str:
    return json.dumps(document, indent=2)


COMMANDS = [errors]
