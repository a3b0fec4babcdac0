"""The formats for people and old tools: an HTML table and XML. Every text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from xml.sax.saxutils import quoteattr

from inapp_monitor.query.series import Series
from inapp_monitor.web.graphite.formats.options import Options
from inapp_monitor.web.graphite.formats.text import python_texts
from inapp_monitor.web.xml_text import valid

#: Rows of a table; a page with more is of no use to anybody.
_MAX_ROWS = 20_000


def write_html(series_list: Sequence[Series], options: Options) -> bytes:
    """One table a series: time and value."""
    parts = ['<!doctype html><html lang="en"><meta charset="utf-8"><title>Series</title>']
    rows = 0
    for series in series_list:
        parts.append(f"<h2>{escape(valid(series.name))}</h2><table>")
        parts.append("<thead><tr><th>Time</th><th>Value</th></tr></thead><tbody>")
        for i, value in enumerate(python_texts(series)):
            rows += 1
            if rows > _MAX_ROWS:
                parts.append("<tr><td colspan=2>more rows are left out</td></tr>")
                break
            moment = options.moment(series.start + i * series.step)
            shown = "" if value == "None" else value
            parts.append(f"<tr><td>{moment}</td><td>{shown}</td></tr>")
        parts.append("</tbody></table>")
    if not series_list:
        parts.append("<p>No series.</p>")
    return "".join(parts).encode()


def write_xml(series_list: Sequence[Series], _options: Options) -> bytes:
    """`<series><target name step><point time value/></target></series>`; nulls have no value."""
    parts = ['<?xml version="1.0" encoding="UTF-8"?>\n<series>']
    for series in series_list:
        name = quoteattr(valid(series.name))
        parts.append(f'<target name={name} step="{int(series.step)}">')
        for i, value in enumerate(python_texts(series)):
            moment = int(series.start + i * series.step)
            shown = "" if value == "None" else f' value="{value}"'
            parts.append(f'<point time="{moment}"{shown}/>')
        parts.append("</target>")
    parts.append("</series>\n")
    return "".join(parts).encode()
