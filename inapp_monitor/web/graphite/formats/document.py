"""The formats for people and old tools: an HTML table and XML. Every text is escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from inapp_monitor.query.series import Series
from inapp_monitor.web.graphite.formats.options import Options
from inapp_monitor.web.graphite.formats.pieces import in_pieces, spans
from inapp_monitor.web.graphite.formats.text import python_texts
from inapp_monitor.web.xml_text import valid

#: Rows of a table; a page with more is of no use to anybody.
_MAX_ROWS = 20_000


@in_pieces
def write_html(series_list: Sequence[Series], options: Options) -> Iterator[str]:
    """One table a series: time and value."""
    yield '<!doctype html><html lang="en"><meta charset="utf-8"><title>Series</title>'
    left = _MAX_ROWS
    for series in series_list:
        yield f"<h2>{escape(valid(series.name))}</h2><table>"
        yield "<thead><tr><th>Time</th><th>Value</th></tr></thead><tbody>"
        for span in spans(min(left, len(series)), options, 500):
            rows = []
            for i, value in enumerate(
                python_texts(series.values[span], series.whole, null=""), span.start
            ):
                moment = options.moment(series.start + i * series.step)
                rows.append(f"<tr><td>{moment}</td><td>{value}</td></tr>")
            yield "".join(rows)
        if left < len(series):
            yield "<tr><td colspan=2>more rows are left out</td></tr>"
        left = max(left - len(series), 0)
        yield "</tbody></table>"
    if not series_list:
        yield "<p>No series.</p>"


@in_pieces
def write_xml(series_list: Sequence[Series], options: Options) -> Iterator[str]:
    """`<series><target name step><point time value/></target></series>`; nulls have no value."""
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<series>'
    for series in series_list:
        name = escape(valid(series.name)).replace("\n", "&#10;").replace("\t", "&#9;")
        yield f'<target name="{name}" step="{int(series.step)}">'
        for span in spans(len(series), options, 1_000):
            points = []
            for i, value in enumerate(
                python_texts(series.values[span], series.whole, null=""), span.start
            ):
                moment = int(series.start + i * series.step)
                shown = f' value="{value}"' if value else ""
                points.append(f'<point time="{moment}"{shown}/>')
            yield "".join(points)
        yield "</target>"
    yield "</series>\n"
