"""The part that has notices sent, and what it tells receivers. Thin: the rooms do not know it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from inapp_monitor.alerts import ack_link
from inapp_monitor.alerts.context import Context
from inapp_monitor.alerts.last_values import last_shares, last_values
from inapp_monitor.alerts.measuring import Measuring
from inapp_monitor.alerts.notice import Notice
from inapp_monitor.alerts.pictured import pictured
from inapp_monitor.alerts.published_rules import PublishedRules
from inapp_monitor.alerts.question import Question
from inapp_monitor.alerts.sender import NotifierFacts, Sender
from inapp_monitor.alerts.shown_numbers import times
from inapp_monitor.alerts.standings import hard_statuses, standings
from inapp_monitor.database.posted_events import PostedEvents
from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.ground.process import late_imports
from inapp_monitor.monitor.part import Part
from inapp_monitor.monitor.services import Services

#: Issues looked through for new ones.
_LATEST = 50


class Happened(NamedTuple):
    """A deploy or a new issue."""

    moment: float
    title: str


class Notifying(Part):
    """Sends what the engine has put into the outbox, in the one process that leads."""

    name = "notifiers"
    ticks_at_end = False

    def __init__(self, services: Services) -> None:
        self._services = services
        self._core = services.core
        self._posted = PostedEvents(services.database)
        self._published = PublishedRules(services.core.settings.data_dir)
        context = Context(
            link=self._link,
            key=lambda: ack_link.key_of(services.core.settings.data_dir),
            values=self._values,
            deploys=self._deploys,
            issues=self._issues,
            contributing=self._contributing,
            unit=self._unit,
        )
        core = services.core
        self._sender = Sender(
            *(services.channels, services.outbox, core.clock, core.guard, context.enrich),
            services.database.path,
        )
        self.holds = (self._sender,)

    def tick(self, now: float) -> None:
        engine = self._services.alerts
        if not self._services.leadership.is_leader or not engine.restored():
            self._published.forget()
            return
        self._published.publish(engine.rules, now)
        if not self._sender.wants_snapshots:
            self._sender.tick(now)
            return
        statuses = hard_statuses(engine.states)
        self._sender.tick(now, statuses, lambda: standings(engine.rules, engine.states))

    def forked(self) -> None:
        self._sender.forked()

    def stop(self) -> None:
        self._sender.stop()

    def facts(self) -> NotifierFacts:
        return NotifierFacts(
            tuple(
                (each.name, each.type, each.notifier is not None)
                for each in self._services.channels
            )
        )

    # -- what receivers are sent, in the threads of notifiers

    def _link(self) -> str:
        core = self._core
        if core.settings.dashboard_url:
            return core.settings.dashboard_url.rstrip("/")
        if core.server is None:
            return ""
        with late_imports.loading():
            from inapp_monitor.web.access import login_token
        return login_token.root_url(core.server, core.settings.mount).rstrip("/")

    def _values(
        self, name: str, series: str, end: int, span_s: int, step_s: int
    ) -> list[float | None]:
        store, rule = self._services.store, self._services.alerts.rules.get(name)
        if rule is None:
            return []
        shown = pictured(rule, series)
        if shown.whole:
            return last_shares(store, shown.series, shown.whole, end, span_s, step_s)
        return last_values(store, shown.series, end, span_s, step_s) if shown.series else []

    def _unit(self, notice: Notice) -> str:
        rule = self._services.alerts.rules.get(notice.rule)
        return notice.unit if rule is None else pictured(rule, notice.series).unit

    def _contributing(self, notice: Notice) -> Sequence[str]:
        """The routes with most errors since the problem began, of a rule about the whole app."""
        if not notice.is_problem or not _is_of_all_errors(notice):
            return ()
        end = int(notice.at)
        span_s = min(max(end - int(notice.since), 0) + 60, 3_600)
        asked = Question("routes.*.*.errors", span_s, end)
        answer = Measuring(self._services.store).answer([asked], end)[asked]
        if isinstance(answer, QueryError):
            return ()
        routes = self._core.stored_routes()
        worst = sorted(answer.items(), key=lambda item: -item[1])
        return [f"{_route(path, routes)}: {count:.0f} errors" for path, count in worst if count]

    def _deploys(self, start: float, end: float) -> Sequence[Happened]:
        seen = sorted(
            self._services.tracker.triage.releases_first_seen().items(), key=lambda pair: pair[1]
        )
        found = [Happened(moment, name) for name, moment in seen[1:] if start <= moment <= end]
        posted = self._posted.find(int(start), int(end) + 1, ["deploy"])
        found += [Happened(float(event.moment), event.what[:80]) for event in posted]
        return sorted(found)

    def _issues(self, start: float, end: float) -> Sequence[Happened]:
        latest = self._services.tracker.triage.list_issues(_LATEST)
        return [
            Happened(issue.first_seen, f"{issue.title} ({times(issue.count)})")
            for issue in latest
            if start <= issue.first_seen <= end
        ]


def _is_of_all_errors(notice: Notice) -> bool:
    whole = notice.rule == "failing-requests" and notice.series == "app"
    return whole or notice.series.startswith("requests.errors")


def _route(path: str, routes: Mapping[str, str]) -> str:
    """`POST /pay` of `routes.pay.POST.errors`."""
    _, slug, method, *_ = path.split(".")
    return f"{method} {routes.get(slug, slug)}"
