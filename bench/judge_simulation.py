"""False alarms and found incidents: simulated apps through the product's own store, judge and
outbox, on a clock that is stepped by hand.

    .venv/bin/python -m bench.judge_simulation healthy DAYS [--seed 1] [--only shop,gc_pauses]
    .venv/bin/python -m bench.judge_simulation planted [--past 2] [--seed 1] [--kind step]
    .venv/bin/python -m bench.judge_simulation peers DAYS [--seed 1]     # the rules of others

`healthy` counts notifications (PROBLEM notices of the outbox) of apps with which nothing is wrong;
`planted` tells, for each incident, when it was shown, when it was sent, whether the right route was
named, and how many PROBLEM and RECOVERY notices it made. `peers` prints the same for threshold
rules as in Grafana's and Prometheus's examples and for burn rates as in the SRE workbook.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import simulated_apps as sim
from inapp_monitor.alerts.engine import Engine
from inapp_monitor.alerts.incidents import Incidents
from inapp_monitor.alerts.judge import Judge
from inapp_monitor.alerts.measuring import Measuring
from inapp_monitor.alerts.memory import Memory
from inapp_monitor.alerts.outbox import Outbox
from inapp_monitor.database.file import Database
from inapp_monitor.ground.config import load
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Batch, Distribution, Method, Scalar
from inapp_monitor.store.series import Store
from inapp_monitor.testing import FakeClock

DAY = 86_400
#: A Monday.
EPOCH = 1_700_438_400
_SHIFT = 5


@dataclass
class Notice:
    """What was sent."""

    t: float
    kind: str
    rule: str
    series: str


@dataclass
class Shown:
    """What the page showed first, and until when."""

    t: float
    route: str
    kind: str


@dataclass
class App:
    """One simulated app under the product's own store, judge and outbox."""

    directory: Path
    notices: list[Notice] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    deploys: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = FakeClock(EPOCH)
        settings = load({"data_dir": self.directory, "sync_interval_s": 3_600}, environ={}).settings
        guard = Guard(self.clock)
        self.guard = guard
        self.store = Store(self.directory, settings, self.clock, guard)
        self.database = Database(self.directory, settings, self.clock, guard)
        self.engine = Engine(Measuring(self.store), self.database, guard)
        self.outbox = Outbox(self.database, "simulated", lambda notice: ["bench"])
        self.engine.enqueue = self._enqueue
        self.judge = Judge(
            *(self.store, self.engine, Memory(self.database), Incidents(self.database)),
            *(self.clock, 250.0),
            deploys=self._deploys,
        )
        self._open: set[tuple[str, str]] = set()

    def _enqueue(self, connection: Any, messages: Any) -> None:
        self.outbox.enqueue(connection, messages)
        for message in messages:
            at = self.clock.now - EPOCH
            kind = message.notification.kind.value
            self.notices.append(Notice(at, kind, message.rule.name, message.series))

    def _deploys(self, start: float, end: float) -> list[dict[str, Any]]:
        return [
            {"timestamp": at + EPOCH, "label": "2.0"}
            for at in self.deploys[-20:]
            if start < at + EPOCH <= end
        ]

    def step(self, step: sim.Step, names: list[str]) -> None:
        """What ended in one step goes into the store; then the leader ticks."""
        at = step.t + EPOCH
        if at > self.clock.now:
            self.clock.advance(at - self.clock.now)
        if step.events:
            self.deploys.append(step.t - step.dt)
        stamp = int(at) - 1
        scalars: list[Scalar] = []
        durations: list[Distribution] = []
        for k, n, errors, counts in step.rows:
            prefix = f"routes.{names[k]}.GET"
            durations.append(Distribution(f"{prefix}.time", stamp, _histogram(counts)))
            scalars.append(Scalar(f"{prefix}.status.2xx", stamp, float(n), Method.SUM))
            if errors:
                scalars.append(Scalar(f"{prefix}.errors", stamp, float(errors), Method.SUM))
        if step.own404:
            scalars.append(Scalar("requests.broken_links", stamp, float(step.own404), Method.SUM))
        missing = step.own404 + step.other404
        if missing:
            scalars.append(Scalar("requests.not_found", stamp, float(missing), Method.SUM))
        if scalars:
            self.store.add(Batch(scalars, durations))
            self.store.flush()
        self.judge.tick(self.clock.now)
        self.engine.write()
        self.database.write_pending()
        self._look(step.t)

    def _look(self, t: float) -> None:
        troubles = self.judge.detector.troubles
        now_open = {key for key in troubles if key[1] != "not found"}
        for route, kind in now_open - self._open:
            named = route or troubles[route, kind].worst
            self.shown.append(Shown(t, named.rpartition(".")[0], kind))
        self._open = now_open

    def close(self) -> None:
        """Close the files."""
        self.store.close()
        self.database.close()


_HISTOGRAMS: dict[int, tuple[int, float]] = {}


def _histogram(counts: Iterable[tuple[int, int]]) -> Histogram:
    first = sim.buckets.FIRST
    made = Histogram(shift=_SHIFT)
    for bucket, count in counts:
        made.buckets[first + bucket] = made.buckets.get(first + bucket, 0) + count
        made.count += count
        lower, upper = sim.lower(bucket), sim.lower(bucket + 1)
        made.total += count * (lower + upper) / 2
        made.minimum, made.maximum = min(made.minimum, lower), max(made.maximum, upper)
    return made


def names_of(app: sim.App) -> list[str]:
    """The slugs of an app's routes."""
    return [f"r{number}" for number in range(len(app.routes))]


def healthy(days: float, seed: int, only: set[str]) -> None:
    """Nothing is wrong: every notification is a false alarm."""
    sent = said = months = 0.0
    for app in sim.shapes():
        if only and app.name not in only:
            continue
        begin = time.process_time()
        with tempfile.TemporaryDirectory() as directory:
            made = App(Path(directory))
            for step in sim.simulate(app, seed, days):
                made.step(step, names_of(app))
            made.close()
        problems = [each for each in made.notices if each.kind == "PROBLEM"]
        print(
            f"{app.name:14} {days:g} days: {len(problems)} sent, {len(made.shown)} on the page"
            f" ({time.process_time() - begin:.0f} s CPU)"
            f" {[(round(each.t / DAY, 2), each.rule, each.series) for each in problems[:4]]}",
            flush=True,
        )
        sent, said, months = sent + len(problems), said + len(made.shown), months + days / 30
    print(
        f"in all {sent:.0f} notifications and {said:.0f} on the page in {months:.1f} app-months:"
        f" {sent / max(months, 1e-9):.2f} and {said / max(months, 1e-9):.1f} an app-month"
    )


def planted(past: float, seed: int, kinds: set[str]) -> None:
    """Forty incidents: which are found, how soon, by how many messages."""
    apps = {app.name: app for app in sim.shapes()}
    found = right = clean = many = 0
    for incident in sim.planted():
        if kinds and incident.kind not in kinds:
            continue
        incident.begin -= (15 - past) * DAY
        incident.end -= (15 - past) * DAY
        app = apps[incident.app]
        days = (incident.end + 7_200) / DAY
        with tempfile.TemporaryDirectory() as directory:
            made = App(Path(directory))
            for step in sim.simulate(app, seed, days, [incident]):
                made.step(step, names_of(app))
            made.close()
        row = score(made, incident)
        many += 1
        found += row["shown"] is not None
        right += row["right"]
        clean += row["problems"] == row["recoveries"] == 1
        print(f"{incident.kind:12} {incident.app:14} {row}", flush=True)
    print(f"found {found} of {many}, the right route {right}, one PROBLEM and one RECOVERY {clean}")


def score(app: App, incident: sim.Incident) -> dict[str, Any]:
    """How one incident was judged; seconds after its begin or end."""
    begin, end = incident.begin, incident.end
    shown = [each for each in app.shown if begin <= each.t <= end + 60]
    sent = [each for each in app.notices if each.kind == "PROBLEM" and begin <= each.t <= end + 60]
    over = [each for each in app.notices if each.kind == "RECOVERY" and each.t >= begin]
    expected = None if incident.route is None else f"r{incident.route}"
    return {
        "shown": round(shown[0].t - begin) if shown else None,
        "sent": round(sent[0].t - begin) if sent else None,
        "right": any(expected in (None, each.route) for each in shown),
        "problems": len(sent),
        "recoveries": len(over),
        "over": round(over[-1].t - end) if over else None,
    }


# -- the rules of others, over the same traffic


class Window:
    """Sums over the last seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._rows: list[tuple[float, float, float]] = []
        self.bad = self.all = 0.0
        self._first = 0

    def add(self, t: float, every: float, bad: float) -> float:
        """The share of bad ones."""
        self._rows.append((t, every, bad))
        self.all += every
        self.bad += bad
        while self._rows[self._first][0] <= t - self.seconds:
            _, old, old_bad = self._rows[self._first]
            self.all -= old
            self.bad -= old_bad
            self._first += 1
        if self._first > 5_000:
            del self._rows[: self._first]
            self._first = 0
        return self.bad / self.all if self.all > 0.5 else 0.0


class Threshold:
    """`p95 > 500 ms` or `errors > 5 %` over five minutes, for five minutes."""

    name = "threshold (p95 > 0.5 s or errors > 5 %, for 5 min)"

    def __init__(self) -> None:
        self._slow, self._failed = Window(300), Window(300)
        self._since: float | None = None

    def step(self, t: float, every: int, failed: int, slow: int, very_slow: int) -> bool:
        """Whether it fires."""
        bad = self._slow.add(t, every, slow) > 0.05 or self._failed.add(t, every, failed) > 0.05
        self._since = (self._since if self._since is not None else t) if bad else None
        return self._since is not None and t - self._since >= 300


class BurnRate:
    """The SRE workbook's, for 99.9 % without error below 1 s: 14.4 over 1 h, 6 over 6 h, ..."""

    name = "burn rate (99.9 %, SRE workbook)"

    def __init__(self) -> None:
        pairs = ((14.4, 3_600), (6, 21_600), (1, 3 * DAY))
        self._pairs = [(rate, Window(long), Window(long / 12)) for rate, long in pairs]

    def step(self, t: float, every: int, failed: int, slow: int, very_slow: int) -> bool:
        """Whether it fires."""
        bad = min(failed + very_slow, every)
        shares = [(r, a.add(t, every, bad), b.add(t, every, bad)) for r, a, b in self._pairs]
        return any(min(long, short) > rate * 0.001 for rate, long, short in shares)


def peers(days: float, seed: int) -> None:
    """False alarms and found incidents of the usual rules."""
    slow_from, very_slow_from = sim.buckets.bucket_above(500), sim.buckets.bucket_above(1_000)

    def fired(app: sim.App, length: float, incidents: Any, rule: Any) -> list[float]:
        found, was = [], False
        for step in sim.simulate(app, seed, length, incidents):
            every = sum(row[1] for row in step.rows)
            failed = sum(row[2] for row in step.rows)
            slow = sum(n for row in step.rows for b, n in row[3] if b >= slow_from)
            very = sum(n for row in step.rows for b, n in row[3] if b >= very_slow_from)
            fires = rule.step(step.t, every, failed, slow, very)
            if fires and not was:
                found.append(step.t)
            was = fires
        return found

    makes: list[Callable[[], Any]] = [Threshold, BurnRate]
    for make in makes:
        false = sum(len(fired(app, days, (), make())) for app in sim.shapes())
        apps = {app.name: app for app in sim.shapes()}
        hits = 0
        for incident in sim.planted():
            incident.begin -= 13 * DAY
            incident.end -= 13 * DAY
            times = fired(apps[incident.app], (incident.end + 600) / DAY, [incident], make())
            hits += any(incident.begin <= t <= incident.end + 60 for t in times)
        months = 20 * days / 30
        print(f"{make().name}: {false / months:.1f} an app-month, found {hits} of 40", flush=True)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The arguments; an unknown app, kind or mode ends with 2 and names what there is."""
    description, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m bench.judge_simulation",
        description=description,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    modes = parser.add_subparsers(dest="mode", required=True, metavar="healthy|planted|peers")
    apps = [app.name for app in sim.shapes()]
    kinds = list(dict.fromkeys(incident.kind for incident in sim.planted()))

    def some_of(known: list[str]) -> Callable[[str], list[str]]:
        def read(text: str) -> list[str]:
            names = [name for name in text.split(",") if name]
            unknown = [name for name in names if name not in known]
            if unknown:
                expected = ", ".join(known)
                raise argparse.ArgumentTypeError(f"unknown {unknown[0]!r}, expected of {expected}")
            return names

        return read

    made = {
        "healthy": modes.add_parser("healthy", help="apps with which nothing is wrong"),
        "planted": modes.add_parser("planted", help="forty incidents"),
        "peers": modes.add_parser("peers", help="the rules of others, over the same traffic"),
    }
    for name, mode in made.items():
        mode.add_argument("--seed", type=int, default=1)
        if name != "planted":
            mode.add_argument("days", type=float)
    made["healthy"].add_argument("--only", type=some_of(apps), default=[], help=",".join(apps))
    made["planted"].add_argument("--kind", type=some_of(kinds), default=[], help=",".join(kinds))
    made["planted"].add_argument("--past", type=float, default=2.0, help="days before an incident")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> None:
    """See the module."""
    asked = parsed(arguments)
    if asked.mode == "healthy":
        healthy(asked.days, asked.seed, set(asked.only))
    elif asked.mode == "planted":
        planted(asked.past, asked.seed, set(asked.kind))
    else:
        peers(asked.days, asked.seed)


if __name__ == "__main__":
    main(sys.argv[1:])
