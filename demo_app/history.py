"""A believable past of the demo shop, written into a data directory within seconds.

    python -m demo_app.history DATA_DIR [--days 7] [--seed 1] [--fault]
    inapp-monitor serve DATA_DIR

Fifty routes with days and nights, deploys, a release that made one route slow, hours of errors,
404s, gaps; with `--fault` the last twenty minutes go wrong. It goes through the same store, tracker
and 404 table as a running monitor's data, under a clock of its own; the same seed and end give the
same numbers. What the shop is like is in `routes_of_the_past`.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import random
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from demo_app import mishaps
from demo_app.machine_of_the_past import resources
from demo_app.routes_of_the_past import SHOP, Incident, Missing, Plot, Route
from inapp_monitor.database.file import Database
from inapp_monitor.database.posted_events import PostedEvent, PostedEvents
from inapp_monitor.ground import config
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import (
    Batch,
    Distribution,
    Method,
    Scalar,
)
from inapp_monitor.ground.workers.route_names import RouteNames
from inapp_monitor.issues.not_found import NotFoundTable
from inapp_monitor.issues.scope import new_scope, set_user
from inapp_monitor.issues.tracker import Tracker
from inapp_monitor.recorder.recorder import Recorder
from inapp_monitor.recorder.routes import NOT_FOUND
from inapp_monitor.recorder.slowest import Slow
from inapp_monitor.request.slowest_file import SlowRequests
from inapp_monitor.store.series import Store
from inapp_monitor.testing import FakeClock

_HOUR, _DAY, _WEEK = 3_600, 86_400, 7 * 86_400
#: Values of a shape: what a long step's durations are drawn as, then weighted.
_SHAPE = 48
_SHAPES = 16
#: Points that the store's write buffer takes with ease.
_MOST_UNFLUSHED = 20_000
#: Routes of which it is known what their time goes to: those that take most of it.
_BREAKDOWNS = 12
_CLASSES = {"PUT": "2xx", "POST": "3xx"}


class Step(NamedTuple):
    """A stretch of the past: `width_s` long, its counters written every `fine_s`.

    As fine as the default retentions keep things of that age.
    """

    start: int
    width_s: int
    fine_s: int


def steps(begin: int, end: int) -> Iterator[Step]:
    """All stretches up to `end`, long ones first."""
    at = begin - begin % 600
    while at < end:
        age = end - at
        width = 600 if age > _DAY + 1_200 else 60 if age > _HOUR + 120 else 10
        fine = 600 if age > 3 * _DAY + 1_200 else 60 if age > 6 * _HOUR + 1_200 else 10
        yield Step(at, width, min(fine, width))
        at += width


class Story:
    """What happened when; all of it follows from the plot, the end, the seed and the fault."""

    def __init__(self, plot: Plot, end: int, seed: int, *, fault: bool) -> None:
        self.plot = plot
        self.end = end
        self.chance = random.Random(seed)
        self.incidents: list[Incident] = [*plot.incidents, *(plot.fault if fault else ())]
        self.deploys = list(plot.deploys)
        if fault and plot.fault_deploy:
            self.deploys.append(plot.fault_deploy)
        self.fault = fault

    def busy(self, when: float) -> float:
        """How many times the average of the week's traffic there is: days, nights, week-ends."""
        hour = when % _DAY / _HOUR
        daily = 1 + 0.62 * math.sin(2 * math.pi * (hour - 9.5) / 24)
        daily += 0.16 * math.sin(4 * math.pi * (hour - 5) / 24)
        weekday = int(when // _DAY + 3) % 7  # 1970 began on a Thursday
        weekend = 1.22 if weekday >= 5 else 0.94
        restless = 1 + 0.05 * math.sin(when / 1_900) + 0.04 * math.sin(when / 431)
        return max(daily, 0.12) * weekend * restless

    def is_down(self, when: float) -> bool:
        """Whether nothing was recorded."""
        age = self.end - when
        return any(last < age <= first for first, last in self.plot.gaps)

    def release(self, when: float) -> str:
        """Which release runs."""
        age = self.end - when
        return next((name for at, name in reversed(self.deploys) if at >= age), "2.1.0")

    def state(self, route: Route, when: float) -> tuple[float, float, str]:
        """How many times slower a route is, which share fails, and of what."""
        age = self.end - when
        for each in self.incidents:
            if each[:2] == route[:2] and each.ends_s < age <= each.begins_s:
                return each.slower, each.failing, each.problem
        return 1.0, 0.0, ""

    def missing_rate(self, row: Missing, when: float) -> float:
        """How often a second a missing path is asked for."""
        surging = self.fault and self.end - when <= self.plot.fault_age_s
        return max(row.rate, row.surge) if surging else row.rate

    def number(self, expected: float) -> int:
        """A whole number around the expected one, as arrivals scatter."""
        if expected > 30:
            return max(round(self.chance.gauss(expected, math.sqrt(expected))), 0)
        limit, product, n = math.exp(-expected), self.chance.random(), 0
        while product > limit:
            product *= self.chance.random()
            n += 1
        return n


class Durations:
    """Histograms of a route's durations: single values while few, ready shapes when many."""

    def __init__(self, route: Route, chance: random.Random) -> None:
        self._median, self._spread, self._chance = route.median_ms, route.spread, chance
        self._shapes: dict[float, list[Histogram]] = {}

    def of(self, count: int, slower: float) -> Histogram:
        """About `count` durations: exactly so many below twice a shape's."""
        if count < 2 * _SHAPE:
            return self._drawn(count, slower)
        if slower not in self._shapes:
            self._shapes[slower] = [self._drawn(_SHAPE, slower) for _ in range(_SHAPES)]
        shape = self._chance.choice(self._shapes[slower])
        weight = round(count / _SHAPE)
        return Histogram(
            shape.count * weight,
            shape.total * weight,
            shape.minimum,
            shape.maximum,
            {number: n * weight for number, n in shape.buckets.items()},
            shape.shift,
        )

    def _drawn(self, count: int, slower: float) -> Histogram:
        """A slow time is one in which most requests are slow, not all of them."""
        gauss, random_ = self._chance.gauss, self._chance.random
        values = []
        for _ in range(count):
            times = slower if slower == 1.0 or random_() < 0.8 else 1.0
            if slower == 1.0 and random_() < 0.004:
                times *= 6.0  # the garbage collector, a cold cache, a lock
            values.append(self._median * times * math.exp(gauss(0.0, self._spread)))
        return Histogram.of(values)


class Writer:
    """Writes a story through the parts of a monitor.

    Args:
        data_dir: Where to; must not hold a past yet.
        site: Host of the shop: pages of it link to some of the missing paths.
    """

    def __init__(self, data_dir: Path, story: Story, begin: int, site: str) -> None:
        # Synchronising a made-up past with the disk would take longer than writing it.
        given = {"data_dir": data_dir, "sync_interval_s": 3_600}
        self._settings = settings = config.load(given, environ={}).settings
        self._story, self._site = story, site
        self._clock = FakeClock(begin)
        self._guard = Guard()
        common = (data_dir, settings, self._clock, self._guard)
        self._store, self._database = Store(*common), Database(*common)
        self._release = story.release(begin)
        self._tracker = self._new_tracker()
        self._not_found = NotFoundTable(settings, self._guard, self._database)
        self._recorder = Recorder(
            self._clock,
            max_routes=settings.max_routes,
            max_series=settings.max_series,
            max_pending=settings.max_pending,
            strict=False,
            first_use=lambda: None,
        )
        self._table = self._recorder.routes
        self._names = RouteNames(data_dir)
        self._durations = {route: Durations(route, story.chance) for route in story.plot.routes}
        self._failed = 0
        self._scalars: list[Scalar] = []
        self._distributions: list[Distribution] = []
        self._whole = Histogram()
        busiest = sorted(story.plot.routes, key=lambda route: -route.rate * route.median_ms)
        self._with_breakdown = set(busiest[:_BREAKDOWNS])
        self._parts_ms: dict[str, float] = {}
        self._unflushed = 0

    def _new_tracker(self) -> Tracker:
        """The tracker of a process of the present release."""
        settings = dataclasses.replace(self._settings, release=self._release)
        return Tracker(settings, self._clock, self._guard, self._database)

    def write(self, begin: int) -> None:
        """All of it, from `begin` to the story's end."""
        story = self._story
        templates = [route.template for route in story.plot.routes]
        self._names.save_new({self._table.slug(template): template for template in templates})
        for number, step in enumerate(steps(begin, story.end)):
            self._clock.advance(step.start + step.width_s - self._clock.now)
            if story.release(step.start) != self._release:  # deployed: other processes
                self._flush()
                self._release = story.release(step.start)
                self._tracker = self._new_tracker()
            if not story.is_down(step.start):
                self._step(step)
            if number % 40 == 0 or self._unflushed > _MOST_UNFLUSHED:
                self._flush()
        self._deploys(begin)
        self._flush()
        clean = self._tracker.redactor.text
        SlowRequests(self._settings.data_dir, self._clock, self._recorder, clean).share()
        drops, faults = self._store.status().drops, self._guard.faults
        if drops or faults:
            raise OSError(f"not all could be written: {drops or faults}")
        self._store.close()
        self._database.close()

    def _flush(self) -> None:
        self._store.flush()
        self._unflushed = 0
        self._tracker.flush()
        self._not_found.flush()
        self._database.write_pending()

    def _step(self, step: Step) -> None:
        busy = self._story.busy(step.start + step.width_s / 2)
        for route in self._story.plot.routes:
            self._route(route, step, busy)
        self._missing_paths(step, busy)
        self._machine(step)
        self._distributions.append(Distribution("requests.time", step.start, self._whole))
        for issue, n in self._tracker.take_counts().items():
            self._count(f"errors.{issue}", step, n)
        self._breakdown("requests", step, self._parts_ms)
        self._store.add(Batch(self._scalars, self._distributions))
        self._unflushed += len(self._scalars)
        self._scalars, self._distributions, self._whole = [], [], Histogram()
        self._parts_ms = {}

    def _route(self, route: Route, step: Step, busy: float) -> None:
        story = self._story
        count = story.number(route.rate * busy * step.width_s)
        if not count:
            return
        slower, failing, problem = story.state(route, step.start)
        histogram = self._durations[route].of(count, slower)
        count = histogram.count
        failed = min(story.number(count * failing), count) if failing else 0
        if failed:
            self._fail(route, failed, problem)
        for method, template, share, name in story.plot.slips:
            if route[:2] == (method, template):
                slips = story.number(count * share)
                self._fail(route, slips, name)
                failed += slips
        base = f"routes.{self._table.slug(route.template)}.{route.method}"
        self._distributions.append(Distribution(f"{base}.time", step.start, histogram))
        self._whole.merge(histogram)
        self._note_slowest(route, step, histogram.maximum)
        self._time_of(route, step, histogram.total)
        good = _CLASSES.get(route.method, "2xx")
        for prefix in (base, "requests"):
            self._count(f"{prefix}.status.{good}", step, count - failed)
            self._count(f"{prefix}.status.5xx", step, failed)
            self._count(f"{prefix}.errors", step, failed)

    def _time_of(self, route: Route, step: Step, total_ms: float) -> None:
        """What a route's time went to."""
        shares = self._story.plot.shares(route)
        parts = {part: total_ms * share for part, share in shares.items()}
        for part, ms in parts.items():
            self._parts_ms[part] = self._parts_ms.get(part, 0.0) + ms
        if route in self._with_breakdown:
            self._breakdown(f"routes.{self._table.slug(route.template)}", step, parts)

    def _breakdown(self, prefix: str, step: Step, parts_ms: Mapping[str, float]) -> None:
        times = range(step.start, step.start + step.width_s, step.fine_s)
        for part, ms in parts_ms.items():
            path, each = f"{prefix}.breakdown.{part}", ms / len(times)
            self._scalars += [Scalar(path, at, each, Method.SUM) for at in times]

    def _note_slowest(self, route: Route, step: Step, ms: float) -> None:
        """Keep the slowest request of a step for the table of the last hour."""
        key = (self._table.slug(route.template), route.method)
        started = step.start + self._story.chance.random() * step.width_s
        slowest = self._recorder.slowest
        if ms > slowest.floor(key, started):
            path = self._environ(route)["PATH_INFO"]
            slowest.offer(key, Slow(ms, path, started, "200 OK"))

    def _fail(self, route: Route, times: int, problem: str) -> None:
        """Raise and capture what a route is said to have raised."""
        story = self._story
        for _ in range(times):
            self._failed += 1
            environ = self._environ(route)
            error = mishaps.answer(story.plot.problems[problem], self._failed)
            with new_scope():
                set_user({"id": story.chance.randrange(100, 400)})
                self._tracker.capture(error, environ, route=route.template)

    def _environ(self, route: Route) -> Mapping[str, Any]:
        path = route.template.replace("<int:number>", "4711").replace("<int:year>", "2025")
        path = path.replace("<int:product_id>", "7").replace("<slug>", "white-tea")
        return {
            "REQUEST_METHOD": route.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.url_scheme": "http",
            "HTTP_HOST": self._site,
            "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Firefox/131.0",
            "HTTP_REFERER": f"http://{self._site}/cart",
        }

    def _missing_paths(self, step: Step, busy: float) -> None:
        story, total, broken_links = self._story, 0, 0
        for row in story.plot.missing:
            count = story.number(story.missing_rate(row, step.start) * busy * step.width_s)
            total += count
            for _ in range(count):
                referer = story.chance.choice(row.referers) if row.referers else ""
                if referer.startswith("/"):
                    referer = f"http://{self._site}{referer}"
                    broken_links += 1
                when = step.start + story.chance.random() * step.width_s
                self._not_found.add([(row.path, referer, when)])
        if not total:
            return
        histogram = Histogram.of([1.1 * math.exp(story.chance.gauss(0, 0.4)) for _ in range(total)])
        base = f"routes.{self._table.slug(NOT_FOUND)}.GET"
        self._distributions.append(Distribution(f"{base}.time", step.start, histogram))
        self._whole.merge(histogram)
        for path in (f"{base}.status.4xx", "requests.status.4xx", "requests.not_found"):
            self._count(path, step, total)
        self._count("requests.broken_links", step, broken_links)

    def _count(self, path: str, step: Step, total: int) -> None:
        """A counter's part of a step, spread over its finer ones."""
        parts = step.width_s // step.fine_s
        given = 0
        for part in range(parts):
            upto = round(total * (part + self._story.chance.random()) / parts)
            n = total - given if part == parts - 1 else max(upto - given, 0)
            if n:
                at = step.start + part * step.fine_s
                self._scalars.append(Scalar(path, at, float(n), Method.SUM))
                given += n

    def _machine(self, step: Step) -> None:
        """Process and host, every fine step."""
        story = self._story
        for start in range(step.start, step.start + step.width_s, step.fine_s):
            age = story.end - start
            slow = any(i.slower > 3 and i.ends_s < age <= i.begins_s for i in story.incidents)
            uptime = min((at - age for at, _ in story.deploys if at >= age), default=_WEEK)
            self._scalars += resources(
                story.chance, start, step.fine_s, story.busy(start), uptime, slow
            )

    def _deploys(self, begin: int) -> None:
        events = PostedEvents(self._database)
        for age, release in self._story.deploys:
            when = int(self._story.end - age)
            if when >= begin:
                events.add(PostedEvent(when, release, ("deploy",), f"release {release}"))


def write(
    data_dir: Path,
    *,
    days: float = 7,
    seed: int = 1,
    end: int | None = None,
    fault: bool = False,
    site: str = "127.0.0.1:8000",
    plot: Plot = SHOP,
) -> None:
    """Write a past of `plot` that ends at `end` (epoch seconds; default: now).

    Raises:
        FileExistsError: the directory holds data already.
    """
    if (data_dir / "routes").exists():
        raise FileExistsError(f"{data_dir} holds data already")
    end = int(time.time()) if end is None else end
    begin = end - int(days * _DAY)
    story = Story(plot, end, seed, fault=fault)
    Writer(data_dir, story, begin, site).write(begin)


def main(argv: list[str] | None = None) -> int:
    """The command line; 2 when the directory holds data already."""
    parser = argparse.ArgumentParser(prog="python -m demo_app.history", description=__doc__)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--days", type=float, default=7.0, help="at most 400")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", action="store_true", help="the last minutes go wrong")
    given = parser.parse_args(argv)
    try:
        write(
            given.data_dir, days=min(max(given.days, 0.1), 400), seed=given.seed, fault=given.fault
        )
    except OSError as error:
        print(f"history: {error}", file=sys.stderr)
        return 2
    print(f"Look at it: inapp-monitor serve {given.data_dir}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
