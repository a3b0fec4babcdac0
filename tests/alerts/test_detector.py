"""The detector names soon what is wrong, by so many of so many, and a healthy app never."""

import random
from collections.abc import Callable

import pytest

from inapp_monitor.alerts.buckets import bucket_of
from inapp_monitor.alerts.detector import Detector
from inapp_monitor.alerts.observed import Change, Row, UnderWay

ROUTES = ("/", "/list", "/pay")
#: Milliseconds, failed, follows a broken link of the app itself; None: as ever.
Fault = Callable[[str, random.Random], tuple[float, int, int] | None]


class Life:
    """An app of three routes whose requests are simulated one by one, in steps of a second."""

    def __init__(self, seed: int, rate: float = 5.0, detector: Detector | None = None) -> None:
        self.rng = random.Random(seed)
        self.rate = rate
        self.detector = detector or Detector()
        self.clock = 0.0
        self.changes: list[Change] = []
        self._ends: list[tuple[float, float, str, float, int, int]] = []

    def run(self, seconds: float, fault: Fault | None = None) -> "Life":
        end = self.clock + seconds
        t = self.clock + self.rng.expovariate(self.rate)
        while self.clock < end:
            while t < self.clock + 1:
                route = self.rng.choice(ROUTES)
                ms, failed, broken = self.rng.lognormvariate(1.1, 0.4), 0, 0
                if fault is not None and (made := fault(route, self.rng)) is not None:
                    ms, failed, broken = made[0] or ms, made[1], made[2]
                self._ends.append((t + ms / 1_000, t, route, ms, failed, broken))
                t += self.rng.expovariate(self.rate)
            self._second()
        return self

    def _second(self) -> None:
        self.clock += 1
        over = [each for each in self._ends if each[0] <= self.clock]
        self._ends = [each for each in self._ends if each[0] > self.clock]
        counts: dict[str, list] = {}
        links = 0
        for _, _, route, ms, failed, broken in over:
            row = counts.setdefault(route, [0, 0, {}])
            row[0] += 1
            row[1] += failed
            row[2][bucket_of(ms)] = row[2].get(bucket_of(ms), 0) + 1
            links += broken
        rows = [Row(route, *row) for route, row in counts.items()]
        ages = [UnderWay(route, 1_000 * (self.clock - t)) for _, t, route, *_ in self._ends]
        self.detector.under_way(self.clock, ages)
        self.detector.step(self.clock, 1.0, rows, links, links)
        self.changes += self.detector.changes
        self.detector.changes = []

    def first(self, kind: str, route: str | None = None) -> Change:
        return next(
            change
            for change in self.changes
            if change.what == "begins"
            and change.trouble.kind == kind
            and route in (None, change.trouble.route)
        )


def on(route: str, ms: float = 0, failed: int = 0) -> Fault:
    return lambda each, rng: (ms, failed, 0) if each == route else None


CASES: list[tuple[str, Fault, str, str, float]] = [
    ("3 to 800 ms", on("/list", 800), "slow", "/list", 15),
    ("3 to 200 ms", on("/list", 200), "slow", "/list", 30),
    ("failing", on("/pay", failed=1), "fail", "/pay", 6),
    ("broken link", lambda route, rng: (0, 0, int(rng.random() < 0.5)), "broken links", "", 10),
]


@pytest.mark.parametrize(
    ("name", "fault", "kind", "route", "wish"), CASES, ids=lambda v: str(v)[:12]
)
@pytest.mark.parametrize("past_s", [100, 900])
def test_a_fault_is_named_in_seconds_and_over_within_a_minute(
    name: str, fault: Fault, kind: str, route: str, wish: float, past_s: int
) -> None:
    """Once, on the right route, however long the past is; nothing was said before."""
    for seed in (1, 2):
        life = Life(seed).run(past_s)
        assert life.changes == []
        life.run(60, fault)
        begun = life.first(kind, route)
        assert begun.t - past_s <= wish
        assert begun.trouble.key in life.detector.troubles
        assert abs(begun.trouble.onset - past_s) <= 5
        life.run(60)
        assert not life.detector.troubles
        begins = [c.trouble.key for c in life.changes if c.what == "begins"]
        assert begins.count((route, kind)) == 1


def test_the_share_is_that_since_the_onset() -> None:
    """Half an hour of good requests before does not dilute it, nor do those after the end."""
    life = Life(4).run(1_800).run(44, on("/pay", failed=1))
    trouble = life.detector.troubles["/pay", "fail"]
    assert trouble.share == 1.0 and trouble.bad == trouble.count > 30
    life.run(15)
    assert trouble.share > 0.95


def test_a_request_that_hangs_is_named_before_it_ends() -> None:
    """Within 12 s of its begin; three at once are one trouble."""
    begun: list[float] = []

    def hang(route: str, rng: random.Random) -> tuple[float, int, int] | None:
        if route == "/pay" and len(begun) < 3:
            begun.append(1)
            return (25_000, 0, 0)
        return None

    life = Life(5).run(100)
    life.run(20, hang)
    found = life.first("hang")
    assert 9 <= found.t - 100 <= 13
    assert found.trouble.at_once == 3
    assert found.t - 13 <= found.trouble.onset <= found.t - 9
    life.run(30)
    assert not life.detector.troubles


def test_a_new_detector_knows_when_a_hanging_request_began() -> None:
    """It was under way for 40 s when this process began to judge."""
    detector = Detector()
    detector.under_way(1_000.0, [UnderWay("/pay", 40_000.0), UnderWay("/pay", 15_000.0)])
    assert detector.troubles["/pay", "hang"].onset == 960.0


@pytest.mark.parametrize("past_h", [0, 24])
def test_on_a_tiny_site_the_fourth_slow_request_is_named(past_h: int) -> None:
    """Ten requests an hour, then four of four take 2.5 s."""
    rng, detector, t, slow = random.Random(past_h), Detector(), 0.0, 0
    while slow < 4:
        gap = rng.expovariate(10 / 3_600)
        for step in range(int(t) // 10 * 10 + 10, int(t + gap), 600):
            detector.step(step, 10.0, [])
        t += gap
        is_slow = t >= past_h * 3_600
        slow += is_slow
        ms = 2_500.0 if is_slow else rng.lognormvariate(1.1, 0.4)
        detector.step(int(t), 1.0, [Row(rng.choice(ROUTES), 1, 0, {bucket_of(ms): 1})])
    (trouble,) = {trouble.kind: trouble for trouble in detector.troubles.values()}.values()
    assert (trouble.kind, trouble.bad, trouble.count) == ("slow", 4, 4)


def test_a_healthy_app_is_never_said_to_be_sick() -> None:
    """An hour at five a second, two seeds: nothing begins."""
    for seed in (6, 7):
        assert Life(seed).run(3_600).changes == []


def test_a_restart_of_the_detector_changes_nothing() -> None:
    """What was dumped and loaded goes on with the open trouble, and ends it."""
    life = Life(8).run(600).run(30, on("/list", 800))
    core = life.detector.dump()
    routes = {route: watched.dump() for route, watched in life.detector.routes.items()}
    loaded = Detector()
    loaded.load(core, routes)
    assert loaded.troubles.keys() == life.detector.troubles.keys()
    life.detector = loaded
    life.run(30, on("/list", 800))
    assert loaded.troubles["/list", "slow"].bad > 50
    life.run(60)
    assert not loaded.troubles
    assert [c.what for c in life.changes if c.trouble.route == "/list"].count("begins") == 1


def test_after_a_deploy_slowness_is_no_evidence_for_a_while_but_failures_are() -> None:
    """A cold cache is no news; an exception is."""
    life = Life(9).run(600)
    life.detector.restarted(life.clock, 30)
    life.run(25, on("/list", 800))
    assert life.changes == []
    life = Life(9).run(600)
    life.detector.restarted(life.clock, 30)
    life.run(10, on("/pay", failed=1))
    assert life.first("fail")
