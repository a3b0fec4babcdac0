"""Hands portions to an OpenTelemetry collector by OTLP/HTTP, and tries again by its rules.

429, 502, 503 and 504 are tried again, after `Retry-After` where it is given; any other refusal is
final. Specification: opentelemetry.io/docs/specs/otlp/#otlphttp-response
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, Final

from inapp_monitor.export import otlp_metrics, protobuf
from inapp_monitor.export.channel import LaterError, RefusedError
from inapp_monitor.export.http_calls import Answer, authorization, post
from inapp_monitor.export.identity import Identity
from inapp_monitor.export.portions import Portion
from inapp_monitor.export.progress_file import Written, ignore
from inapp_monitor.export.protobuf import Schema
from inapp_monitor.export.sent_totals import SentTotals, totals_path
from inapp_monitor.export.totals import Totals
from inapp_monitor.ground.clock import SYSTEM, Clock
from inapp_monitor.ground.destination import Destination
from inapp_monitor.ground.workers.route_names import RouteNames

_RETRIED: Final = (429, 502, 503, 504)
_PATH: Final = "/v1/metrics"
_REJECTED: Final = ("rejectedDataPoints", "rejectedSpans", "rejectedLogRecords")


class OtlpSender:
    """A `Sender` for one destination."""

    def __init__(
        self,
        destination: Destination,
        identity: Identity,
        clock: Clock = SYSTEM,
        written: Written = ignore,
    ) -> None:
        self._destination = destination
        self._identity = identity
        self._clock = clock
        self._routes = RouteNames(identity.data_dir)
        is_cumulative = destination.options.get("temporality") == "cumulative"
        path = totals_path(identity.data_dir, destination)
        self._sent = SentTotals(path, written) if is_cumulative else None

    def send(self, portion: Portion) -> int:
        """Post a portion. Returns how many points the peer refused; raises as `Channel.send`."""
        document, totals, portion = self._document(portion)
        if not len(portion):
            return 0
        now = self._clock.wall()
        try:
            rejected = post_document(self._destination, _PATH, document, otlp_metrics.REQUEST, now)
        except RefusedError:
            self._note(totals, portion)
            raise
        self._note(totals, portion)
        return min(rejected, len(portion))

    @property
    def counted_until(self) -> int | None:
        """The end of what the totals hold."""
        return None if self._sent is None else self._sent.until

    def count(self, portion: Portion) -> None:
        """The collector has a portion already."""
        _, totals, portion = self._document(portion)
        self._note(totals, portion)

    def _document(self, portion: Portion) -> tuple[dict[str, Any], Totals | None, Portion]:
        """The request, the totals after it, and what of the portion is in it."""
        totals = None
        if self._sent is not None:
            totals = self._sent.before(portion)
            portion = self._sent.unsent(portion)
        resource, routes = resource_of(self._identity), self._routes.load()
        version = self._identity.version
        document = otlp_metrics.request_of(portion, resource, routes, version, totals)
        return document, totals, portion

    def _note(self, totals: Totals | None, portion: Portion) -> None:
        if self._sent is not None and totals is not None:
            self._sent.note(totals, portion)

    def close(self) -> None:
        """Every portion has a connection of its own."""


def post_document(
    destination: Destination, path: str, document: dict[str, Any], schema: Schema, now: float
) -> int:
    """Post a request in the destination's encoding.

    Returns:
        How many points or spans the peer rejected.

    Raises:
        LaterError, RefusedError, OSError: as `Channel.send`.
    """
    if destination.options.get("encoding") == "json":
        body, kind = json.dumps(document, separators=(",", ":")).encode(), "application/json"
    else:
        body, kind = protobuf.encode(document, schema), "application/x-protobuf"
    headers = {"Content-Type": kind, **authorization(destination)}
    answer = post(destination, f"{destination.path}{path}", body, headers)
    if answer.status in _RETRIED:
        raise LaterError(answer.text, answer.retry_after_s(now))
    if not 200 <= answer.status < 300:
        raise RefusedError(answer.text)
    return rejected_of(answer)


def resource_of(identity: Identity) -> dict[str, str]:
    """The resource's attributes, by the semantic conventions; empty ones are left out."""
    attributes = {
        "service.name": identity.service or f"unknown_service:{Path.cwd().name}",
        "service.version": identity.release,
        "deployment.environment.name": identity.environment,
        "host.name": socket.gethostname(),
        "telemetry.sdk.name": "inapp-monitor",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": identity.version,
    }
    return {name: text for name, text in attributes.items() if text}


def rejected_of(answer: Answer) -> int:
    """Points that a peer which took the rest did not: `partialSuccess` of its answer."""
    if answer.headers.get("content-type", "").startswith("application/json"):
        try:
            document: Any = json.loads(answer.body)
            partial = document["partialSuccess"]
            return max(0, *(int(partial.get(name) or 0) for name in _REJECTED))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            return 0
    return _rejected_in_protobuf(answer.body)


def _rejected_in_protobuf(body: bytes) -> int:
    """Field 1 of field 1: a message, and in it a number."""
    try:
        if body[0] != 0x0A:
            return 0
        _, begin = _varint(body, 1)
        return _varint(body, begin + 1)[0] if body[begin] == 0x08 else 0
    except IndexError:
        return 0


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends.

    Raises:
        IndexError: the bytes end before it does.
    """
    value = 0
    for shift in range(0, 70, 7):
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
    return value, at
