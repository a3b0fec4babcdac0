"""The parts that watch: token, error channels, recorder, collectors, workers and their stacks.

Thin: each calls what its room offers when the monitor's life says so. The rooms do not know them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from inapp_monitor.collectors.runner import CollectorFacts
from inapp_monitor.database.series_descriptions import SeriesDescriptions
from inapp_monitor.ground.points import Batch
from inapp_monitor.ground.process import allocator, late_imports
from inapp_monitor.monitor.announcements import signals
from inapp_monitor.monitor.part import Part
from inapp_monitor.monitor.services import Services
from inapp_monitor.recorder.recorder import RecorderFacts
from inapp_monitor.recorder.request_cells import facts_of
from inapp_monitor.request.live import WorkerFacts
from inapp_monitor.request.stacks import LiveFacts


class LoginToken(Part):
    """Shows the people at the terminal where the dashboard is, when its token is new.

    People at a development server are shown it at each start.
    """

    name = "login token"

    def __init__(self, services: Services) -> None:
        self._core = services.core
        self._announced = False

    def load_early(self, *, errors: bool) -> None:  # noqa: ARG002
        with late_imports.loading():
            import inapp_monitor.web.access.development
            import inapp_monitor.web.access.login_token  # noqa: F401

    def tick(self, now: float) -> None:  # noqa: ARG002
        core = self._core
        if self._announced or core.server is None or core.authorizer is not None:
            return
        with late_imports.loading():
            from inapp_monitor.web.access import development, login_token

        self._announced = True
        url = login_token.root_url(core.server, core.settings.mount)
        token = login_token.obtain(core.settings, core.guard)
        again = development.shows_link_at_start(core.server)
        login_token.announce(token, url, at_each_start=again)
        login_token.keep_address(core.settings.data_dir, url, core.guard)


class ErrorChannels(Part):
    """Log records, dying threads and uncaught exceptions; installed once in a process."""

    name = "error channels"

    def __init__(self, services: Services) -> None:
        self._core = services.core
        self._tracker = services.tracker
        self._listening = False
        self._unhook: Callable[[], None] = lambda: None

    def load_early(self, *, errors: bool) -> None:  # noqa: ARG002
        with late_imports.loading():
            import inapp_monitor.issues.channels  # noqa: F401

    def attached(self) -> None:
        self._listening = False

    def tick(self, now: float) -> None:  # noqa: ARG002
        if self._listening or not self._core.pid:
            return
        with late_imports.loading():
            from inapp_monitor.issues import channels

        self._unhook()  # a parent's process may have listened, and we are its child
        self._tracker.watcher = self._core.monitor
        self._core.hears_channels = True
        log_errors = self._core.settings.log_errors
        self._unhook = channels.install(self._tracker, log_errors=log_errors)
        self._listening = True

    def close(self) -> None:
        self._unhook()


class Recording(Part):
    """Folds what requests and instruments left, and hands it to the store."""

    name = "recorder"

    def __init__(self, services: Services) -> None:
        self._core = services.core
        self._store = services.store
        self._tracing = services.tracing

    def tick(self, now: float) -> None:  # noqa: ARG002
        core, heard = self._core, signals()
        core.recorder.keeps_whole = heard.anybody_wants_requests()
        folded = core.recorder.fold()
        batch = core.recorder.take()
        self._store.add(batch)
        self._tracing.count_requests(batch.distributions)
        heard.send_datapoints(core.monitor, batch.scalars, core.guard)
        heard.send_requests(core.monitor, map(facts_of, folded), core.guard)

    def drops(self) -> Mapping[str, int]:
        recorder = self._core.recorder
        return {
            "requests": recorder.dropped_requests,
            "not found hits": recorder.dropped_not_found,
            **recorder.instruments.refused,
        }

    def facts(self) -> RecorderFacts:
        return self._core.recorder.facts()


class Collecting(Part):
    """Numbers that are sampled on a timer."""

    name = "collectors"
    ending_name = "stopping collectors"

    def __init__(self, services: Services) -> None:
        self._core = services.core
        self._store = services.store
        self._leadership = services.leadership
        self._runner = services.collectors
        self._database = services.database
        self.holds = (services.collectors,)

    def tick(self, now: float) -> None:
        core = self._core
        scalars = self._runner.tick(self._leadership.is_leader, core.live_requests.shared)
        self._store.add(Batch(scalars, []))
        signals().send_datapoints(core.monitor, scalars, core.guard)
        said = self._runner.take_descriptions()
        if said:
            SeriesDescriptions(self._database).put(said, int(now))

    def forked(self) -> None:
        self._runner.forked()

    def stop(self) -> None:
        self._runner.stop()

    def drops(self) -> Mapping[str, int]:
        return self._runner.drops()

    def facts(self) -> CollectorFacts:
        return CollectorFacts(self._runner.rows())


class Workers(Part):
    """Shows the other workers what this one is doing, and reports what killed one of them.

    At the end of a process it does not look: others report the dead, or the next start.
    """

    name = "workers"
    ending_name = "leaving the workers"
    ticks_at_end = False

    def __init__(self, services: Services) -> None:
        self._core = services.core
        self._live_requests = services.core.live_requests
        self._leadership = services.leadership
        self._runner = services.collectors
        self._tracker = services.tracker

    def tick(self, now: float) -> None:  # noqa: ARG002
        self._report()
        if not self._is_leader():
            return  # another process reports them
        for aborted in self._live_requests.claim_aborted():
            self._tracker.capture_message(
                aborted.message, template=aborted.template, kind="WorkerDied", route=aborted.route
            )

    def _report(self) -> None:
        guard = self._core.guard
        try:
            if self._live_requests.report(self._about(), self._runner.shared()):
                guard.recovered("rows of workers")
        except OSError as error:  # shown until it works again, not until the next tick
            guard.failed("rows of workers", error)

    def _is_leader(self) -> bool:
        guard = self._core.guard
        if self._core.job:
            return False
        try:
            elected = self._leadership.tick()
        except OSError as error:
            guard.failed("leader lock", error)  # what must be done once is done by nobody
            return False
        guard.recovered("leader lock")
        return elected

    def close(self) -> None:
        try:
            self._live_requests.leave()
        finally:
            self._leadership.resign()

    def drops(self) -> Mapping[str, int]:
        return self._live_requests.drops()

    def facts(self) -> WorkerFacts:
        workers = self._live_requests.workers(self._about())
        return WorkerFacts(os.getpid(), self._leadership.is_leader, workers)

    def _about(self) -> dict[str, Any]:
        """This worker's row in the table of workers."""
        core, seen = self._core, self._runner.seen()
        about = {"started": core.attached_at, "requests": core.recorder.total_requests, **seen}
        return {**about, "job": core.job} if core.job else about


class Stacks(Part):
    """Answers other workers that ask what a request is doing."""

    name = "stacks"

    def __init__(self, services: Services) -> None:
        self._stacks = services.stacks

    def tick(self, now: float) -> None:  # noqa: ARG002
        self._stacks.answer_others()

    def facts(self) -> LiveFacts:
        return LiveFacts(self._stacks.rows())


class Memory(Part):
    """Gives back what large answers took."""

    name = "memory"
    ticks_at_end = False

    def __init__(self, services: Services) -> None: ...

    def tick(self, now: float) -> None:  # noqa: ARG002
        allocator.give_back_if_due()
