"""`/traces/<id>`: one kept request as a waterfall, beside a usual one of its route; to pass on as a
file of its own (`?as=file`), as JSON and as Markdown.

The id may also be an X-Request-Id or the trace's id of a traceparent.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from inapp_monitor.logs import search
from inapp_monitor.logs.search import Wanted
from inapp_monitor.traces import kept_trace
from inapp_monitor.traces.kept_trace import WHY, Trace
from inapp_monitor.web import static
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.findings import same_trace, trace_text, waterfall
from inapp_monitor.web.frame import templating
from inapp_monitor.web.frame.request import MonitorRequest
from inapp_monitor.web.frame.routing import Route
from inapp_monitor.web.frame.visit import Visit

_MAX_RECORDS = 100
_DIFFERENCES = 8


def gather(visit: Visit, name: str) -> dict[str, Any]:
    """All that is known of one kept request."""
    return _of(visit.backend, name)


def _of(backend: Backend, name: str) -> dict[str, Any]:
    row = backend.traces.get(name) if backend.traces is not None else None
    trace = kept_trace.unpack(row["data"]) if row is not None else None
    if row is None or trace is None:
        raise NotFound(
            "this request is not kept: the slowest, some failed and some others of each route are, "
            "for an hour and for a day"
        )
    usual = _usual(backend, trace)
    return {
        "trace": trace,
        "rows": waterfall.rows(trace),
        "breakdown": waterfall.breakdown(trace),
        "spans": len(trace["spans"]),
        "counted": sum(count for _, _, count, _ in trace.get("counted", ())),
        "why": [WHY.get(each, each) for each in trace.get("why", ())],
        "records": _records(backend, trace),
        "same_trace": same_trace.beside(backend, trace),
        "usual": usual,
        "usual_breakdown": waterfall.breakdown(usual) if usual is not None else [],
        "difference": []
        if usual is None
        else [each for each in waterfall.difference(trace, usual) if _matters(each)][:_DIFFERENCES],
    }


def _matters(each: dict[str, Any]) -> bool:
    return bool(abs(each["ms"] - each["usual_ms"]) >= 0.1 or each["count"] != each["usual_count"])


def _usual(backend: Backend, trace: Trace) -> Trace | None:
    """Of those drawn at random from the same route, the one in the middle."""
    assert backend.traces is not None
    found = backend.traces.usual(trace["slug"], trace["method"], trace["id"])
    unpacked = [kept_trace.unpack(row["data"]) for row in found]
    known = sorted((each for each in unpacked if each is not None), key=lambda each: each["ms"])
    return known[(len(known) - 1) // 2] if known else None


def _records(backend: Backend, trace: Trace) -> list[dict[str, Any]]:
    """What it logged, in order, with the milliseconds since its beginning."""
    if backend.logs is None:
        return []
    start, seconds = float(trace["started"]), float(trace["ms"]) / 1000
    wanted = Wanted(request=trace["id"], start=start - 5, end=start + seconds + 60)
    found = list(islice(search.find(backend.logs, wanted), _MAX_RECORDS))[::-1]
    return [{**row, "at_ms": max((row["time"] - start) * 1000, 0.0)} for row in found]


def markdown(backend: Backend, request: MonitorRequest, name: str) -> Response:
    """The trace as text."""
    del request
    backend.refresh()
    text = trace_text.markdown(_of(backend, name))
    return Response(text.encode("utf-8", "replace"), mimetype="text/markdown")


def file(backend: Backend, request: MonitorRequest, name: str) -> Response:
    """The trace as one HTML file that needs nothing else."""
    backend.refresh()
    data = _of(backend, name)
    style = static.assets()["monitor.css"].body.decode()
    view = templating.view_of(backend, request)
    response = templating.html_answer(
        backend, request, "trace_file.html", {**data, "style": style}, view
    )
    named = f'attachment; filename="trace-{data["trace"]["id"]}.html"'
    response.headers["Content-Disposition"] = named
    return response


ROUTES = [
    *templating.page("/traces/<name:name>", "/traces/<name:name>.json", gather, "trace.html"),
    Route("/traces/<name:name>.md", markdown),
    Route("/traces/<name:name>.html", file),
]
