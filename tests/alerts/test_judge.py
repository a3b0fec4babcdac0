"""The judge over a real store and database: states, incidents, messages, and the next leader."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor.alerts import review
from inapp_monitor.alerts.deploy_words import deploy_words
from inapp_monitor.alerts.engine import Engine
from inapp_monitor.alerts.incidents import Incidents
from inapp_monitor.alerts.judge import Judge
from inapp_monitor.alerts.measuring import Measuring
from inapp_monitor.alerts.memory import Memory
from inapp_monitor.alerts.observed import UnderWay
from inapp_monitor.alerts.status import Status
from inapp_monitor.database.file import Database
from inapp_monitor.ground.config import load
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Batch, Distribution, Method, Scalar
from inapp_monitor.store.series import Store
from inapp_monitor.testing import FakeClock

ROUTES = ("list.GET", "pay.POST")


class Site:
    """Two routes, one request of each a second; a judge that can be killed."""

    def __init__(self, data_dir: Path) -> None:
        self.clock = FakeClock()
        self.settings = load({"data_dir": data_dir}, environ={}).settings
        self.guard = Guard(self.clock)
        self.store = Store(data_dir, self.settings, self.clock, self.guard)
        self.database = Database(data_dir, self.settings, self.clock, self.guard)
        self.sent: list[tuple[str, str, str]] = []
        self.under_way: list[UnderWay] = []
        self.deploys: list[dict[str, Any]] = []
        self.judge = self.leader()

    def leader(self) -> Judge:
        engine = Engine(Measuring(self.store), self.database, self.guard)
        engine.enqueue = lambda connection, messages: self.sent.extend(
            (m.notification.kind.value, m.rule.name, m.series) for m in messages
        )
        return Judge(
            *(self.store, engine, Memory(self.database), Incidents(self.database)),
            *(self.clock, 250.0),
            under_way=lambda: self.under_way,
            deploys=lambda start, end: [
                each for each in self.deploys if start <= each["timestamp"] <= end
            ],
        )

    def kill(self) -> None:
        """The leader is gone without a word; another process leads from the next tick on."""
        self.judge = self.leader()

    def run(self, seconds: int, ms: float = 3.0, fails: bool = False) -> None:
        for _ in range(seconds):
            self._record(ms, fails)
            self.store.flush()
            self.tick()

    def run_unjudged(self, seconds: int, ms: float = 3.0) -> None:
        for _ in range(seconds):
            self._record(ms, fails=False)
            self.clock.advance(1)
        self.store.flush()

    def _record(self, ms: float, fails: bool) -> None:
        now = int(self.clock.now)
        durations, scalars = [], []
        for route in ROUTES:
            slow = ms if route == "list.GET" else 3.0
            durations.append(Distribution(f"routes.{route}.time", now, Histogram.of([slow])))
            durations.append(Distribution("requests.time", now, Histogram.of([slow])))
            bad = fails and route == "pay.POST"
            name = "errors" if bad else "status.2xx"
            scalars.append(Scalar(f"routes.{route}.{name}", now, 1.0, Method.SUM))
        self.store.add(Batch(scalars, durations))

    def tick(self) -> None:
        self.judge.tick(self.clock.now)
        self.judge.engine.write()
        self.database.write_pending()
        self.clock.advance(1)

    @property
    def titles(self) -> list[str]:
        return [found["title"] for found in self.judge.findings]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.store.close()
    made.database.close()


def test_a_failing_route_is_shown_with_its_share_and_sent_once(site: Site) -> None:
    """Shown within seconds with what is true since the onset; one PROBLEM, one RECOVERY."""
    site.run(120)
    assert site.judge.findings == []
    site.run(6, fails=True)
    assert site.titles == ["Errors: pay.POST fails"]
    site.run(38, fails=True)
    (found,) = site.judge.findings
    assert (found["state"], found["share"]) == ("crit", 1.0)
    assert found["bad"] == found["count"] >= 40
    assert "100 %" in found["detail"] and abs(found["since"] - (site.clock.now - 44)) < 4
    site.run(60)
    assert site.judge.findings == []
    assert [kind for kind, _, _ in site.sent] == ["PROBLEM", "RECOVERY"]
    assert {(rule, series) for _, rule, series in site.sent} == {("failing-requests", "pay.POST")}


@pytest.mark.parametrize(
    ("later_s", "words"),
    [
        (-20, "since deploy 2.5.0"),
        (0, "since deploy 2.5.0"),
        (4, ""),
    ],
)
def test_a_release_is_named_only_when_it_was_there_before(
    site: Site, later_s: int, words: str
) -> None:
    """In the finding and in the incident: what began before a release is not since it."""
    site.run(30)
    begin = site.clock.now
    site.deploys = [{"timestamp": begin + later_s, "label": "2.5.0"}]
    site.run(10, fails=True)
    (found,) = site.judge.findings
    _, mark, said = found["detail"].partition(" · ")
    assert (said, bool(mark)) == (words, bool(words))
    (incident,) = Incidents(site.database).between(0, site.clock.now)
    assert incident.deploy_words() == words
    assert incident.cause == ("2.5.0" if words else "")


@pytest.mark.parametrize(
    ("deploy", "within_s", "words"),
    [
        (1_005, 10, "since deploy 2.0"),
        (1_100, 600, "deploy 2.0 within the same 10 min"),
        (1_700, 600, ""),
        (880, 600, "since deploy 2.0"),
        (100, 7_200, "15 min after deploy 2.0"),
    ],
)
def test_words_claim_no_more_than_a_slot_tells(deploy: int, within_s: int, words: str) -> None:
    """An onset of what was stored lies anywhere in its slot."""
    marks = [{"timestamp": deploy, "label": "2.0"}, {"timestamp": 9_000, "label": "later"}]
    assert deploy_words(marks, 1_000, within_s) == words


def test_other_workers_read_what_the_leader_finds(site: Site) -> None:
    """It lies in the database, renewed each second, and is gone when it is over."""
    site.run(120)
    site.run(10, fails=True)
    _, first = Memory(site.database).published()
    site.run(5, fails=True)
    _, later = Memory(site.database).published()
    assert first[0]["title"] == later[0]["title"] == "Errors: pay.POST fails"
    assert later[0]["bad"] > first[0]["bad"]
    site.run(60)
    assert Memory(site.database).published()[1] == []


def test_a_trouble_is_an_incident_while_it_runs_and_afterwards(site: Site) -> None:
    """What belongs together is one, with its onset, its end and its parts."""
    site.run(200)
    begin = site.clock.now
    site.run(60, ms=800.0)
    (running,) = Incidents(site.database).between(begin, site.clock.now)
    assert running.ended is None and running.main.title == "Latency: list.GET is slow"
    site.run(30, ms=800.0, fails=True)
    site.run(60)
    (over,) = Incidents(site.database).between(begin, site.clock.now)
    assert over.ended is not None and abs(over.ended - begin - 90) < 5
    assert abs(over.onset - begin) < 5
    assert {part.rule for part in over.parts} == {"slow-requests", "failing-requests"}
    assert Incidents(site.database).between(0, begin - 60) == []


def test_the_next_leader_goes_on_with_the_open_trouble(site: Site) -> None:
    """Killed in the middle: the trouble stays one, is sent once and recovers once."""
    site.run(200)
    site.run(30, fails=True)
    assert [kind for kind, _, _ in site.sent] == ["PROBLEM"]
    site.kill()
    site.run(3, fails=True)
    assert site.titles == ["Errors: pay.POST fails"]
    site.run(20, fails=True)
    site.kill()
    site.run(60)
    assert site.judge.findings == []
    assert [kind for kind, _, _ in site.sent] == ["PROBLEM", "RECOVERY"]
    assert len(Incidents(site.database).between(0, site.clock.now)) == 1


def test_a_trouble_that_ended_while_nobody_led_recovers(site: Site) -> None:
    """The app was down; what is healthy by now is no problem any more."""
    site.run(200)
    site.run(30, fails=True)
    site.clock.advance(3_600)
    site.kill()
    site.run(120)
    states = site.judge.engine.states
    assert states["failing-requests", "pay.POST"].state.status == Status.OK
    (incident,) = Incidents(site.database).between(0, site.clock.now)
    assert incident.ended is not None


def test_a_route_whose_durations_found_no_room_is_judged_by_its_failures(site: Site) -> None:
    """The store keeps its counts; that is enough to say that it fails."""
    site.run(60)
    for second in range(30):
        now = int(site.clock.now)
        name = "errors" if second >= 15 else "status.2xx"
        point = Scalar(f"routes.other.GET.{name}", now, 1.0, Method.SUM)
        site.store.add(Batch([point], []))
        site.tick()
    assert site.titles == ["Errors: other.GET fails"]


def test_a_request_that_hangs_is_shown_before_it_ends(site: Site) -> None:
    """Three at once are critical, and over when they have ended."""
    site.run(120)
    for age in range(14):
        site.under_way = [UnderWay("pay.POST", 1_000.0 * age, "/pay")] * 3
        site.run(1)
        assert bool(site.judge.findings) == (age >= 10)
    (found,) = site.judge.findings
    assert (found["title"], found["state"]) == ("Hanging: /pay", "crit")
    assert "3 requests" in found["detail"]
    site.under_way = []
    site.run(25)
    assert site.judge.findings == []
    detail = site.judge.engine.states["hanging-requests", "pay.POST"].detail
    assert detail.startswith("over: 3 requests had been running for ")


def test_a_clock_that_is_set_back_neither_begins_nor_ends_a_trouble(site: Site) -> None:
    """An hour back in the middle of it."""
    site.run(200)
    site.run(20, fails=True)
    site.clock.step_wall(-3_600)
    site.run(5, fails=True)
    assert site.titles == ["Errors: pay.POST fails"]
    assert [kind for kind, _, _ in site.sent] == ["PROBLEM"]


def test_a_judge_without_memory_learns_from_the_archives(site: Site) -> None:
    """The first judge of an app with a past knows what is usual within some ticks."""
    site.run_unjudged(1_500)
    site.run(10)
    assert site.judge.detector.routes["list.GET"].usual.is_known
    site.run(15, ms=200.0)
    assert site.titles == ["Latency: list.GET is slow"]


def test_looking_back_names_what_nobody_judged(site: Site) -> None:
    """The same detector over the stored slots: which route, since when, until when."""
    begin = int(site.clock.now)
    site.run_unjudged(900)
    onset = int(site.clock.now)
    site.run_unjudged(120, ms=800.0)
    end = int(site.clock.now)
    site.run_unjudged(200)
    now = int(site.clock.now)
    found = review.review(site.store, begin, now, now, 250.0)
    slow = next(each for each in found if each.trouble.route == "list.GET")
    assert slow.trouble.kind == "slow" and slow.ended is not None
    assert slow.trouble.onset <= onset <= slow.trouble.onset + slow.slot_s
    assert abs(slow.ended - end) <= 20
    assert review.review(site.store, begin, onset - 60, now, 250.0) == []
