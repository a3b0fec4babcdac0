"""A notice in words: subject, plain text, HTML. Pure.

Names and texts may come from anybody who can send a request: nothing in them may act in a terminal,
a header or a page.
"""

from __future__ import annotations

import html
import math

from inapp_monitor.alerts.notice import Notice
from inapp_monitor.alerts.shown_numbers import shown
from inapp_monitor.ground.utc_text import utc_text
from inapp_monitor.ground.visible_text import visible, visible_line

_LONGEST_SUBJECT = 180
_BLOCKS = "▁▂▃▄▅▆▇█"
_COLOURS = {"OK": "#1a7f37", "WARNING": "#9a6700", "CRITICAL": "#cf222e", "UNKNOWN": "#57606a"}


def subject(notice: Notice) -> str:
    """One line: `PROBLEM CRITICAL: /pay fails (shop)`."""
    app = f" ({notice.app})" if notice.app else ""
    line = visible_line(f"{notice.kind} {notice.status}: {notice.title}")
    room = _LONGEST_SUBJECT - min(len(app), 60)
    return (line if len(line) <= room else line[: room - 1] + "…") + visible_line(app[:60])


def subject_name(notice: Notice) -> str:
    """The name before the sender's address: `shop monitor`."""
    letters = "".join(each if each.isalnum() or each in " -" else " " for each in notice.app[:60])
    return " ".join(f"{letters} monitor".split())


def sentence(notice: Notice) -> str:
    """What is wrong, in one line: title and evidence."""
    detail = f": {notice.detail}" if notice.detail else ""
    return visible_line(f"{notice.title}{detail}")


def facts(notice: Notice) -> list[tuple[str, str]]:
    """Name and text of what is known, in the order in which it is shown."""
    rows = [("rule", notice.rule + (f", series {notice.series}" if notice.series else ""))]
    if notice.kind != "SUMMARY":
        rows.append(("since", f"{utc_text(notice.since)}, {duration(notice.at - notice.since)}"))
    if notice.value is not None and (notice.unit or notice.warning or notice.critical):
        rows.append(("value", f"{shown(notice.value)} {notice.unit}".rstrip() + _limits(notice)))
    if any(value is not None for value in notice.values):
        rows.append(("last " + duration(len(notice.values) * notice.values_step_s), trend(notice)))
    rows += [("made up of", ", ".join(notice.contributing))] if notice.contributing else []
    rows += [("deploys", ", ".join(notice.deploys))] if notice.deploys else []
    rows += [("new issues", ", ".join(notice.issues))] if notice.issues else []
    if notice.author or notice.note:
        rows.append(("note", ": ".join(each for each in (notice.author, notice.note) if each)))
    labels = ", ".join(f"{name}={value}" for name, value in sorted(notice.labels.items()))
    rows.append(("severity", notice.severity + (f", {labels}" if labels else "")))
    rows += [("runbook", notice.runbook)] if notice.runbook else []
    return [(name, visible_line(text)) for name, text in rows]


def text(notice: Notice) -> str:
    """The whole notice as plain text."""
    lines = [f"{notice.status}: {visible_line(notice.title)}"]
    lines += [visible(notice.detail)] if notice.detail else []
    lines += ["", *(f"- {visible_line(line)}" for line in notice.lines)] if notice.lines else []
    rows = facts(notice)
    width = max(len(name) for name, _ in rows)
    lines += ["", *(f"{name:{width}}  {value}" for name, value in rows)]
    links = [f"{_link_name(name)}: {address}" for name, address in notice.links.items()]
    return "\n".join([*lines, *(["", *links] if links else [])]) + "\n"


def markup(notice: Notice, picture: str = "") -> str:
    """The whole notice as HTML for mail: no style sheet, nothing is loaded.

    Args:
        picture: Address of the chart, such as `cid:...`; "" for none.
    """
    escape = html.escape
    colour = _COLOURS.get(notice.status, "#57606a")
    rows = "".join(
        f'<tr><td style="padding:2px 12px 2px 0;color:#57606a;vertical-align:top">{escape(name)}'
        f'</td><td style="padding:2px 0">{escape(value)}</td></tr>'
        for name, value in facts(notice)
    )
    lines = "".join(f"<li>{escape(visible_line(line))}</li>" for line in notice.lines)
    links = " &nbsp; ".join(
        f'<a href="{escape(address, quote=True)}">{escape(_link_name(name))}</a>'
        for name, address in notice.links.items()
    )
    image = f'<p><img src="{escape(picture)}" width="560" height="140" alt=""></p>'
    return (
        '<div style="font:14px/1.45 system-ui,sans-serif;color:#1f2328;max-width:620px">'
        f'<p style="margin:0 0 4px"><b style="color:{colour}">{escape(notice.kind)} '
        f"{escape(notice.status)}</b> {escape(visible_line(notice.app))}</p>"
        f'<p style="margin:0 0 4px;font-size:18px"><b>{escape(visible_line(notice.title))}</b></p>'
        f'<p style="margin:0 0 12px">{escape(visible(notice.detail))}</p>'
        + (f"<ul>{lines}</ul>" if lines else "")
        + (image if picture else "")
        + f'<table style="border-collapse:collapse;font-size:14px">{rows}</table>'
        + (f'<p style="margin-top:16px">{links}</p>' if links else "")
        + "</div>"
    )


def sparkline(values: tuple[float | None, ...], width: int = 30) -> str:
    """Values as a row of blocks, at most `width`; a blank where nothing is known."""
    if len(values) > width:
        per = len(values) / width
        groups = [
            values[int(n * per) : max(int((n + 1) * per), int(n * per) + 1)] for n in range(width)
        ]
        values = tuple(max((v for v in each if v is not None), default=None) for each in groups)
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return ""
    low, high = min(0.0, *known), max(known)
    scale = (len(_BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(
        " " if value is None or not math.isfinite(value) else _BLOCKS[int((value - low) * scale)]
        for value in values
    )


def trend(notice: Notice) -> str:
    """The last values as blocks, with the largest one as a number."""
    known = [value for value in notice.values if value is not None]
    unit = notice.values_unit
    return f"{sparkline(notice.values)}  up to {shown(max(known))} {unit}".rstrip()


def duration(seconds: float) -> str:
    """`44 s`, `12 min`, `3 h`, `2 days`."""
    for limit, unit_s, unit in ((120, 1, "s"), (7_200, 60, "min"), (172_800, 3_600, "h")):
        if seconds < limit:
            return f"{max(seconds, 0) / unit_s:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"


def _limits(notice: Notice) -> str:
    ranges = [("warning", notice.warning), ("critical", notice.critical)]
    given = [f"{name} range {text}" for name, text in ranges if text]
    return f" ({', '.join(given)})" if given else ""


def _link_name(name: str) -> str:
    return {"rule": "Rule", "acknowledge": "Acknowledge", "overview": "Overview"}.get(name, name)
