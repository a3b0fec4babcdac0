"""The jobs that check in, in `monitor.db`: what they said, and those that did not come.

Check-ins are collected in the requests that bring them and applied in a tick, in one transaction,
so that those of several workers follow each other. The leader looks for those that did not come.
What is wrong becomes an issue, and series `sentry.PROJECT.check_ins.JOB.STATUS`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from inapp_monitor.database.file import Connection, Database
from inapp_monitor.ground.clock import Clock
from inapp_monitor.ingest.sentry.check_ins import (
    ERROR,
    IN_PROGRESS,
    OK,
    CheckIn,
    Monitor,
    after_check_in,
    check_in_of,
    describe,
    judged,
    schedule_as_json,
    schedule_from_json,
)
from inapp_monitor.ingest.sentry.trace_metrics import Measures, path_of

PART = "cron monitors"
MAX_MONITORS, MAX_WAITING = 500, 2_000
#: Check-ins kept of each job.
MAX_HISTORY = 50
#: Seconds between two looks for those that did not come.
LOOK_EVERY_S = 5.0
_COUNTED = ("ok", "error", "missed", "timeout", "late")
_FACTS = "schedule, status, last_seen, duration_s, due, started, late_s"
_WHERE = "project = ? and slug = ? and environment = ?"

SCHEMA = (
    """
    create table cron_monitors (
        project text, slug text, environment text, schedule text not null, status text not null,
        last_seen real not null, duration_s real, due real not null, started real not null,
        late_s real not null, ok int not null default 0, error int not null default 0,
        missed int not null default 0, timeout int not null default 0,
        late int not null default 0, primary key (project, slug, environment)
    ) without rowid;
    create table cron_check_ins (
        number integer primary key, project text not null, slug text not null,
        environment text not null, moment real not null, status text not null, duration_s real
    );
    create index cron_check_ins_by_job on cron_check_ins (project, slug, environment, number)
    """,
)


class Reports(Protocol):
    """What makes an issue of a message, see `Tracker.capture_message`."""

    def __call__(
        self,
        message: object,
        *,
        template: str | None,
        place: str,
        kind: str,
        channel: str,
    ) -> object: ...


class CronMonitors:
    """The jobs of all projects. *Threads:* any.

    Args:
        clock: Time.
        database: Keeps them.
        measures: Where series go.
        report: Makes an issue of what is wrong.
    """

    def __init__(
        self, clock: Clock, database: Database, measures: Measures, report: Reports
    ) -> None:
        self._clock = clock
        self._database = database
        self._measures = measures
        self._report = report
        self._waiting: deque[CheckIn] = deque(maxlen=MAX_WAITING)
        self._looked = 0.0
        database.declare(PART, SCHEMA)

    def accept(self, payload: dict[str, object], project: str) -> None:
        """Collect a check-in; one that cannot be understood is left out."""
        said = check_in_of(payload, project, self._clock.wall())
        if said is not None:
            self._waiting.append(said)

    def tick(self, *, is_leader: bool) -> None:
        """Hand what was collected to the database, and look for those that did not come."""
        said = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if said:
            self._submit(lambda connection, news: _apply(connection, said, news), 500 * len(said))
        now = self._clock.wall()
        if is_leader and abs(now - self._looked) >= LOOK_EVERY_S:
            self._looked = now
            if any(judged(row, now) for row in self._read()):
                self._submit(lambda connection, news: _judge(connection, now, news), 1_000)

    def rows(self) -> list[dict[str, Any]]:
        """All jobs for people, those that are not well first."""
        rows = self._database.read("select * from cron_monitors order by project, slug")
        for row in rows:
            schedule = schedule_from_json(row["schedule"])
            row["schedule"] = schedule.as_text() if schedule else ""
            row["history"] = self._database.read(
                "select moment, status, duration_s from cron_check_ins"  # noqa: S608
                f" where {_WHERE} order by number desc limit 20",
                (row["project"], row["slug"], row["environment"]),
            )
        return sorted(rows, key=lambda row: row["status"] in (OK, IN_PROGRESS))

    def states(self) -> list[Monitor]:
        """All jobs as they stand."""
        return self._read()

    def forget(self, project: str, slug: str, environment: str) -> None:
        """Take a job out of the list; it comes back when it checks in."""

        def change(connection: Connection) -> None:
            for table in ("cron_monitors", "cron_check_ins"):
                connection.execute(
                    f"delete from {table} where {_WHERE}",  # noqa: S608
                    (project, slug, environment),
                )

        self._database.submit(change, 500)
        self._database.write_now()

    def forked(self) -> None:
        """In a child process: what was collected is the parent's."""
        self._waiting.clear()

    def _read(self) -> list[Monitor]:
        rows = self._database.read(
            f"select project, slug, environment, {_FACTS} from cron_monitors"  # noqa: S608
        )
        return [_monitor(tuple(row.values())) for row in rows]

    def _submit(self, change: Callable[[Connection, list[Monitor]], None], size: int) -> None:
        news: list[Monitor] = []

        def run(connection: Connection) -> None:
            news.clear()
            change(connection, news)

        def done(written: bool) -> None:
            for monitor in news if written else ():
                self._tell(monitor)

        self._database.submit(run, size, done)

    def _tell(self, monitor: Monitor) -> None:
        """Series and, of what is wrong, an issue."""
        name = f"sentry.{path_of(monitor.project)}.check_ins.{monitor.slug}"
        if monitor.status == IN_PROGRESS:
            return
        self._measures.incr(f"{name}.{monitor.status}")
        if monitor.status in (OK, ERROR) and monitor.duration_s is not None:
            self._measures.timing(f"{name}.time", monitor.duration_s * 1000)
        if monitor.status != OK:
            self._report(
                describe(monitor),
                template=f"check-in {monitor.status}",
                place=f"{monitor.project} {monitor.slug} {monitor.environment}",
                kind=f"Check-in {monitor.status}",
                channel="check-in",
            )


def _apply(connection: Connection, said: list[CheckIn], news: list[Monitor]) -> None:
    for check_in in said:
        key = (check_in.project, check_in.slug, check_in.environment)
        before = _stored(connection, key)
        if before is None:
            (count,) = connection.execute("select count(*) from cron_monitors").fetchone()
            if count >= MAX_MONITORS:
                continue
            before = Monitor(*key)
        after = after_check_in(before, check_in)
        _store(connection, after)
        is_late = before.status == "missed" and after.late_s > 0
        _note(connection, after, check_in.moment, late=is_late)
        news.append(after)


def _judge(connection: Connection, now: float, news: list[Monitor]) -> None:
    rows = connection.execute(
        f"select project, slug, environment, {_FACTS} from cron_monitors"  # noqa: S608
    ).fetchall()
    for row in rows:
        after = judged(_monitor(row), now)
        if after is not None:
            _store(connection, after)
            _note(connection, after, now)
            news.append(after)


def _stored(connection: Connection, key: tuple[str, str, str]) -> Monitor | None:
    row = connection.execute(
        f"select project, slug, environment, {_FACTS} from cron_monitors where {_WHERE}",  # noqa: S608
        key,
    ).fetchone()
    return _monitor(row) if row else None


def _monitor(row: tuple[Any, ...]) -> Monitor:
    project, slug, environment, schedule, *facts = row
    return Monitor(project, slug, environment, schedule_from_json(schedule), *facts)


def _store(connection: Connection, monitor: Monitor) -> None:
    key = (monitor.project, monitor.slug, monitor.environment)
    facts = (
        *(schedule_as_json(monitor.schedule), monitor.status, monitor.last_seen),
        *(monitor.duration_s, monitor.due, monitor.started, monitor.late_s),
    )
    connection.execute(
        f"insert into cron_monitors (project, slug, environment, {_FACTS})"  # noqa: S608
        " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do update set"
        " schedule = excluded.schedule, status = excluded.status, last_seen = excluded.last_seen,"
        " duration_s = excluded.duration_s, due = excluded.due, started = excluded.started,"
        " late_s = excluded.late_s",
        (*key, *facts),
    )


def _note(connection: Connection, monitor: Monitor, moment: float, *, late: bool = False) -> None:
    """Count what happened, and keep it in the job's history."""
    key = (monitor.project, monitor.slug, monitor.environment)
    for name in (monitor.status, "late" if late else ""):
        if name in _COUNTED:
            connection.execute(
                f"update cron_monitors set {name} = {name} + 1 where {_WHERE}",  # noqa: S608
                key,
            )
    if monitor.status == IN_PROGRESS:
        return
    connection.execute(
        "insert into cron_check_ins (project, slug, environment, moment, status, duration_s)"
        " values (?, ?, ?, ?, ?, ?)",
        (*key, moment, monitor.status, monitor.duration_s),
    )
    connection.execute(
        "delete from cron_check_ins where number in (select number from cron_check_ins"  # noqa: S608
        f" where {_WHERE} order by number desc limit -1 offset ?)",
        (*key, MAX_HISTORY),
    )
