"""All destinations of one monitor: who feeds them, how they fare, what they cost in losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from inapp_monitor.database.file import Database
from inapp_monitor.export.application_sdk import ApplicationSdk
from inapp_monitor.export.channel import Channel
from inapp_monitor.export.forwarding import Forwarder
from inapp_monitor.export.identity import Identity
from inapp_monitor.export.metrics_channel import MetricsChannel, Sender
from inapp_monitor.export.progress_file import Progress, Written
from inapp_monitor.export.running_totals import DIRECTORY, Series
from inapp_monitor.ground import disk_shares
from inapp_monitor.ground.clock import Clock, perf_counter
from inapp_monitor.ground.config import Settings
from inapp_monitor.ground.destination import Destination, parse
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.points import Method, Scalar
from inapp_monitor.ground.version import VERSION

#: Failures in a row that are more than a restart of the peer: after half a minute.
_MANY_FAILURES: Final = 5
#: Seconds for which a peer may be waited for before that is a fault: what a call takes at most.
_LONG_S: Final = 60.0
#: Seconds that the end of the process waits for what is being sent.
_PATIENCE_S: Final = 1.0

_THREAD_PART = "thread of an export"


class Exporting:
    """The forwarders of one data directory.

    Args:
        settings: What to send where; how the app is identified to peers.

    *Threads:* `rows` for any, the rest for the ticking thread.
    """

    def __init__(
        self,
        settings: Settings,
        store: Series,
        database: Database,
        clock: Clock,
        guard: Guard,
    ) -> None:
        self._guard = guard
        data_dir = settings.data_dir
        identity = Identity(
            settings.app_name, settings.environment, settings.release, data_dir, VERSION
        )
        self._is_leader = False
        self._reported: dict[str, tuple[int, int]] = {}
        self._forwarders: dict[str, tuple[Destination, Forwarder]] = {}
        self._sdk: ApplicationSdk | None = None
        for destination in map(parse, settings.forward):
            if destination.kind == "sentry_sdk":
                self._sdk = ApplicationSdk()
                continue
            totals = self._written_of(f"totals of the export to {destination.label}")
            for what, make in _makers(
                destination, store, database, identity, settings.disk_budget, totals
            ).items():
                self._forwarders[destination.node + what] = (
                    destination,
                    Forwarder(
                        make,
                        data_dir / DIRECTORY / (destination.node + what),
                        clock,
                        f"inapp-monitor-{destination.kind}{what}",
                        self._failure_of(destination),
                        self._written_of(f"position of the export to {destination.label}{what}"),
                    ),
                )

    @property
    def exception_listener(self) -> Callable[[BaseException], object] | None:
        """What is to be called with each exception, in its thread; None when nothing is."""
        return None if self._sdk is None else self._sdk.hand_over

    def _failure_of(self, destination: Destination) -> Callable[[Exception], None]:
        def failed(error: Exception) -> None:
            self._guard.failed(f"export to {destination.label}", error)

        return failed

    def _written_of(self, file: str) -> Written:
        def written(error: OSError | None) -> None:
            if error is not None:
                self._guard.failed(file, error)
            elif file in self._guard.faults:
                self._guard.recovered(file)

        return written

    def tick(self, *, is_leader: bool) -> None:
        """Have the threads run in the leader."""
        self._is_leader = is_leader
        failure: RuntimeError | None = None
        for _, forwarder in self._forwarders.values():
            try:
                forwarder.tick(is_leader=is_leader)
            except RuntimeError as error:  # no thread can be started here
                failure = error
        if failure is not None:
            self._guard.failed(_THREAD_PART, failure)
        elif _THREAD_PART in self._guard.faults:
            self._guard.recovered(_THREAD_PART)

    def stop(self) -> None:
        """End the threads, and wait a moment for all that they are sending."""
        forwarders = [forwarder for _, forwarder in self._forwarders.values()]
        for forwarder in forwarders:
            forwarder.end_soon()
        deadline = perf_counter() + _PATIENCE_S
        for forwarder in forwarders:
            forwarder.stop(max(0.0, deadline - perf_counter()))

    def forked(self) -> None:
        """In a child process."""
        self._is_leader = False
        self._reported = {}
        if self._sdk is not None:
            self._sdk.forked()
        for _, forwarder in self._forwarders.values():
            forwarder.forked()

    def drops(self) -> dict[str, int]:
        """What this process could not hand over, by destination."""
        found = {f"export {node}": f.dropped for node, (_, f) in self._forwarders.items()}
        if self._sdk is not None:
            found["export sentry_sdk"] = self._sdk.dropped
        return {reason: n for reason, n in found.items() if n}

    def rows(self) -> list[dict[str, Any]]:
        """Each destination: where, what it was sent, what waits, and what is wrong."""
        rows = []
        for node, (destination, forwarder) in self._forwarders.items():
            known = forwarder.progress()
            rows.append(
                {
                    "destination": _label(node, destination),
                    "state": "no answer yet" if forwarder.hangs_s() else _state(known),
                    "sent": known.sent,
                    "dropped": known.dropped,
                    "waiting": known.waiting,
                    "lag_s": known.waiting_s,
                    "failures": known.failures,
                    "last_error": known.last_error,
                    "last_sent": known.last_sent,
                }
            )
        return rows if self._sdk is None else [*rows, _row_of(self._sdk)]

    def _each(self) -> list[tuple[str, tuple[Destination, Forwarder]]]:
        """All forwarders that run here."""
        return list(self._forwarders.items()) if self._is_leader else []

    def _show(self, label: str, known: Progress, hangs_s: float) -> None:
        """A peer that does not come back is among the faults until it does."""
        part = f"export to {label}"
        if hangs_s > _LONG_S:  # no call takes so long: a name server, as a rule
            self._guard.failed(part, TimeoutError(f"no answer for {hangs_s:.0f} s"))
        elif known.failures >= _MANY_FAILURES:
            self._guard.failed(part, ConnectionError(known.last_error))
        elif not known.failures and not hangs_s and part in self._guard.faults:
            self._guard.recovered(part)

    def scalars(self, now: int) -> list[Scalar]:
        """How they fare, as series: from the leader, and of the SDK from each worker."""
        scalars = [] if self._sdk is None else self._of_sdk(self._sdk, now)
        for node, (destination, forwarder) in self._each():
            known, prefix = forwarder.progress(), f"monitor.export.{node}"
            self._show(_label(node, destination), known, forwarder.hangs_s())
            before = self._reported.get(node)
            self._reported[node] = known.sent, known.dropped
            scalars += [
                Scalar(f"{prefix}.lag_s", now, known.waiting_s, Method.MAX),
                Scalar(f"{prefix}.failures", now, float(known.failures), Method.MAX),
            ]
            if before is not None:
                scalars += _rises(prefix, now, (known.sent, known.dropped), before)
        return scalars

    def _of_sdk(self, sdk: ApplicationSdk, now: int) -> list[Scalar]:
        before = self._reported.get("sentry_sdk", (0, 0))
        known = self._reported["sentry_sdk"] = sdk.sent, sdk.dropped
        return _rises("monitor.export.sentry_sdk", now, known, before)


def _label(node: str, destination: Destination) -> str:
    """A forwarder's for people: a destination has one for each kind of thing it is sent."""
    return destination.label + node.removeprefix(destination.node).replace("_", " ")


def _rises(prefix: str, now: int, known: tuple[int, int], before: tuple[int, int]) -> list[Scalar]:
    """What was sent and dropped since; the latter only where something was."""
    rises = [max(0, total - earlier) for total, earlier in zip(known, before, strict=True)]
    return [
        Scalar(f"{prefix}.{name}", now, float(rise), Method.SUM)
        for name, rise in zip(("sent", "dropped"), rises, strict=True)
        if rise or name == "sent"
    ]


def _row_of(sdk: ApplicationSdk) -> dict[str, Any]:
    state = "refused" if sdk.last_error else "ok" if sdk.sent else "nothing sent yet"
    return {
        "destination": "sentry_sdk (this worker)",
        "state": state,
        "sent": sdk.sent,
        "dropped": sdk.dropped,
        "waiting": 0,
        "lag_s": 0.0,
        "failures": 0,
        "last_error": sdk.last_error,
        "last_sent": 0.0,
    }


def _state(known: Progress) -> str:
    if known.failures:
        return "failing"
    if known.last_error:
        return "refused"
    return "ok" if known.last_sent else "nothing sent yet"


def _makers(
    destination: Destination,
    store: Series,
    database: Database,
    identity: Identity,
    disk_budget: int,
    written: Written,
) -> dict[str, Callable[[], Channel]]:
    """What makes the channels of a destination, in their threads: what they need is loaded there.

    Returns:
        By what is appended to the destination's name.
    """

    def numbers() -> Channel:
        return MetricsChannel(store, _sender(destination, store, identity, written))

    def errors() -> Channel:
        from inapp_monitor.export.events_channel import EventsChannel

        return EventsChannel(database, destination)

    def traces() -> Channel:
        from inapp_monitor.export.traces_channel import TracesChannel

        return TracesChannel(database, destination, identity)

    def logs() -> Channel:
        from inapp_monitor.export.logs_channel import LogsChannel
        from inapp_monitor.logs.ring_file import LogFile

        file = LogFile(identity.data_dir, disk_shares.of_logs(disk_budget))
        return LogsChannel(file, destination, identity)

    if destination.kind == "sentry":
        return {"": errors}
    if destination.kind == "otlp":
        return {"": numbers, "_traces": traces, "_logs": logs}
    return {"": numbers}


def _sender(
    destination: Destination, store: Series, identity: Identity, written: Written
) -> Sender:
    if destination.kind == "carbon":
        from inapp_monitor.export.carbon_sender import CarbonSender

        return CarbonSender(destination)
    if destination.kind == "prometheus":
        from inapp_monitor.export.remote_write_sender import RemoteWriteSender

        return RemoteWriteSender(destination, identity, store, written=written)
    from inapp_monitor.export.otlp_sender import OtlpSender

    return OtlpSender(destination, identity, written=written)
