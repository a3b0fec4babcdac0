"""The parts that hear numbers from outside: they open the doors in the leader, hand over what came.

Thin: it calls what the room offers when the monitor's life says so. The room does not know it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from inapp_monitor.database.posted_events import PostedEvent, PostedEvents
from inapp_monitor.database.service_checks import ServiceCheck, ServiceChecks
from inapp_monitor.ground.names import clean_node
from inapp_monitor.ground.points import Batch, Method, Scalar
from inapp_monitor.ground.process import late_imports
from inapp_monitor.ingest.doors import DoorFacts
from inapp_monitor.monitor.part import Part
from inapp_monitor.monitor.services import Services

if TYPE_CHECKING:
    from inapp_monitor.ingest.listeners.receiver import Receiver

#: The part of the series' room on disk that outsiders may fill.
_OUTSIDERS_PART = 0.75
#: Seconds between two looks at how full that is; meanwhile each new series is taken off.
_LOOK_S = 5.0
_DAY_S = 86_400


class Ingesting(Part):
    """What the doors were sent, handed over before the store writes."""

    name = "ingest"

    def __init__(self, services: Services) -> None:
        self._core = services.core
        self._store = services.store
        self._listening = services.listening
        self._database = services.database
        self._events: PostedEvents | None = None
        self._looked_at = float("-inf")

    def tick(self, now: float) -> None:
        self._take(now)
        self._share(now)

    def _take(self, now: float) -> None:
        """Hand over what came, and write down the events among it."""

        def stored_value(path: str) -> float | None:
            ranges = self._store.fetch([path], int(now) - _DAY_S, int(now) + 60, int(now))
            values = [v for each in ranges for v in each.values if v == v]
            return values[-1] if values else None

        if self._listening.spool_positions is not None:
            self._listening.spool_positions.before_storing()
        self._listening.flush(now)
        intake = self._listening.intake
        room = self._room_bytes(now)
        for event in intake.tick(now, room_bytes=room, stored_value=stored_value):
            moment = int(event.timestamp or now)
            if self._events is None:
                self._events = PostedEvents(self._database)
            self._events.add(PostedEvent(moment, event.title, event.tags, event.text))
        self._keep_checks(now)

    def _keep_checks(self, now: float) -> None:
        reported = self._listening.intake.take_checks()
        if reported:
            checks = [
                ServiceCheck(path, check.status, check.message, int(at), int(at))
                for path, check in reported.items()
                for at in (check.timestamp or now,)
            ]
            ServiceChecks(self._database).put(checks, int(now))

    def _room_bytes(self, now: float) -> int | None:
        """What outsiders' further series may take on disk; None when it was looked at lately, or
        nobody sends anything."""
        if not self._listening.doors or 0.0 <= now - self._looked_at < _LOOK_S:
            return None
        self._looked_at = now
        status = self._store.status()
        return int(status.budget * _OUTSIDERS_PART) - status.size

    def _share(self, now: float, *, at_once: bool = False) -> None:
        """Count what came, in the file of all workers and as series `monitor.ingest.*`."""
        guard = self._core.guard
        try:
            news = self._listening.share(at_once=at_once)
        except OSError as error:  # shown until it works again, not until the next tick
            guard.failed("file of doors", error)
            return
        guard.recovered("file of doors")
        scalars = [
            Scalar(f"monitor.ingest.{path}", int(now), float(count), Method.SUM)
            for path, count in _counts(news).items()
        ]
        self._store.add(Batch(scalars, []))

    def close(self) -> None:
        self._share(self._core.clock.wall(), at_once=True)

    def facts(self) -> DoorFacts:
        return self._listening.facts()

    def drops(self) -> Mapping[str, int]:
        return {"events past the cap of a tick": self._listening.intake.dropped_events}

    def forked(self) -> None:
        self._events = None
        self._listening.forked()


class Listeners(Part):
    """Opens the doors in the leader: after the election of the same tick, so that one tick is
    enough, for the first leader and for who takes over."""

    name = "doors"
    ending_name = "closing the doors"

    def __init__(self, services: Services) -> None:
        self._guard = services.core.guard
        self._leadership = services.leadership
        self._listening = services.listening
        self._ends = False

    def tick(self, now: float) -> None:  # noqa: ARG002
        if self._ends:
            return
        try:
            self._listening.tick(is_leader=self._leadership.is_leader)
        except (OSError, RuntimeError) as error:  # no descriptor or no thread is to be had
            self._guard.failed("listening", error)  # tried again for ever; HTTP takes numbers
        else:
            self._guard.recovered("listening")

    def attached(self) -> None:
        self._ends = False

    def forked(self) -> None:
        self._ends = False

    def stop(self) -> None:
        self._ends = True
        self._listening.stop()


def _counts(news: Mapping[str, Mapping[str, Any]]) -> Counter[str]:
    """What is new, by the rest of a series name: of all doors, by reason, and of each door."""
    counts: Counter[str] = Counter()
    for address, row in news.items():
        door = f"doors.{clean_node(address.partition('?')[0])}"
        for name in ("lines", "points", "rejected", "kernel_drops"):
            if row[name]:
                counts[name] += row[name]
                counts[f"{door}.{name}"] += row[name]
        for reason, entry in row["rejects"].items():
            counts[f"rejects.{clean_node(reason)}"] += entry["count"]
    return counts


class SpoolReading(Part):
    """How far spool files were read, when what was read has been stored: after the store's part."""

    name = "positions in spool files"

    def __init__(self, services: Services) -> None:
        self._store = services.store
        self._listening = services.listening
        self._flushes = 0

    def tick(self, now: float) -> None:  # noqa: ARG002
        before, self._flushes = self._flushes, self._store.flushes
        positions = self._listening.spool_positions
        if positions is not None and self._flushes != before:
            positions.stored()


class AdoptedClients(Part):
    """What live StatsD clients of the app have written since the last tick."""

    name = "adopted clients"

    def __init__(self, services: Services) -> None:
        self._core = services.core
        self._listening = services.listening
        self._receivers: dict[str, Receiver] = {}

    def tick(self, now: float) -> None:  # noqa: ARG002
        adopted = self._core.adopted
        for dialect, data in adopted.take() if adopted is not None else ():
            receiver = self._receivers.get(dialect)
            if receiver is None:
                receiver = self._receivers[dialect] = self._receiver(dialect)
            receiver.receive(data, "")

    def _receiver(self, dialect: str) -> Receiver:
        with late_imports.loading():
            from inapp_monitor.ingest.listeners.receiver import Receiver
            from inapp_monitor.ingest.protocols.registry import PROTOCOLS
        parse = PROTOCOLS["statsd"].parser({"dialect": dialect})
        door = self._listening.door(f"adopted clients ({dialect})")
        return Receiver(door, parse, self._listening.intake, self._core.clock)

    def forked(self) -> None:
        self._receivers.clear()
        if self._core.adopted is not None:
            self._core.adopted.forked()

    def drops(self) -> Mapping[str, int]:
        adopted = self._core.adopted
        return {"datagrams of adopted clients": adopted.dropped if adopted is not None else 0}
