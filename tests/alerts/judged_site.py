"""A data directory with rules and states, as a leader would have left it a moment ago."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from inapp_monitor.alerts import kept_states
from inapp_monitor.alerts.kept_states import Kept, KeptStates, Transition
from inapp_monitor.alerts.outbox import Outbox
from inapp_monitor.alerts.published_rules import PublishedRules
from inapp_monitor.alerts.rule import Rule
from inapp_monitor.alerts.state import State, StateConfig, step
from inapp_monitor.alerts.status import Status
from inapp_monitor.cli.serving import stored_backend
from inapp_monitor.database.file import Database
from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.ground.config import load
from inapp_monitor.ground.guard import Guard
from inapp_monitor.web.app import WebApp
from tests.alerts.notices import HOSTILE, message

TOKEN = "a-token-for-tests"
RULES: dict[str, dict[str, Any]] = {
    "pay-fails": {"critical": "requests.errors > 5", "severity": "page", "title": "/pay fails"},
    "deep.queue": {"target": "shop.*.depth", "warning": "10", "critical": "~:50", "unit": "jobs"},
    "fine": {"critical": "shop.load > 5"},
    "new": {"critical": "shop.new > 5"},
}


class JudgedSite:
    """Three rules have been judged: `pay-fails` is CRITICAL, `deep.queue` has two WARNINGs."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.now = time.time()
        self.settings = load({"data_dir": data_dir, "token": TOKEN}, environ={}).settings
        self.database = Database(data_dir, self.settings, SYSTEM, Guard())
        self.kept = KeptStates(self.database)
        self.outbox = Outbox(self.database, "shop", lambda notice: ["ops"])
        data_dir.mkdir(parents=True, exist_ok=True)
        self.rules = {name: Rule.parse(name, table, "test") for name, table in RULES.items()}
        self.judge()
        self.put("pay-fails", "", Status.CRITICAL, 100.0, "34 of 34 requests failed")
        self.put("deep.queue", "shop.b.depth", Status.WARNING, 12.0, "12 jobs, warning range 10")
        self.put("deep.queue", "shop.c.depth", Status.WARNING, 11.0, HOSTILE[:200])
        self.put("deep.queue", "shop.a.depth", Status.OK, 1.0, "")
        self.put("fine", "shop.load", Status.OK, 0.5, "0.5 in 60 s")
        self.write(lambda connection: self.outbox.enqueue(connection, [message()]))

    def judge(self, ago_s: float = 0.0) -> None:
        """The leader has given a sign of life."""
        PublishedRules(self.data_dir).publish(self.rules, self.now)
        import os

        os.utime(self.data_dir / "alert-rules.json", (self.now - ago_s,) * 2)

    def write(self, change: Any) -> None:
        self.database.submit(change, 100)
        self.database.write_pending()

    def put(self, rule: str, series: str, status: Status, value: float, detail: str) -> None:
        state, began = State(), self.now - 200
        for each in range(3):
            state, _ = step(StateConfig(), state, status, began + each * 60)
        kept = Kept(replace(state, since=began), value, detail)
        turn = Transition(rule, series, self.now - 80, status, True, value, detail)
        self.write(lambda connection: kept_states.write_state(connection, (rule, series), kept))
        self.write(lambda connection: kept_states.write_transition(connection, turn))

    def app(self, *, live: bool = True, **settings: Any) -> WebApp:
        backend = stored_backend(self.data_dir, token=TOKEN)
        backend.loaded = load({"data_dir": self.data_dir, "token": TOKEN, **settings}, environ={})
        backend.live = live
        self.backend = backend
        return WebApp(backend)

    def asked(self) -> list[tuple[str, str, str]]:
        return [(each.rule, each.series, each.action) for each in self.kept.requests(0)]
