"""The part that folds the spans of requests. Thin: `traces.tracing` does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inapp_monitor.monitor.part import Part
from inapp_monitor.monitor.services import Services
from inapp_monitor.traces import call_site, spans
from inapp_monitor.traces.attaching import HookState, attachments


@dataclass(frozen=True, slots=True)
class TracingFacts:
    """What is watched.

    Attributes:
        hooks: The libraries, and whether each is watched; none when traces are off.
    """

    hooks: Sequence[HookState] = ()


class Tracing(Part):
    """Attaches to libraries that were loaded since, and folds what requests left."""

    name = "traces"

    def __init__(self, services: Services) -> None:
        self._core = services.core
        self._store = services.store
        self._tracing = services.tracing
        self.holds = (services.tracing,)

    def attached(self) -> None:
        self._attach()

    def _attach(self) -> None:
        core = self._core
        if core.traced is not None and core.pid:
            settings = core.settings
            attachments.attach(core.monitor, settings.traces_off, settings.trace_hosts)

    def tick(self, now: float) -> None:  # noqa: ARG002
        if self._core.traced is None:
            return
        self._attach()
        call_site.know_packages(self._core.app_packages())
        self._tracing.fold()
        self._store.add(self._tracing.take())

    def forked(self) -> None:
        attachments.forked()
        spans.forked()
        self._tracing.forked()

    def close(self) -> None:
        self._tracing.write(self._core.clock.wall(), at_once=True)
        attachments.detach(self._core.monitor)

    def drops(self) -> Mapping[str, int]:
        outside = spans.outside
        return {
            **self._tracing.pending.dropped,
            "spans outside requests": outside.dropped,
            "ends of long texts of spans": outside.shortened,
        }

    def facts(self) -> TracingFacts:
        return TracingFacts(attachments.states() if self._core.traced is not None else ())


class TraceKeeping(Part):
    """Traces of slow, failed and other requests, in the database."""

    name = "kept traces"

    def __init__(self, services: Services) -> None:
        self._keeper = services.trace_keeper
        self._times = services.time_keeper
        self.holds = (services.trace_keeper, services.time_keeper)

    def tick(self, now: float) -> None:  # noqa: ARG002
        self._keeper.write()
        self._times.write()

    def forked(self) -> None:
        self._keeper.forked()
        self._times.forked()

    def drops(self) -> Mapping[str, int]:
        return {"traces": self._keeper.dropped, "times of routes": self._times.dropped}


class Profiles(Part):
    """Profiles of requests, put together by route. Before the traces, to which they belong."""

    name = "profiles"

    def __init__(self, services: Services) -> None:
        self._keeper = services.profile_keeper
        self.holds = (services.profile_keeper,)

    def tick(self, now: float) -> None:  # noqa: ARG002
        self._keeper.write()

    def forked(self) -> None:
        self._keeper.forked()

    def drops(self) -> Mapping[str, int]:
        return {"profiles": self._keeper.dropped}


class SlowRequestLooks(Part):
    """Looks where requests are that take much longer than usual."""

    name = "looks at slow requests"
    ticks_at_end = False

    def __init__(self, services: Services) -> None:
        self._is_on = services.core.traced is not None
        self._looks = services.slow_looks

    def tick(self, now: float) -> None:  # noqa: ARG002
        if self._is_on:
            self._looks.look()

    def forked(self) -> None:
        self._looks.forked()
