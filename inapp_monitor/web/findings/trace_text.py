"""A kept trace as Markdown, to pass on: what a colleague or a ticket needs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from inapp_monitor.ground.utc_text import utc_text
from inapp_monitor.ground.visible_text import visible_line
from inapp_monitor.web import human

_MOST_ROWS = 80


def markdown(data: Mapping[str, Any]) -> str:
    """The page of a trace (`pages.trace_page.gather`) as text."""
    trace = data["trace"]
    lines = [
        f"# {_line(trace['method'])} {_line(trace['path'])}: {human.value(trace['ms'], 'ms')}",
        "",
        f"- route {_code(trace['route'])}, answered {_line(trace['status'] or 'nothing')}",
        f"- {utc_text(trace['started'])}, release {_line(trace.get('release') or '-')}",
        f"- request {_code(trace['id'])}",
    ]
    for name, words in (("request_id", "X-Request-Id"), ("trace", "trace"), ("issue", "issue")):
        if trace.get(name):
            lines.append(f"- {words} {_code(trace[name])}")
    lines += ["", "## Where the time went", ""]
    for part in data["breakdown"]:
        count = f", {part['count']} spans" if part["count"] else ""
        lines.append(f"- {part['kind']}: {human.value(part['ms'], 'ms')}{count}")
    lines += ["", "## What it did", "", *_rows(data["rows"])]
    if data["difference"]:
        lines += ["", "## Beside a usual request", "", *_difference(data["difference"])]
    if data["records"]:
        lines += ["", "## What it logged", ""]
        for row in data["records"]:
            lines.append(f"- {row['level']} {_line(row['logger'])}: {_line(row['text'])}")
    return "\n".join(lines) + "\n"


def _rows(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    shown = ["| at | took | what | where |", "|---:|---:|---|---|"]
    for row in list(rows)[:_MOST_ROWS]:
        times = f"{row['count']} × " if row["count"] > 1 else ""
        note = f" **{row['repeat']}**" if row["repeat"] else ""
        what = f"{times}{_code(row['text'])}{note}"
        shown.append(
            f"| {human.value(row['start_ms'], 'ms')} | {human.value(row['ms'], 'ms')} "
            f"| {what} | {_code(row['at']) if row['at'] else ''} |"
        )
    return shown


def _difference(found: Iterable[Mapping[str, Any]]) -> list[str]:
    shown = ["| what | here | usually |", "|---|---:|---:|"]
    for each in list(found)[:10]:
        here = f"{each['count']} × {human.value(each['ms'], 'ms')}"
        usual = f"{each['usual_count']} × {human.value(each['usual_ms'], 'ms')}"
        shown.append(f"| {_code(each['text'])} | {here} | {usual} |")
    return shown


def _line(text: object) -> str:
    """Text that begins nothing of its own in Markdown."""
    plain = visible_line(str(text))
    for sign in "\\`*_[]<>|#":
        plain = plain.replace(sign, f"\\{sign}")
    return plain


def _code(text: object) -> str:
    plain = visible_line(str(text)).replace("`", "'").replace("|", "\\|")
    return f"`{plain}`" if plain else ""
