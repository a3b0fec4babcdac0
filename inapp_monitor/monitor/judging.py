"""What the judge asks of the monitor: names of routes, requests under way, deploys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from inapp_monitor.alerts import built_in
from inapp_monitor.alerts.engine import Engine
from inapp_monitor.alerts.incidents import Incidents
from inapp_monitor.alerts.judge import Judge
from inapp_monitor.alerts.memory import Memory
from inapp_monitor.alerts.observed import UnderWay
from inapp_monitor.database.file import Database
from inapp_monitor.database.posted_events import PostedEvents
from inapp_monitor.ground.names import route_slug
from inapp_monitor.issues.triage import Triage
from inapp_monitor.monitor.core import Core
from inapp_monitor.recorder.routes import UNROUTED
from inapp_monitor.store.series import Store


def make(core: Core, engine: Engine, store: Store, database: Database, triage: Triage) -> Judge:
    """The judge of one monitor. No I/O."""
    asked = _Asked(core, database, triage)
    for rule in built_in.queried():
        engine.add_default(rule)
    judge = asked.judge = Judge(
        *(store, engine, Memory(database)),
        Incidents(database),
        core.clock,
        core.settings.apdex_target_s * 1_000,
        asked.name_of,
        asked.under_way,
        asked.deploys,
    )
    return judge


class _Asked:
    """Answers what the judge asks."""

    judge: Judge

    def __init__(self, core: Core, database: Database, triage: Triage) -> None:
        self._core = core
        self._triage = triage
        self._events = PostedEvents(database)
        self._slugs: dict[str, str] = {}

    def name_of(self, route: str) -> str:
        """A route by slug and method: `/list`, or `POST /pay` where it has several methods."""
        slug, _, method = route.rpartition(".")
        name = self._core.recorder.routes.slugs.get(slug) or self._core.stored_routes().get(slug)
        name = name or slug
        known = self.judge.detector.routes
        alone = not any(each != route and each.rpartition(".")[0] == slug for each in known)
        return name if alone else f"{method} {name}"

    def under_way(self) -> Iterable[UnderWay]:
        """The requests of all workers that have not ended, the oldest ones of each."""
        for row in self._core.live_requests.rows():
            template = row["route"] or UNROUTED
            slug = self._slug_of(template)
            label = row["path"] if template == UNROUTED else self.name_of(f"{slug}.{row['method']}")
            yield UnderWay(f"{slug}.{row['method']}", 1_000 * row["age_s"], label)

    def _slug_of(self, template: str) -> str:
        slug = self._slugs.get(template)
        if slug is None:
            routes = self._core.recorder.routes.slugs.items()
            known = {name: each for each, name in [*self._core.stored_routes().items(), *routes]}
            if len(self._slugs) > 10_000:
                self._slugs.clear()
            slug = self._slugs[template] = known.get(template) or route_slug(template)
        return slug

    def deploys(self, start: float, end: float) -> list[dict[str, Any]]:
        """Deploys of a window, the oldest first: `timestamp` and `label`."""
        posted = self._events.find(int(start), int(end) + 1, ["deploy"])
        found = {event.what: float(event.moment) for event in reversed(posted)}
        releases = sorted(self._triage.releases_first_seen().items(), key=lambda pair: pair[1])
        for name, when in releases[1:]:  # the very first one is no change
            found[name] = min(when, found.get(name, when))
        marks = [
            {"timestamp": when, "label": name[:24]}
            for name, when in found.items()
            if start <= when <= end
        ]
        return sorted(marks, key=lambda mark: mark["timestamp"])
