"""Rules that look every now and then: each finds its fault, and is silent before a healthy app."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from inapp_monitor import Monitor
from inapp_monitor.alerts import built_in
from inapp_monitor.alerts.busy_threads import Busy, BusyThreads, stalled_s
from inapp_monitor.alerts.engine import Engine
from inapp_monitor.alerts.looks import Look, Looks
from inapp_monitor.alerts.measuring import Measuring
from inapp_monitor.alerts.memory_growth import MemoryGrowth, growth_of
from inapp_monitor.alerts.missed_jobs import MissedJobs
from inapp_monitor.alerts.slow_statements import Row, SlowStatements, slower
from inapp_monitor.alerts.status import Status
from inapp_monitor.database.file import Database
from inapp_monitor.database.series_descriptions import SeriesDescriptions
from inapp_monitor.ground.config import load
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Batch, Distribution, Method, Scalar
from inapp_monitor.ground.series_description import Description
from inapp_monitor.ingest.doors import Door
from inapp_monitor.ingest.protocols.statsd import StatsDParser
from inapp_monitor.store.series import Store
from inapp_monitor.testing import FakeClock

MIB = 2**20


class Leader:
    """An engine over a store and a database, and what it sent."""

    def __init__(self, data_dir: Path) -> None:
        self.clock = FakeClock()
        settings = load({"data_dir": data_dir}, environ={}).settings
        self.guard = guard = Guard()
        self.store = Store(data_dir, settings, self.clock, guard)
        self.database = Database(data_dir, settings, self.clock, guard)
        self.sent: list[tuple[str, str]] = []
        self.engine = self.next_engine()

    def next_engine(self) -> Engine:
        """That of the next leader."""
        made = Engine(Measuring(self.store), self.database, self.guard)
        made.enqueue = lambda _connection, messages: self.sent.extend(
            (m.title, m.notification.kind.value) for m in messages
        )
        return made

    def look(self, looks: Looks) -> list[tuple[str, str]]:
        """One tick; what was sent by it."""
        looks.tick(self.clock.now)
        self.engine.write()
        self.database.write_pending()
        sent, self.sent = self.sent, []
        return sent


@pytest.fixture
def leader(tmp_path: Path) -> Iterator[Leader]:
    made = Leader(tmp_path)
    yield made
    made.store.close()
    made.database.close()


@dataclass
class Job:
    """A job that checks in."""

    status: str
    slug: str = "nightly-mail"
    project: str = "1"
    environment: str = "production"
    schedule: None = None


def test_a_job_that_did_not_run_is_sent_once_and_its_next_run_ends_it(leader: Leader) -> None:
    """While it runs nothing is known; a job that was taken from the list is no problem."""
    jobs = [Job("ok"), Job("error", slug="backup")]
    looks = Looks(leader.engine, [Look(built_in.JOBS, MissedJobs(lambda: jobs), 15.0)])
    assert leader.look(looks) == [("Job backup failed", "PROBLEM")]
    jobs[0].status = "missed"
    leader.clock.advance(20)
    assert leader.look(looks) == [("Job nightly-mail did not run", "PROBLEM")]
    for status, sent in (("missed", []), ("in_progress", []), ("ok", ["RECOVERY"])):
        jobs[0].status = status
        leader.clock.advance(70)
        assert [kind for _, kind in leader.look(looks)] == sent
    jobs.clear()
    leader.clock.advance(20)
    assert [kind for _, kind in leader.look(looks)] == ["RECOVERY"]


def _line(first: float, last: float) -> list[float]:
    return [first + (last - first) * i / 359 for i in range(360)]


@pytest.mark.parametrize(
    ("values", "past", "grows"),
    [
        (_line(300 * MIB, 900 * MIB), [], True),
        (_line(300 * MIB, 900 * MIB), [310.0 * MIB], True),
        (_line(300 * MIB, 900 * MIB), [880.0 * MIB], False),  # as on other days
        (_line(300 * MIB, 340 * MIB), [], False),  # little
        ([400.0 * MIB] * 360, [], False),
        ([900 * MIB * (1 - math.exp(-i / 40)) for i in range(360)], [], False),  # caches fill
        (_line(300 * MIB, 600 * MIB)[:180] + _line(300 * MIB, 700 * MIB)[180:], [], True),
        ([*_line(300 * MIB, 900 * MIB)[:300], *[300.0 * MIB] * 60], [], False),  # restarted
        ([math.nan] * 200 + _line(300 * MIB, 900 * MIB)[200:], [], False),  # too young
    ],
)
def test_only_growth_that_is_steady_and_unusual_is_growth(
    values: list[float], past: list[float], *, grows: bool
) -> None:
    """Filling caches, busy mornings, restarts and young processes are none."""
    assert (growth_of(values, past) is not None) == grows


def test_growth_that_was_found_ends_when_it_ends() -> None:
    """A noise in its middle is no end, and no second message; a plateau is, and a restart."""
    noisy = _line(300 * MIB, 900 * MIB)
    noisy[60:120] = noisy[120:180] = noisy[90:120] * 2
    assert growth_of(noisy) is None
    assert growth_of(noisy, goes_on=True) is not None
    flat = [*_line(300 * MIB, 900 * MIB)[:240], *[700.0 * MIB] * 120]
    restarted = [*_line(300 * MIB, 900 * MIB)[:330], *[200.0 * MIB] * 30]
    assert growth_of(flat, goes_on=True) is growth_of(restarted, goes_on=True) is None


def test_a_leak_is_named_when_a_day_of_memory_is_left(leader: Leader) -> None:
    """By the third look it is sent; with much memory left, the same growth is no matter."""
    looks = Looks(leader.engine, [Look(built_in.MEMORY, MemoryGrowth(leader.store), 300.0)])
    start = int(leader.clock.now) // 60 * 60
    sent = []
    for minute in range(60 * 7):
        moment = start + 60 * minute
        size, left = (300 + minute) * MIB, (8_000 if minute < 380 else 1_000) * MIB
        leader.clock.now = moment + 30.0
        points = [("process.memory.largest_bytes", size), ("host.memory.available_bytes", left)]
        leader.store.add(Batch([Scalar(n, moment, float(v), Method.MAX) for n, v in points], []))
        leader.store.flush()
        if minute >= 360:
            found = leader.look(looks)
            assert not found or minute > 380, minute
            sent += found
    assert sent == [("Memory grows until it is full", "PROBLEM")]
    (kept,) = [k for key, k in leader.engine.states.items() if key[0] == "memory-growth"]
    assert kept.state.status == Status.WARNING and "60 MiB an hour" in kept.detail


END = 1_800_000_000 // 600 * 600


def _rows(medians: list[float], count: int = 100) -> list[Row]:
    first = END - 600 * len(medians)
    return [Row(first + 600 * i, count, median) for i, median in enumerate(medians)]


@pytest.mark.parametrize(
    ("medians", "is_slow"),
    [
        ([5.0] * 30 + [90.0, 95.0], True),
        ([5.0] * 30 + [90.0], False),  # ten minutes pass
        ([5.0] * 10 + [90.0, 95.0], False),  # too little is known
        ([5.0] * 15 + [80.0, 80.0] + [5.0] * 30 + [90.0, 95.0], False),  # as it was at night
        ([5.0] * 30 + [20.0, 20.0], False),  # four times little is little
        ([100.0] * 30 + [200.0, 200.0], False),
    ],
)
def test_a_statement_is_slow_against_the_slowest_of_a_day(
    medians: list[float], *, is_slow: bool
) -> None:
    """Three times that, and 50 ms more, in both of the last ten minutes."""
    assert (slower(_rows(medians), END) is not None) == is_slow
    assert slower(_rows(medians, count=10), END) is None


@dataclass
class Figures:
    """Ten minutes of a statement."""

    start: int
    durations: Histogram


@dataclass
class Statement:
    """A statement's text."""

    shape: str = "select * from tea where kind = ?"
    sites: list[str] = field(default_factory=lambda: ["shop.py:12 in brew"])


def test_a_statement_that_got_slow_is_named_until_it_is_quick_again(leader: Leader) -> None:
    """What came since is no past: it stays a problem however long it lasts."""
    slow_from = slow_until = math.inf

    def figures(start: int, end: int) -> dict[str, list[Figures]]:
        made = []
        for begin in range(start // 600 * 600, end + 1, 600):
            durations = Histogram(shift=4)
            durations.add([90.0 if slow_from <= begin < slow_until else 4.0] * 60)
            made.append(Figures(begin, durations))
        return {"q1": made}

    statements = SlowStatements(figures, lambda _key: Statement())
    looks = Looks(leader.engine, [Look(built_in.STATEMENTS, statements, 60.0)])
    sent = []

    def run(minutes: int) -> None:
        for _ in range(minutes):
            leader.clock.advance(60)
            sent.extend(kind for _, kind in leader.look(looks))

    run(40)
    assert sent == []
    slow_from = leader.clock.now // 600 * 600
    run(300)
    assert sent == ["PROBLEM"]
    detail = leader.engine.states["slow-statements", "q1"].detail
    assert (
        "median 90 ms, at most 4 ms before: select * from tea" in detail and "shop.py:12" in detail
    )
    slow_until = leader.clock.now // 600 * 600
    run(30)
    assert sent == ["PROBLEM", "RECOVERY"]


WEEK_S = 7 * 86_400


@pytest.mark.parametrize(
    ("slow_calls", "ms", "slow_everywhere", "begins"),
    [
        (240, 500.0, False, False),  # the same job, a week ago
        (240, 100.0, False, True),  # it was five times as quick then
        (20, 500.0, False, True),  # a few slow calls are no job
        (240, 500.0, True, True),  # as many were slow in the hours before
        (0, 0.0, False, True),
    ],
)
def test_what_is_slow_every_week_is_no_problem(
    slow_calls: int, ms: float, *, slow_everywhere: bool, begins: bool
) -> None:
    """Its rows of three hours hold both its slow calls of a week ago and the usual ones."""
    now = 20_000 * 86_400 + 7 * 3_600  # the job began at 6:40

    def figures(start: int, end: int) -> dict[str, list[Figures]]:
        starts = range(start // 600 * 600, end + 1, 600)
        return {
            "q1": [
                Figures(at, Histogram.of([500.0 if at >= now - 1_200 else 60.0] * 60))
                for at in starts
            ]
        }

    def past(key: str, start: int, end: int) -> list[Figures]:
        assert key == "q1"
        at = now - WEEK_S - 3_600
        rows = [Figures(at - 10_800 * n, Histogram.of([60.0] * 1_080)) for n in range(5)]
        for row in rows if slow_everywhere else rows[:1]:
            row.durations.merge(Histogram.of([ms] * slow_calls))
        return [row for row in reversed(rows) if start - 10_800 < row.start <= end]

    statements = SlowStatements(figures, lambda _key: Statement(), past)
    seen = [each for _ in range(30) for each in statements(float(now), {})]
    assert bool(seen) == begins


@pytest.mark.parametrize(
    ("counts", "silent", "is_stalled"),
    [
        ([50] * 70, 20, True),
        ([50] * 70, 9, False),
        ([50] * 30, 20, False),  # too young to know what is usual
        ([1] * 70, 60, False),  # so few that none is nothing
        ([1] * 70, 310, True),
        ([50] * 60 + [0] * 6 + [50] * 4, 20, False),  # pauses are usual
        ([0] * 70, 60, False),
    ],
)
def test_nothing_ends_only_where_much_would(
    counts: list[int], silent: int, *, is_stalled: bool
) -> None:
    """The quietest of the last ten minutes says how many requests would have ended."""
    ended = [(END - 10 * (len(counts) - 1 - i), count) for i, count in enumerate(counts)]
    assert (stalled_s(ended, END + silent) > 0) == is_stalled


def test_busy_threads_are_named_when_nothing_ends_and_all_is_taken(leader: Leader) -> None:
    """Both workers hold their requests, as many as ever: CRITICAL. One free place: no word."""
    start = int(leader.clock.now) // 10 * 10
    for step in range(72):
        durations = Histogram(shift=4)
        durations.add([3.0] * 50)
        moment = start + 10 * step
        in_flight = [Scalar("requests.in_flight", moment, 3.0, Method.MAX)]
        leader.clock.now = moment + 5.0
        leader.store.add(Batch(in_flight, [Distribution("requests.time", moment, durations)]))
    leader.clock.now = start + 720 + 25.0
    under_way = [Busy("a", 24.0), Busy("b", 22.0), Busy("b", 4.0)]
    count = 3
    busy = BusyThreads(leader.store, lambda: under_way, lambda: 2, lambda: count)
    (seen,) = busy(leader.clock.now, {})
    assert seen.status == Status.CRITICAL
    assert "no request has ended for 22 s: 3 are under way in 2 workers" in seen.detail
    count = 2
    assert busy(leader.clock.now, {}) == []
    count = 3
    under_way[0] = Busy("a", 3.0)  # one worker answers
    assert busy(leader.clock.now, {}) == []


TOKEN = "a-token-for-looks-012345"


class Running:
    """A running monitor on a clock stepped by hand."""

    def __init__(self, data_dir: Path) -> None:
        self.clock = FakeClock()
        quiet = {"collect_process": False, "collect_host": False}
        given = {"data_dir": data_dir, "clock": self.clock, "token": TOKEN, **quiet}
        self.monitor = Monitor(self._app, **given)
        self.client = Client(self.monitor)

    def _app(self, _environ: object, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b""]

    def run(self, seconds: int, step: int = 1) -> None:
        for _ in range(0, seconds, step):
            self.client.get("/").close()
            self.clock.advance(step)
            self.monitor.tick()

    def get(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return self.client.get(f"/_metrics{path}", headers=headers).json

    def rule(self, name: str) -> dict[str, Any]:
        (row,) = (row for row in self.get("/alerts.json")["rules"] if row["name"] == name)
        return dict(row)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    made = Running(tmp_path)
    yield made
    made.monitor.close()


def test_a_healthy_monitor_looks_and_finds_nothing(running: Running) -> None:
    """All rules are there; in ordinary life none has found anything or failed."""
    running.run(90)
    status = {rule["name"]: rule["status"] for rule in running.get("/alerts.json")["rules"]}
    expected = ("threads-busy", "memory-growth", "slow-statements", "jobs", "own-faults")
    assert [status[name] for name in expected] == ["OK"] * len(expected)
    assert set(status.values()) == {"OK"}
    assert running.get("/status.json")["faults"] == []


def test_a_job_that_misses_its_check_in_is_named_and_is_no_new_issue(running: Running) -> None:
    """From the check-in of an SDK to the alert, and back with the next one."""
    running.run(10)
    jobs = running.monitor.life.services.sentry.cron_monitors
    schedule = {"type": "interval", "value": 1, "unit": "minute"}
    config = {"schedule": schedule, "checkin_margin": 1}
    said = {"monitor_slug": "nightly-mail", "status": "ok", "monitor_config": config}
    jobs.accept(said, "1")
    running.run(20, step=5)
    assert running.rule("jobs")["status"] == "OK"
    running.run(300, step=5)
    row = running.rule("jobs")
    assert row["status"] == "CRITICAL"
    assert "nightly-mail did not run, schedule every 1 minute" in row["series"][0]["detail"]
    assert running.rule("new-issue")["problems"] == 0
    jobs.accept(said, "1")
    running.run(30, step=5)
    assert running.rule("jobs")["status"] == "OK"


def test_service_checks_and_ranges_are_states_until_they_are_well(running: Running) -> None:
    """What a client said with its check is shown and sent; a series outside of the range that its
    collector names is a problem of its own."""
    services = running.monitor.life.services
    intake, now = services.listening.intake, int(running.clock.wall())
    limits = Description(label="five", unit="load", warning=(None, 4.0), critical=(None, 9.0))
    SeriesDescriptions(services.database).put({"munin.web1.load": limits}, now)

    def report(check: bytes, load: float) -> None:
        intake.take(Door("statsd://"), StatsDParser().parse(b"_sc|" + check, now))
        running.monitor.gauge("munin.web1.load", load)
        running.run(100, step=5)

    report(b"db.up|2|#env:prod|h:web1|m:no <answer>\\nfrom 10.0.0.1", 5.0)
    row = running.rule("service-checks")
    assert row["status"] == "CRITICAL"
    assert row["series"][0]["series"] == "checks.db.up;env=prod;host=web1"
    assert row["series"][0]["detail"] == "no <answer> from 10.0.0.1 (env=prod, host=web1)"
    assert running.rule("ranges")["status"] == "WARNING"
    assert running.rule("ranges")["series"][0]["detail"] == "5 load, should be at most 4"
    (check,) = running.get("/sources.json")["checks"]
    assert (check["name"], check["status"], check["since"]) == ("db.up", "CRITICAL", now)
    assert check["tags"] == ["env=prod", "host=web1"]
    report(b"db.up|0|#env:prod|h:web1", 3.0)
    assert running.rule("service-checks")["status"] == "OK"
    assert running.rule("ranges")["status"] == "OK"
    assert running.get("/sources.json")["checks"][0]["message"] == ""
