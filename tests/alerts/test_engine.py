"""The engine over a real store and database: rules become states, transitions and messages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from inapp_monitor.alerts import engine as engine_module
from inapp_monitor.alerts.engine import Engine
from inapp_monitor.alerts.findings import WHOLE_RULE
from inapp_monitor.alerts.issue_rules import IssueRules
from inapp_monitor.alerts.measuring import Measuring
from inapp_monitor.alerts.rule import Rule
from inapp_monitor.alerts.status import Status
from inapp_monitor.database.file import Database
from inapp_monitor.ground.config import load
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.points import Batch, Method, Scalar
from inapp_monitor.ground.ranges import ScalarRange
from inapp_monitor.store.series import Store
from inapp_monitor.testing import FakeClock


class Site:
    """A store and the engines of its leaders, on a clock stepped by hand."""

    def __init__(self, data_dir: Path) -> None:
        self.clock = FakeClock()
        self.settings = load({"data_dir": data_dir}, environ={}).settings
        self.guard = Guard(self.clock)
        self.store = Store(data_dir, self.settings, self.clock, self.guard)
        self.database = Database(data_dir, self.settings, self.clock, self.guard)
        self.sent: list[tuple[str, str, str]] = []
        self.rules: list[Rule] = []
        self.engine = self.leader()

    def leader(self) -> Engine:
        engine = Engine(Measuring(self.store), self.database, self.guard)
        engine.enqueue = lambda connection, messages: self.sent.extend(
            (m.rule.name, m.series, m.notification.kind.value) for m in messages
        )
        for each in self.rules:
            engine.add(each)
        return engine

    def rule(self, name: str, **table: object) -> None:
        made = Rule.parse(name, table, "test")
        self.rules.append(made)
        self.engine.add(made)

    def run(self, seconds: int, value: float | None = None, path: str = "shop.depth") -> None:
        """Let time pass in ticks of a second, with one value each."""
        for _ in range(seconds):
            if value is not None:
                point = Scalar(path, int(self.clock.now), value, Method.LAST)
                self.store.add(Batch([point], []))
            self.engine.tick(self.clock.now)
            self.database.write_pending()
            self.clock.advance(1)

    def status(self, name: str, series: str = "shop.depth") -> tuple[Status, bool]:
        state = self.engine.states[name, series].state
        return state.status, state.hard


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.store.close()
    made.database.close()


def test_a_problem_is_soft_then_hard_then_sent_once_and_recovered_once(site: Site) -> None:
    """Three findings in a row make it HARD; one PROBLEM, one RECOVERY."""
    site.rule("deep", target="shop.depth", critical="> 100 for 3", window="20s", interval="10s")
    site.run(60, 5.0)
    assert site.status("deep") == (Status.OK, True)
    site.run(25, 500.0)
    assert site.status("deep") == (Status.CRITICAL, False) and not site.sent
    site.run(60, 500.0)
    assert site.status("deep") == (Status.CRITICAL, True)
    site.run(60, 5.0)
    assert site.sent == [("deep", "shop.depth", "PROBLEM"), ("deep", "shop.depth", "RECOVERY")]
    changes = [(each.status, each.hard) for each in site.engine.kept_states.transitions("deep")]
    assert changes == [(Status.OK, True), (Status.CRITICAL, True), (Status.CRITICAL, False)]


def test_the_next_leader_goes_on_where_the_last_one_was_killed(site: Site) -> None:
    """It sends no second PROBLEM, and the RECOVERY."""
    site.rule("deep", target="shop.depth", critical="> 100", attempts=1, interval="10s")
    site.run(30, 500.0)
    assert len(site.sent) == 1
    site.engine = site.leader()
    site.run(60, 500.0)
    assert len(site.sent) == 1
    site.run(30, 5.0)
    assert [kind for _, _, kind in site.sent] == ["PROBLEM", "RECOVERY"]


def test_no_problem_begins_right_after_a_deploy(site: Site) -> None:
    """Within the quiet time a bad value is not even SOFT; after it, it is."""
    site.rule("deep", target="shop.depth", critical="> 100", quiet_after_deploy="1min")
    site.run(20, 5.0)
    site.engine.deployed(site.clock.now)
    site.run(50, 500.0)
    assert site.status("deep") == (Status.OK, True)
    site.run(30, 500.0)
    assert site.status("deep")[0] == Status.CRITICAL


def test_a_parent_explains_its_children(site: Site) -> None:
    """While the parent is in a HARD problem, the child's does not begin."""
    site.rule("disk", target="shop.depth", critical="> 100", attempts=1, interval="10s")
    site.rule("writes", target="shop.depth", critical="> 100", parents=["disk"], interval="10s")
    site.run(60, 500.0)
    assert site.status("disk") == (Status.CRITICAL, True)
    assert {name for name, _, _ in site.sent} == {"disk"}


def test_an_acknowledgement_asked_for_by_another_process_silences(site: Site) -> None:
    """The leader carries out what pages and commands leave in the database."""
    site.rule("deep", target="shop.depth", critical="> 100", attempts=1, renotify="30s")
    site.run(30, 500.0)
    document = {"at": site.clock.now, "author": "ann", "note": "on it", "sticky": True}
    assert site.leader().kept_states.ask("deep", "*", "acknowledge", document, site.clock.now)
    site.run(120, 500.0)
    assert [kind for _, _, kind in site.sent].count("PROBLEM") == 1
    assert site.engine.states["deep", "shop.depth"].state.acknowledged
    assert not site.database.read("select * from alert_requests")


def test_each_request_is_carried_out_though_numbers_of_rows_come_again(site: Site) -> None:
    """SQLite gives the number of a deleted row to the next one."""
    site.rule("deep", target="shop.depth", critical="> 100", attempts=1)
    site.run(30, 500.0)
    for number in range(3):
        document = {"id": str(number), "start": site.clock.now, "end": site.clock.now + 3_600}
        assert site.leader().kept_states.ask("deep", "*", "downtime", document, site.clock.now)
        site.run(5, 500.0)
    planned = site.engine.states["deep", "shop.depth"].state.downtimes
    assert [downtime.id for downtime in planned] == ["0", "1", "2"]
    assert not site.database.read("select * from alert_requests")


class BrokenSeries(Store):
    """A store of which one series cannot be read."""

    def fetch(self, paths: Sequence[str], start: int, end: int, now: int) -> list[ScalarRange]:
        if "shop.broken" in paths:
            raise OSError("Input/output error")
        return super().fetch(paths, start, end, now)


def test_a_rule_that_cannot_be_measured_is_unknown_alone(site: Site) -> None:
    """The others of the same tick are judged."""
    site.store.close()
    site.store = BrokenSeries(site.database.path.parent, site.settings, site.clock, site.guard)
    site.engine = site.leader()
    site.rule("deep", target="shop.depth", critical="> 100 for 1", window="20s", interval="10s")
    site.rule("bad", target="shop.broken", critical="> 1", window="20s", interval="10s")
    site.store.add(Batch([Scalar("shop.broken", int(site.clock.now), 1.0, Method.LAST)], []))
    site.run(60, 500.0)
    assert site.status("deep") == (Status.CRITICAL, True)
    assert site.status("bad", "") == (Status.UNKNOWN, True)
    assert "Input/output error" in site.engine.states["bad", ""].detail


def test_a_series_that_is_not_seen_any_more_follows_the_rules_policy(site: Site) -> None:
    """By default it is UNKNOWN after three intervals, not OK."""
    site.rule("deep", target="shop.depth", critical="> 100", window="20s", interval="10s")
    site.run(30, 5.0)
    site.run(90)
    assert site.status("deep")[0] == Status.UNKNOWN


def test_a_function_and_its_error_are_states(site: Site) -> None:
    """A target of the query language has a value; an unknown function is UNKNOWN with its text."""
    site.rule("twice", target="scale(shop.depth,2)", critical="> 100", interval="10s")
    site.rule("odd", target="nosuch(shop.depth)", critical="> 100", interval="10s")
    site.run(90, 60.0)
    assert site.status("twice", "scale(shop.depth,2)") == (Status.CRITICAL, True)
    kept = site.engine.states["odd", ""]
    assert kept.state.status == Status.UNKNOWN and "nosuch" in kept.detail


def test_states_of_a_rule_that_is_gone_are_forgotten(site: Site) -> None:
    """The next leader deletes what no rule speaks of."""
    site.rule("deep", target="shop.depth", critical="> 100", attempts=1)
    site.run(30, 500.0)
    site.rules.clear()
    site.engine = site.leader()
    site.run(2, 500.0)
    assert site.engine.states == {}
    assert site.database.read("select * from alert_states") == []


def test_a_clock_that_is_set_back_does_not_stop_the_rules(site: Site) -> None:
    """They are evaluated again at once, not when the old time comes again."""
    site.rule("deep", target="shop.depth", critical="> 100", attempts=1, interval="10s")
    site.run(30, 5.0)
    site.clock.step_wall(-3_600)
    site.run(60, 500.0, "shop.other")
    site.rule("other", target="shop.other", critical="> 100", attempts=1, interval="10s")
    site.run(40, 500.0, "shop.other")
    assert site.status("other", "shop.other") == (Status.CRITICAL, True)


@dataclass
class Issue:
    """One issue, as the rules look at it."""

    id: str = "a1"
    type: str = "ValueError"
    title: str = "ValueError: no such tea"
    culprit: str = "shop.cart"
    status: str = "open"
    count: int = 1
    first_seen: float = 0.0
    last_seen: float = 0.0


def test_a_new_issue_is_sent_once_and_is_silent_when_resolved_or_muted(site: Site) -> None:
    """Old ones are none; resolving ends it, and one that comes back is a state of its own."""
    now = site.clock.now
    old, new = Issue("old", first_seen=now - 9_000, last_seen=now), Issue("new")
    issues = [old]
    rules = IssueRules(site.engine, lambda: issues)

    def look() -> list[tuple[str, str, str]]:
        site.clock.advance(10)
        rules.tick(site.clock.now)
        site.engine.write()
        site.database.write_pending()
        found, site.sent[:] = list(site.sent), []
        return found

    assert look() == []
    new.first_seen = new.last_seen = site.clock.now
    issues.append(new)
    assert look() == [("new-issue", "new", "PROBLEM")]
    new.count, new.last_seen = 90, site.clock.now
    assert look() == []
    new.status = "resolved"
    assert look() == [("new-issue", "new", "RECOVERY")]
    assert look() == []
    new.status, new.last_seen = "regressed", site.clock.now
    assert look() == [("regressed-issue", "new", "PROBLEM")]
    new.status = "muted"
    assert look() == [("regressed-issue", "new", "RECOVERY")]


def test_a_killed_worker_is_critical_for_some_minutes(site: Site) -> None:
    """Its issue is no new issue besides."""
    now = site.clock.now
    issue = Issue("w", type="WorkerDied", first_seen=now, last_seen=now)
    rules = IssueRules(site.engine, lambda: [issue])
    rules.tick(now)
    assert site.status("worker-killed", "w") == (Status.CRITICAL, True)
    assert ("new-issue", "w") not in site.engine.states
    site.clock.advance(600)
    rules.tick(site.clock.now)
    assert site.status("worker-killed", "w") == (Status.OK, True)


def test_a_rule_that_fails_for_a_while_is_a_fault_for_a_while(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """UNKNOWN and on the status page; neither once it works again."""
    site.rule("deep", target="shop.depth", critical="> 100", attempts=1, interval="10s")
    with monkeypatch.context() as broken:

        def fail(*_: object) -> None:
            raise ArithmeticError("no answer")

        broken.setattr(engine_module, "findings", fail)
        site.run(15, 5.0)
    assert "rule deep" in site.guard.faults
    assert site.engine.states["deep", WHOLE_RULE].state.status == Status.UNKNOWN
    site.run(60, 5.0)
    assert not site.guard.faults
