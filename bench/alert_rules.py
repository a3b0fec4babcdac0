"""What rules cost the process that judges: CPU of the engine and of the database a minute.

    .venv/bin/python -m bench.alert_rules [MINUTES]

200 rules over 1,000 series in each form, good first and then all of them bad. The goal is 50 ms a
minute for good ones. Targets with functions go through the query language and cost more.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from inapp_monitor.alerts.engine import Engine
from inapp_monitor.alerts.incidents import Incidents
from inapp_monitor.alerts.measuring import Measuring
from inapp_monitor.alerts.outbox import Outbox
from inapp_monitor.alerts.rule import Rule
from inapp_monitor.alerts.rule_incidents import RuleIncidents
from inapp_monitor.database.file import Database
from inapp_monitor.ground.config import load
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.points import Batch, Method, Scalar
from inapp_monitor.store.series import Store
from inapp_monitor.testing import FakeClock

RULES, SERIES = 200, 5
#: Tables of rule number N, by form.
FORMS = {
    "series": {"target": "shop.gN.*.depth", "critical": "~:5"},
    "shares": {"target": "shop.gN.*.depth", "of": "shop.all.*.depth", "critical": "~:5"},
    "compared": {"critical": "shop.gN.s0.depth > 1.5 * same hour yesterday"},
    "functions": {"target": "sumSeries(shop.gN.*.depth)", "critical": "~:50"},
}


class Leader:
    """The engine of one process with its tables."""

    def __init__(self, directory: Path, form: str) -> None:
        self.clock = FakeClock()
        settings, guard = load({"data_dir": directory}, environ={}).settings, Guard(self.clock)
        self.store = Store(directory, settings, self.clock, guard)
        self.database = Database(directory, settings, self.clock, guard)
        self.engine = Engine(Measuring(self.store), self.database, guard)
        self.engine.enqueue = Outbox(self.database, "bench", lambda _notice: ["ops"]).enqueue
        RuleIncidents(self.engine, Incidents(self.database), lambda _start, _end: [])
        for number in range(RULES):
            table = {key: text.replace("N", str(number)) for key, text in FORMS[form].items()}
            self.engine.add(Rule.parse(f"r{number}", table, "bench"))

    def minute(self, value: float) -> tuple[float, float]:
        """A minute of ticks: milliseconds of the engine and of the database."""
        engine_s = database_s = 0.0
        for _ in range(60):
            if int(self.clock.now) % 10 == 0:
                self._points(value)
            begin = time.process_time()
            self.engine.tick(self.clock.now)
            middle = time.process_time()
            self.database.write_pending()
            engine_s, database_s = engine_s + middle - begin, database_s + time.process_time()
            database_s -= middle
            self.clock.advance(1)
        return 1e3 * engine_s, 1e3 * database_s

    def _points(self, value: float) -> None:
        now, groups = int(self.clock.now), [f"g{number}" for number in range(RULES)]
        points = [
            Scalar(f"shop.{group}.s{series}.depth", now, value, Method.LAST)
            for group in groups
            for series in range(SERIES)
        ]
        points += [Scalar(f"shop.all.s{n}.depth", now, 99.0, Method.LAST) for n in range(SERIES)]
        self.store.add(Batch(points, []))
        self.store.flush()


def main(minutes: int) -> None:
    """See the module."""
    for form in FORMS:
        with tempfile.TemporaryDirectory() as directory:
            leader = Leader(Path(directory), form)
            for what, value in (("good", 1.0), ("bad", 99.0)):
                took = [leader.minute(value) for _ in range(minutes)]
                first, last = took[0], min(took[1:] or took)
                print(
                    f"{form:10} {what:4}: {last[0]:6.1f} ms of the engine and {last[1]:6.1f} ms of"
                    f" the database a minute; in the first {first[0]:.0f} and {first[1]:.0f}",
                    flush=True,
                )
            leader.store.close()
            leader.database.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
