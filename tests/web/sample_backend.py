"""A small app's data, made up but plausible, behind the interface that pages read.

Plain objects, no files: a shop with a few routes, one of which got slow and one of which fails
since a deploy, a surge of 404s, three issues. Everything follows from the clock and a seed.
"""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from inapp_monitor.ground import config
from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.facts import CostFacts, Facts
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Method
from inapp_monitor.ground.ranges import DistributionRange, Leaf, ScalarRange
from inapp_monitor.ground.workers.route_names import RouteFacts
from inapp_monitor.issues.release import ReleaseFacts
from inapp_monitor.query.sources import StoreSource
from inapp_monitor.web.backend import Backend

#: A Monday, 15:00 UTC.
NOW = 1_795_446_000
TOKEN = "sample-token-0123456789"


@dataclass
class FileStatus:
    name: str = "s1.group"
    size: int = 60 * 2**20
    used: int = 40 * 2**20
    series: int = 61
    room: int = 195
    retention: str = "10s:6h,1m:3d,10m:30d,2h:2y"


@dataclass
class StoreStatus:
    files: list[FileStatus] = field(default_factory=lambda: [FileStatus()])
    size: int = 90 * 2**20
    used: int = 61 * 2**20
    budget: int = 256 * 2**20
    buffered: int = 4_096
    buffer_size: int = 16 * 2**20
    drops: dict[str, int] = field(default_factory=dict)
    last_flush: float = NOW - 1
    flush_s: float = 0.000_21
    fault: str = ""
    retry_in_s: float = 0.0
    damaged: list[str] = field(default_factory=list)


@dataclass
class SampleRoute:
    """One route: its template, requests a second, and median in ms before and after the fault."""

    template: str
    method: str
    rate: float
    median_ms: float
    median_later_ms: float | None = None
    error_share_later: float = 0.0


#: When the fault begins, seconds before now.
FAULT_AGE = 900
ROUTES = {
    "products-id": SampleRoute("/products/<int:id>", "GET", 10.2, 38),
    "checkout": SampleRoute("/checkout", "POST", 0.8, 120, 640, 0.06),
    "search": SampleRoute("/search", "GET", 2.2, 61),
    "reports-name-csv": SampleRoute("/reports/<name>.csv", "GET", 0.05, 420),
    "root": SampleRoute("/", "GET", 4.0, 12),
}


def step_for(age: float) -> int:
    """The finest step that is kept for so long."""
    for step, kept in ((10, 6 * 3600), (60, 3 * 86_400), (600, 30 * 86_400)):
        if age <= kept:
            return step
    return 7_200


class SampleStore:
    """Answers every fetch from formulas; `routes` can be many."""

    def __init__(self, routes: Mapping[str, SampleRoute], clock: Clock) -> None:
        self.routes = dict(routes)
        self.clock = clock
        self.generation = 1
        self.past = None
        self.gaps: list[tuple[int, int]] = []

    def leaves(self) -> list[Leaf]:
        if not self.routes:
            return []
        paths = [("requests.time", "distribution"), ("requests.errors", "scalar")]
        paths += [(f"requests.status.{name}", "scalar") for name in ("2xx", "3xx", "4xx", "5xx")]
        paths += [("requests.not_found", "scalar")]
        for slug, route in self.routes.items():
            base = f"routes.{slug}.{route.method}"
            paths += [(f"{base}.time", "distribution"), (f"{base}.errors", "scalar")]
        return [Leaf(path, kind, Method.SUM) for path, kind in sorted(paths)]

    def status(self) -> StoreStatus:
        return StoreStatus()

    def fetch(self, paths: Sequence[str], start: int, end: int, now: int) -> list[ScalarRange]:
        known = {leaf.path for leaf in self.leaves() if leaf.kind == "scalar"}
        return [self._scalar(path, start, end, now) for path in paths if path in known]

    def fetch_distribution(
        self, path: str, start: int, end: int, now: int, max_step_s: int = 0
    ) -> DistributionRange | None:
        if path == "requests.time":
            chosen = list(self.routes.values()) or None
        else:
            _, slug, _method, _ = [*path.split("."), "", "", ""][:4]
            chosen = [self.routes[slug]] if slug in self.routes else None
        if chosen is None:
            return None
        step = max([step_for(now - start), *(s for s in (60, 600, 7_200) if s <= max_step_s)])
        first = start // step * step + step
        times = range(first, min(end, now) // step * step + 1, step)
        slots = [self._slot(chosen, when, step, path) for when in times]
        return DistributionRange(path, first, first + step * len(slots), step, slots)

    def _slot(self, routes: list[SampleRoute], when: int, step: int, path: str) -> Histogram | None:
        if any(a <= when < b for a, b in self.gaps):
            return None
        rng = random.Random(f"{path} {when}")
        whole = Histogram()
        for route in routes:
            expected = route.rate * step * self._day(when)
            median = route.median_ms
            if route.median_later_ms and when > self.clock.wall() - FAULT_AGE:
                median = route.median_later_ms
            n = int(expected + rng.random())
            drawn = [median * math.exp(rng.gauss(0, 0.45)) for _ in range(min(n, 12))]
            if not drawn:
                continue
            part, weight = Histogram.of(drawn), max(round(n / 12), 1)
            part.count *= weight
            part.total *= weight
            part.buckets = {number: count * weight for number, count in part.buckets.items()}
            whole.merge(part)
        return whole if whole.count else None

    def _scalar(self, path: str, start: int, end: int, now: int) -> ScalarRange:
        step = step_for(now - start)
        first = start // step * step + step
        times = range(first, min(end, now) // step * step + 1, step)
        values = array("d", [self._value(path, when, step) for when in times])
        return ScalarRange(path, first, first + step * len(values), step, values, Method.SUM, 0.0)

    def _value(self, path: str, when: int, step: int) -> float:
        if any(a <= when < b for a, b in self.gaps):
            return math.nan
        rng = random.Random(f"{path} {when}")
        later = when > self.clock.wall() - FAULT_AGE
        parts = path.split(".")
        if parts[0] == "routes":
            route = self.routes[parts[1]]
            return float(int(route.rate * step * (route.error_share_later * later) + rng.random()))
        total = sum(route.rate for route in self.routes.values()) * self._day(when) * step
        share = {
            "requests.status.2xx": 0.9,
            "requests.status.3xx": 0.05,
            "requests.status.4xx": 0.12 if later else 0.02,
            "requests.status.5xx": 0.003,
            "requests.errors": 0.006 if later else 0.0,
            "requests.not_found": 0.12 if later else 0.02,
        }[path]
        return float(int(total * share * rng.uniform(0.8, 1.2) + rng.random() * 0.4))

    def _day(self, when: int) -> float:
        return (
            1 + 0.5 * math.sin(2 * math.pi * (when % 86_400) / 86_400) + 0.15 * math.sin(when / 700)
        )


@dataclass
class SampleIssue:
    id: str
    type: str
    title: str
    culprit: str
    count: int
    first_seen: float
    last_seen: float
    status: str = "open"
    users: int = 0
    release: str = ""
    fingerprint: str = ""
    route: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)


def sample_event() -> dict[str, Any]:
    """An event as the tracker keeps it: a chained exception with source and locals."""
    frame = {
        "function": "pay", "module": "shop.checkout", "file": "shop/checkout.py", "line": 88,
        "in_app": True, "repeated": 0,
        "source": {"first": 86, "lines": ["def pay(cart):", "    try:", "        charge(cart)"]},
        "locals": {"cart": "<Cart 3 items>", "card": "(hidden)"},
    }  # fmt: skip
    library = {**frame, "function": "send", "file": "requests/api.py", "in_app": False}
    return {
        "id": "e1", "time": NOW - 20, "route": "/checkout", "thread": "worker-1", "worker": 4711,
        "cuts": [], "request": {
            "method": "POST", "path": "/checkout", "query": "step=2",
            "headers": [["Host", "shop.example"]],
        },
        "exceptions": [
            {"type": "PaymentError", "message": "card declined upstream", "relation": "raised",
             "frames": [library, frame], "left_out": 0},
            {"type": "KeyError", "message": "'token'", "relation": "cause",
             "frames": [frame], "left_out": 2},
        ],
    }  # fmt: skip


class SampleTriage:
    """Three issues, one of them new."""

    def __init__(self) -> None:
        self.issues = [
            SampleIssue(
                "a1b2c3", "PaymentError", "PaymentError: card declined upstream", "checkout.pay:88",
                214, NOW - 900, NOW - 20,
                users=31, release="2.4.1", route="/checkout", events=[sample_event()],
            ),
            SampleIssue(
                "d4e5f6", "KeyError", "'voucher'", "cart.total:41", 3, NOW - 6e5, NOW - 5e5
            ),
            SampleIssue(
                "0a9b8c", "TimeoutError", "warehouse did not answer within 2 s",
                "stock.reserve:17", 12, NOW - 9e5, NOW - 7_200,
            ),
        ]  # fmt: skip

    def list_issues(self, limit: int = 50) -> list[SampleIssue]:
        return self.issues[:limit]

    def releases_first_seen(self) -> dict[str, float]:
        return {"2.4.0": NOW - 9e5, "2.4.1": NOW - FAULT_AGE - 20} if self.issues else {}

    def releases(self) -> list[str]:
        return ["2.4.1", "2.4.0"]

    def get_issue(self, issue_id: str) -> SampleIssue | None:
        return next((issue for issue in self.issues if issue.id == issue_id), None)


class NotFoundRow(NamedTuple):
    path: str
    count: int
    last_seen: float
    first_seen: float
    referers: list[str]


class SampleNotFound:
    """A broken link of the app's own, and scanners."""

    def __init__(self) -> None:
        self.rows = [
            NotFoundRow(
                "/static/app.9f3c.js", 1204, NOW - 3, NOW - 870,
                ["http://localhost/products/7", "http://localhost/"],
            ),
            NotFoundRow("/wp-login.php", 88, NOW - 60, NOW - 2e6, []),
            NotFoundRow("/old-catalogue", 12, NOW - 6e3, NOW - 3e6, ["https://blog.example/tea"]),
        ]  # fmt: skip

    def top(self, limit: int = 50) -> list[NotFoundRow]:
        return self.rows[:limit]


def sample_backend(
    data_dir: Path,
    *,
    routes: Mapping[str, SampleRoute] | None = None,
    empty: bool = False,
    facts: Iterable[object] = (),
    **settings: Any,
) -> Backend:
    """A backend over the sample; `empty` is an installation without any request."""
    clock = Clock(wall=lambda: float(NOW))
    chosen = {} if empty else dict(ROUTES if routes is None else routes)
    known: list[object] = [
        RouteFacts({slug: route.template for slug, route in chosen.items()}),
        ReleaseFacts("2.4.1"),
        CostFacts(cost_us=1.4, cpu_share=0.002, memory_bytes=1_400_000),
    ]
    store = SampleStore(chosen, clock)
    triage, not_found = SampleTriage(), SampleNotFound()
    if empty:
        triage.issues, not_found.rows, known = [], [], []
    given = {"token": TOKEN, "data_dir": data_dir, "app_name": "shop", **settings}
    return Backend(
        loaded=config.load(given, environ={}),
        clock=clock,
        guard=Guard(),
        source=StoreSource(store),
        store=store,
        triage=triage,
        not_found=not_found,
        facts=lambda: Facts([*known, *facts]),
    )
