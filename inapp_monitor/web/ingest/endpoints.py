"""`/ingest` and what pushers speak: pushgateway addresses, InfluxDB's write addresses.

The token opens them, and the ingest-only one. What was accepted is on disk when the answer is sent.
"""

from __future__ import annotations

import json
from typing import Any

from werkzeug.wrappers import Response

from inapp_monitor.ingest.doors import Door
from inapp_monitor.ingest.protocols import influx, json_points, prometheus_text
from inapp_monitor.ingest.protocols.parsed import Parsed, RejectedError
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame.request import INGEST_PATH, INGEST_PATHS, MonitorRequest
from inapp_monitor.web.ingest import body, spoken
from inapp_monitor.web.ingest.body import RefusedError
from inapp_monitor.web.ingest.spoken import Outcome, Taker

_JOINED = (
    "the lines were joined into one: curl -d removes line ends, use curl --data-binary instead"
)
_METHODS = {
    "": ("POST", "PUT"),
    "/write": ("POST",),
    "/api/v2/write": ("POST",),
    "/query": ("GET", "POST"),
    "/ping": ("GET", "HEAD"),
    "/metrics": ("POST", "PUT", "DELETE"),
}


def answer(backend: Backend, request: MonitorRequest) -> Response:
    """Answer a request that was let in."""
    below = "" if request.path in INGEST_PATHS else request.path[len(INGEST_PATH) :].rstrip("/")
    kind = "/metrics" if below.startswith("/metrics/") else below
    methods = _METHODS.get(kind)
    if methods is None:
        return _failed(404, "there is no such address to send numbers to")
    if request.method not in methods:
        return _other_method(request, ", ".join(sorted((*methods, "OPTIONS"))))
    if backend.listening is None:
        return _failed(404, "numbers are taken by the running app only, not by a copy of its data")
    try:
        if kind == "/ping":
            return _influx_ping()
        if kind == "/query":
            return _influx_query()
        sent = body.read(request.environ)
        if kind == "":
            return _lines(backend, request, sent)
        if kind == "/metrics":
            return _pushgateway(backend, request, sent, below.removeprefix("/metrics/"))
        return _influx(backend, request, sent)
    except RefusedError as error:
        return _refused(backend, request, kind, error.status, str(error))
    except json_points.MalformedError as error:
        return _refused(backend, request, kind, 400, str(error))


def _refused(
    backend: Backend, request: MonitorRequest, kind: str, status: int, message: str
) -> Response:
    """A body that was refused whole: counted at its door, too."""
    if backend.listening is not None:
        door = _door(backend, INGEST_PATH + (kind if kind in ("", "/metrics") else "/write"))
        client = str(request.environ.get("REMOTE_ADDR", ""))
        door.reject(f"body_{status}", message, client, backend.clock.wall())
    return _failed(status, message)


def _other_method(request: MonitorRequest, allowed: str) -> Response:
    is_question = request.method == "OPTIONS"
    answered = Response(status=204) if is_question else _failed(405, f"use one of {allowed} here")
    answered.headers["Allow"] = allowed
    return answered


def _lines(backend: Backend, request: MonitorRequest, sent: body.Body) -> Response:
    """Lines of Carbon or StatsD, JSON, or what else begins as a known protocol."""
    if not sent.data.strip():
        raise RefusedError(400, "the body is empty: expected lines such as NAME VALUE [TIMESTAMP]")
    if sent.is_form and b"\n" not in sent.data and len(sent.data.split()) > 3:
        raise RefusedError(400, _JOINED)
    taker = _taker(backend, request, INGEST_PATH)
    try:
        if spoken.is_json(sent.data, sent.kind):
            outcome = taker.json(sent.data)
        else:
            outcome = taker.lines(sent.data, spoken.protocol_of(sent.data, sent.kind))
    except spoken.UnknownKindError:
        message = "expected lines as text/plain, or application/json"
        raise RefusedError(415, message) from None
    return _counted(backend, outcome)


def _counted(backend: Backend, outcome: Outcome) -> Response:
    """202 as soon as one line was accepted, or none refused; 400 when all were refused."""
    _keep(backend, outcome)
    answered: dict[str, Any] = {
        "accepted": outcome.accepted,
        "rejected": outcome.rejected,
        "errors": [error._asdict() for error in outcome.errors],
    }
    status = 400 if outcome.rejected and not outcome.accepted else 202
    return Response(json.dumps(answered) + "\n", status=status, mimetype="application/json")


def _pushgateway(
    backend: Backend, request: MonitorRequest, sent: body.Body, below: str
) -> Response:
    """A group's metrics; values stand as they are pushed, and what was pushed stays."""
    try:
        group = prometheus_text.group_of(below)
    except RejectedError:
        message = "expected /metrics/job/JOB and further pairs of /LABEL/VALUE"
        raise RefusedError(400, message) from None
    if request.method == "DELETE":
        return Response(status=202)
    if sent.kind == "application/vnd.google.protobuf":
        raise RefusedError(415, "push the text format: protobuf is not read")

    def parse(data: bytes, now: float) -> Parsed:
        return prometheus_text.parse(data, now, group)

    outcome = _taker(backend, request, f"{INGEST_PATH}/metrics").lines(sent.data, parse)
    _keep(backend, outcome)
    if outcome.rejected:
        return _failed(400, _first_error(outcome))
    return Response(status=200)


def _influx(backend: Backend, request: MonitorRequest, sent: body.Body) -> Response:
    """InfluxDB's line protocol, as Telegraf writes it by either of its outputs."""
    precision = request.args.get("precision", "")
    if precision and precision not in influx.PRECISIONS:
        raise RefusedError(400, f"precision must be one of {', '.join(influx.PRECISIONS)}")

    def parse(data: bytes, now: float) -> Parsed:  # noqa: ARG001  # as all protocols
        parsed = Parsed()
        influx.add_lines(data, precision, parsed)
        return parsed

    taker = _taker(backend, request, f"{INGEST_PATH}/write")
    outcome = taker.pieces(influx.pieces(sent.data), parse)
    _keep(backend, outcome)
    if outcome.rejected:
        error = f"partial write: {_first_error(outcome)} dropped={outcome.rejected}"
        return _failed(400, error)
    return Response(status=204)


def _influx_ping() -> Response:
    return Response(status=204, headers={"X-Influxdb-Version": "1.8.0"})


def _influx_query() -> Response:
    """Telegraf asks for its database to be created; there is one for all."""
    answered = {"results": [{"statement_id": 0}]}
    return Response(json.dumps(answered) + "\n", mimetype="application/json")


def _taker(backend: Backend, request: MonitorRequest, address: str) -> Taker:
    listening = backend.listening
    assert listening is not None
    door = _door(backend, address)
    client = str(request.environ.get("REMOTE_ADDR", ""))
    return Taker(listening.intake, door, client, backend.clock.wall())


def _door(backend: Backend, address: str) -> Door:
    assert backend.listening is not None
    return backend.listening.door(backend.loaded.settings.mount + address)


def _keep(backend: Backend, outcome: Outcome) -> None:
    """What is acknowledged is on disk, as far as the disk takes it."""
    if outcome.accepted:
        backend.refresh()


def _first_error(outcome: Outcome) -> str:
    if not outcome.errors:
        return f"{outcome.rejected} lines were refused"
    first = outcome.errors[0]
    return f"line {first.line}: {first.reason}: {first.text}"


def _failed(status: int, message: str) -> Response:
    """A failure, as JSON for every client: `error` is where InfluxDB's clients look."""
    text = json.dumps({"error": message, "status": status})
    return Response(text + "\n", status=status, mimetype="application/json")
