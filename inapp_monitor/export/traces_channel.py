"""Kept traces on their way to an OpenTelemetry collector, by the moment at which they ended."""

from __future__ import annotations

from typing import Any, Final

from inapp_monitor.database.file import Database
from inapp_monitor.export import otlp_traces
from inapp_monitor.export.channel import Work
from inapp_monitor.export.identity import Identity
from inapp_monitor.export.otlp_sender import post_document, resource_of
from inapp_monitor.ground.clock import SYSTEM, Clock
from inapp_monitor.ground.destination import Destination
from inapp_monitor.traces.kept_trace import unpack
from inapp_monitor.traces.trace_table import SDK_PREFIX

#: Seconds after its end until which a trace has reached the database, whichever worker had it.
_LATE_S: Final = 60
#: Traces of one request.
_AT_ONCE: Final = 200
#: What SDKs of other programs measured is not this application's.
_WITHIN: Final = (
    f"slug not like '{SDK_PREFIX}%' and started + ms / 1000 > ? and started + ms / 1000 <= ?"
)


class TracesChannel:
    """A `Channel` of traces; a position is a moment in seconds."""

    def __init__(
        self,
        database: Database,
        destination: Destination,
        identity: Identity,
        clock: Clock = SYSTEM,
    ) -> None:
        self._database = database
        self._destination = destination
        self._identity = identity
        self._clock = clock

    def beginning(self, now: float) -> int:
        """With those that end from now on."""
        return int(now) - _LATE_S

    def next(self, position: int, now: float) -> Work | None:
        """Those that ended after a position, up to a whole second."""
        until = int(now) - _LATE_S
        if position > until + _LATE_S:  # the clock was set back
            return Work(until, 0, None)
        rows = self._database.read(
            "select data, trace, cast(ceiling as integer) as second from"  # noqa: S608
            " (select data, trace, started + ms / 1000 as ended, started + ms / 1000 + 0.999999 as"
            f" ceiling from traces where {_WITHIN}) order by ended limit ?",
            (position, until, _AT_ONCE + 1),
        )
        if len(rows) > _AT_ONCE:  # the rest of a second comes with it
            until = max(position + 1, int(rows[-1]["second"]) - 1)
            rows = [row for row in rows if row["second"] <= until] or rows
        if not rows:
            return Work(until, 0, None) if until - position > _LATE_S else None
        traces = [
            {**trace, "trace": row["trace"]}
            for row in rows
            if (trace := unpack(row["data"])) is not None
        ]
        return Work(until, len(traces), traces or None)

    def send(self, payload: object) -> int:
        """Post some traces."""
        assert isinstance(payload, list)
        document = otlp_traces.request_of(
            payload, resource_of(self._identity), self._identity.version
        )
        schema, now = otlp_traces.REQUEST, self._clock.wall()
        rejected = post_document(self._destination, "/v1/traces", document, schema, now)
        return min(rejected, len(payload))

    def waiting(self, position: int, now: float) -> tuple[float, int]:
        """Age of the oldest trace that waits, and how many do."""
        rows: list[dict[str, Any]] = self._database.read(
            f"select count(*) as n, min(started) as oldest from traces where {_WITHIN}",  # noqa: S608
            (position, int(now) - _LATE_S),
        )
        if not rows or not rows[0]["n"]:
            return 0.0, 0
        return max(0.0, now - float(rows[0]["oldest"])), int(rows[0]["n"])

    def close(self) -> None:
        """Every request has a connection of its own."""
