"""Incidents: troubles that belong together, with their whole story, in SQLite.

What begins while another trouble is open, or within five minutes of its end, is a part of the same
incident. One that is running has no end yet. What lasts, such as a disk that is nearly full, does
not draw everything else into its incident: after an hour without anything new the next trouble has
one of its own. The leader writes them; any process reads them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inapp_monitor.alerts.deploy_words import (
    BEFORE_S,
    ONSET_WITHIN_S,
    deploy_before,
    deploy_words,
)

if TYPE_CHECKING:
    from inapp_monitor.database.file import Connection, Database

PART = "incidents"
_SCRIPT = """
create table incidents (
    id integer primary key, onset real not null, begun real not null, ended real,
    document text not null
);
create index incidents_onset on incidents (onset)
"""
#: Incidents kept; the oldest go first.
MAX_KEPT = 2_000
#: What begins so soon after an end belongs to it.
JOINED_S = 300.0
#: Troubles of rules alone, to which nothing was added for so long, stand for themselves.
STANDING_S = 3_600.0
#: Parts of one incident that are kept.
MAX_PARTS = 50
#: Incidents that run beside the latest; of further ones the oldest is over.
MAX_STANDING = 20
#: Those of one answer.
MAX_FOUND = 200


@dataclass(slots=True)
class Part:
    """One trouble of an incident.

    Attributes:
        rule, series: The state that it is.
        title, detail: In words, as of the last look.
        state: `warn` or `crit`: the worst it was.
        path: The page with the evidence.
        onset, begun, ended: When it began, was found, was over; None while it goes on.
        count, bad: Requests since the onset and the bad ones among them.
        of_rule: Whether a rule found it by itself, and not the detector in the requests.
        acknowledged_by: Who knows of this one, with their note.
    """

    rule: str
    series: str
    title: str
    detail: str
    state: str
    path: str
    onset: float
    begun: float
    ended: float | None = None
    count: int = 0
    bad: int = 0
    of_rule: bool = False
    acknowledged_by: str = ""


@dataclass(slots=True)
class Incident:
    """What happened, from its onset to its end.

    Attributes:
        id: Identifies it.
        parts: The troubles that make it up, in the order in which they were found.
        deploys: Releases that came into use shortly before or meanwhile: `timestamp`, `label`.
        acknowledged_by: Who knows of it, with their note.
        acknowledged_at: Since when; 0 while nobody does.
        speaker: Rule and series of the one state that messages are sent of.
        is_over: Whether that state's trouble is over, while others go on: it recovers with them.
    """

    id: int
    parts: list[Part]
    deploys: list[dict[str, Any]] = field(default_factory=list)
    acknowledged_by: str = ""
    speaker: tuple[str, str] | None = None
    is_over: bool = False
    acknowledged_at: float = 0.0

    @property
    def onset(self) -> float:
        """When the first of its troubles began."""
        return self._first.onset

    @property
    def begun(self) -> float:
        """When it was found."""
        return min(part.begun for part in self.parts)

    @property
    def ended(self) -> float | None:
        """When the last of its troubles was over; None while it runs."""
        ends = [part.ended for part in self.parts]
        return None if None in ends else max(end for end in ends if end is not None)

    @property
    def state(self) -> str:
        """The worst of its parts: `warn` or `crit`."""
        return "crit" if any(part.state == "crit" for part in self.parts) else "warn"

    @property
    def cause(self) -> str:
        """The last release that came into use before it began; "" for none."""
        deploy = deploy_before(self.deploys, self.onset + _within_s(self._first))
        return str(deploy["label"]) if deploy is not None else ""

    def deploy_words(self, part: Part | None = None) -> str:
        """Which release came into use before it, or one of its troubles, began: see `deploy_words`.

        A rule looks at a stretch of time: when what it found began, it does not know.
        """
        one = part or self._first
        near = [each for each in self.deploys if each["timestamp"] >= one.onset - BEFORE_S]
        return deploy_words(near, one.onset, _within_s(one), is_found_later=one.of_rule)

    @property
    def _first(self) -> Part:
        return min(self.parts, key=lambda part: part.onset)

    def is_standing(self, now: float) -> bool:
        """Whether it is about rules alone, and nothing was added for long."""
        going_on = [part for part in self.parts if part.ended is None]
        return all(part.of_rule and now - part.begun > STANDING_S for part in going_on)

    @property
    def main(self) -> Part:
        """The part that speaks for it: the gravest, and of these the first."""
        return min(self.parts, key=lambda part: (part.state != "crit", part.begun))

    def document(self) -> dict[str, Any]:
        """Its parts, deploys and acknowledgement as plain data."""
        parts = [{name: getattr(part, name) for name in Part.__slots__} for part in self.parts]
        return {
            "parts": parts,
            "deploys": self.deploys,
            "acknowledged_by": self.acknowledged_by,
            "speaker": self.speaker,
            "is_over": self.is_over,
            "acknowledged_at": self.acknowledged_at,
        }

    @classmethod
    def of(cls, number: int, document: Mapping[str, Any]) -> Incident:
        """That of `document`."""
        parts = [Part(**part) for part in document["parts"]]
        speaker = document.get("speaker")
        return cls(
            *(number, parts, list(document["deploys"]), document.get("acknowledged_by", "")),
            speaker=(speaker[0], speaker[1]) if speaker else None,
            is_over=bool(document.get("is_over")),
            acknowledged_at=float(document.get("acknowledged_at", 0.0)),
        )


class Incidents:
    """The table of incidents; in memory only without a database.

    Attributes:
        running: The latest, as far as this process leads; it may be over.
        standing: Earlier ones that go on.
    """

    def __init__(self, database: Database | None) -> None:
        """No I/O."""
        self._database = database
        self.running: Incident | None = None
        self.standing: list[Incident] = []
        self._next = 1
        if database is not None:
            database.declare(PART, [_SCRIPT], _forget_oldest)

    # -- for everybody

    def between(self, start: float, end: float) -> list[Incident]:
        """Incidents that were running in a window, the newest first."""
        if self._database is None:
            return []
        rows = self._database.read(
            "select id, document from incidents where onset <= ? and (ended is null or ended >= ?)"
            " order by onset desc limit ?",
            (end, start, MAX_FOUND),
        )
        return [Incident.of(row["id"], json.loads(row["document"])) for row in rows]

    def get(self, number: int) -> Incident | None:
        """One of them."""
        if self._database is None:
            return None
        rows = self._database.read("select id, document from incidents where id = ?", (number,))
        return Incident.of(rows[0]["id"], json.loads(rows[0]["document"])) if rows else None

    # -- for the leader

    def restore(self) -> None:
        """Go on with the latest one, and with what earlier leaders left running."""
        self.running, self.standing, self._next = None, [], 1
        if self._database is None:
            return
        rows = self._database.read(
            "select id, document from incidents where ended is null"
            " or id = (select max(id) from incidents) order by id desc limit ?",
            (MAX_STANDING + 1,),
        )
        found = [Incident.of(row["id"], json.loads(row["document"])) for row in rows]
        if found:
            self.running, self.standing = found[0], found[:0:-1]
            self._next = self.running.id + 1

    @property
    def open(self) -> list[Incident]:
        """Those that go on, the latest first."""
        every = [self.running] if self.running is not None else []
        return [each for each in (*every, *self.standing[::-1]) if each.ended is None]

    def add(self, part: Part, deploys: Callable[[float, float], list[dict[str, Any]]]) -> Incident:
        """A trouble has begun: the incident that it belongs to."""
        running = self.running
        if running is not None and _joins(part, running):
            if len(running.parts) < MAX_PARTS:
                running.parts.append(part)
            self._write(running)
            return running
        found = deploys(part.onset - BEFORE_S, part.begun)
        self._set_aside(part.begun)
        running = self.running = Incident(self._next, [part], found)
        self._next += 1
        self._write(running)
        return running

    def _set_aside(self, now: float) -> None:
        """The latest is about to be another one; this one may go on."""
        if self.running is not None and self.running.ended is None:
            self.standing.append(self.running)
        self.standing = [each for each in self.standing if each.ended is None]
        while len(self.standing) > MAX_STANDING:
            oldest = self.standing.pop(0)
            for part in oldest.parts:
                part.ended = part.ended if part.ended is not None else now
            self._write(oldest)

    def update(self, part: Part, **changes: Any) -> None:
        """A trouble goes on, or is over."""
        for name, value in changes.items():
            setattr(part, name, value)
        for incident in (self.running, *self.standing):
            if incident is not None and any(each is part for each in incident.parts):
                self._write(incident)

    def acknowledged(self, incident: Incident, by: str, at: float) -> None:
        """Somebody knows of one that is running; the latest is kept."""
        if at > incident.acknowledged_at:
            incident.acknowledged_by, incident.acknowledged_at = by, at
            self._write(incident)

    def deployed(self, deploy: dict[str, Any]) -> None:
        """A release came into use while they were running: a part of their story."""
        for incident in self.open:
            if len(incident.deploys) < MAX_PARTS and deploy not in incident.deploys:
                incident.deploys.append(deploy)
                self._write(incident)

    def save(self) -> None:
        """Write the latest one, which has changed."""
        if self.running is not None:
            self._write(self.running)

    def part_of(self, rule: str, series: str) -> Part | None:
        """The open part of a state."""
        for incident in self.open:
            for part in incident.parts:
                if (part.rule, part.series, part.ended) == (rule, series, None):
                    return part
        return None

    def number_of(self, part: Part) -> int:
        """The number of the incident that it is a part of; 0 for none."""
        every = (each for each in (self.running, *self.standing) if each is not None)
        return next((one.id for one in every if any(each is part for each in one.parts)), 0)

    def end_others(self, open_: Sequence[tuple[str, str]], now: float) -> None:
        """Parts of the detector's that an earlier leader left running and that are not open any
        more have ended."""
        for incident in self.open:
            for part in incident.parts:
                is_left = part.ended is None and not part.of_rule
                if is_left and (part.rule, part.series) not in open_:
                    self.update(part, ended=now)

    def _write(self, incident: Incident) -> None:
        if self._database is None:
            return
        row = (incident.id, incident.onset, incident.begun, incident.ended)
        document = json.dumps(incident.document())

        def write(connection: Connection) -> None:
            connection.execute(
                "insert into incidents values (?, ?, ?, ?, ?) on conflict (id) do update set"
                " onset = excluded.onset, begun = excluded.begun, ended = excluded.ended,"
                " document = excluded.document",
                (*row, document),
            )
            connection.execute("delete from incidents where id <= ?", (incident.id - MAX_KEPT,))

        self._database.submit(write, len(document) + 200)


def _within_s(part: Part) -> float:
    """How exactly its onset is known; that of a rule's is when its state changed."""
    return 0.0 if part.of_rule else ONSET_WITHIN_S


def _joins(part: Part, latest: Incident) -> bool:
    ended = latest.ended
    if ended is None:
        return not latest.is_standing(part.begun)
    return part.begun - ended <= JOINED_S


def delete_ended(connection: Connection) -> None:
    """Delete those that are over; the judge goes on with the others."""
    connection.execute("delete from incidents where ended is not null")


def _forget_oldest(connection: Connection) -> None:
    connection.execute("delete from incidents where id <= (select max(id) / 2 from incidents)")
