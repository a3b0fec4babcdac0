"""Counting occurrences by fingerprint, and queueing an event of some of them, in the request.

The fingerprint of an exception is computed once and then found by the code objects of its
traceback. Every occurrence is counted; an event is wanted while the token bucket of the fingerprint
and the queue allow. No I/O, and no lock for a known fingerprint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import CodeType
from typing import Any
from weakref import ref

from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.current_request import ENVIRON_KEY
from inapp_monitor.issues import exception_tree, fresh_stack, shapes_v1, shapes_v2, stack
from inapp_monitor.issues.code_places import CodePlaces
from inapp_monitor.issues.event import Event
from inapp_monitor.issues.foreign_event import bounded_facts
from inapp_monitor.issues.grouping import messages, v1, v2
from inapp_monitor.issues.grouping.fingerprint import Grouping, group_by
from inapp_monitor.issues.pending import MAX_CACHED, Drops, KnownFingerprint, ProcessMemory
from inapp_monitor.issues.scope import Scope
from inapp_monitor.issues.titles import identity_of
from inapp_monitor.issues.traceback_key import key_of

#: Events that wait for the flush, which takes milliseconds of each: of fingerprints without any
#: yet, and of all others.
MAX_WAITING_NEW, MAX_WAITING = 500, 30


class OccurrenceCounter:
    """Finds fingerprints and counts what happens under them.

    Args:
        clock: Time.
        places: What is in-app.
        scrub: Hides the secrets in a text.
        drops: Where events that are not kept are counted.
    """

    def __init__(
        self,
        clock: Clock,
        places: CodePlaces,
        scrub: Callable[[str], str],
        drops: Drops,
    ) -> None:
        self._clock = clock
        self._places = places
        self._scrub = scrub
        self._drops = drops
        self._others = identity_of(messages.group_message("(other)"), "(other)", "error", str)

    def of_exception(
        self, memory: ProcessMemory, exception: BaseException, given: tuple[str, ...]
    ) -> KnownFingerprint | None:
        """The fingerprint of an exception; None when it happened in our own code.

        Args:
            memory: Of this process.
            exception: With its traceback.
            given: What the application groups by, if anything.
        """
        key, codes, raising = key_of(exception)
        if given:
            key = (*key, given)
        cached = memory.cache.get(key)
        if cached is not None:
            return cached[0]
        file = "" if raising is None else raising.co_filename
        if stack.is_own(file) and not stack.is_stand_in(file):
            return None
        places = self._places

        def rule() -> Grouping:
            found = v2.group(shapes_v2.shapes_of(exception, places))
            return group_by(given, found) if given else found

        def rule_before() -> Grouping:
            found = v1.group(shapes_v1.shapes_of(exception, places))
            return group_by(given, found) if given else found

        kind = exception_tree.class_short_name(type(exception))
        known = fresh_stack.call(
            lambda: self.of_grouping(memory, rule(), kind, "error", earlier=rule_before)
        )
        if len(memory.cache) >= MAX_CACHED:
            memory.cache.clear()
        memory.cache[key] = (known, _forgetting(memory.cache, key, codes))
        return known

    def of_message(
        self,
        memory: ProcessMemory,
        template: str,
        text: str,
        place: str,
        given: tuple[str, ...],
        kind: str,
        level: str,
    ) -> KnownFingerprint:
        """The fingerprint of a message; see `of_exception` and `group_message`."""

        def rule(scrub: Callable[[str], str] = str) -> Grouping:
            found = messages.group_message(scrub(template), place=place, text=scrub(text))
            return group_by(given, found) if given else found

        def rule_before() -> Grouping:
            found = v1.group_message(template, place=place)
            return group_by(given, found) if given else found

        def shown() -> tuple[str, ...]:  # values without their names look like no secrets
            return rule(self._scrub).reason

        return self.of_grouping(memory, rule(), kind, level, earlier=rule_before, shown=shown)

    def of_grouping(
        self,
        memory: ProcessMemory,
        found: Grouping,
        kind: str,
        level: str,
        release: str | None = None,
        earlier: Callable[[], Grouping] | None = None,
        shown: Callable[[], tuple[str, ...]] | None = None,
    ) -> KnownFingerprint:
        """The entry of a fingerprint that is computed already.

        Args:
            memory: Of this process.
            found: The fingerprint.
            kind: The class of an exception, or what stands there.
            level: Of the first occurrence.
            release: See `KnownFingerprint.release`.
            earlier: Groups the same by the rule before, see `Identity.earlier`; called when this
                process does not know the fingerprint.
            shown: The reason for people, without secrets; default: that of `found`, scrubbed.
        """
        known = memory.known.get((found.fingerprint, release))
        if known is not None:
            return known
        before = earlier().fingerprint if earlier is not None else ""
        found = found if shown is None else found._replace(reason=shown())
        identity = identity_of(found, kind, level, self._scrub, before)
        return memory.remember(KnownFingerprint(identity, release), self._others)

    def count(
        self,
        memory: ProcessMemory,
        known: KnownFingerprint,
        *,
        at: float,
        method: object,
        route: object,
        tags: Mapping[str, str],
        user: Mapping[str, str],
    ) -> bool:
        """Count one occurrence; True when its event is wanted.

        Args:
            memory: Of this process.
            known: The fingerprint.
            at: When it happened, seconds since 1970 UTC.
            method: Of the request, None without one.
            route: Template of the request's route, or the record that will know it.
            tags, user: What the application set for the request.
        """
        memory.pending.append((known, at, method, route, tags, user))
        memory.fold_if_many()
        if not known.wants_event(self._clock.perf()):
            return False
        if len(memory.waiting) >= (MAX_WAITING if known.has_event else MAX_WAITING_NEW):
            self._drops.add("too many at once")
            return False
        return True


def _forgetting(
    cache: dict[tuple[object, ...], Any], key: tuple[object, ...], codes: Iterable[CodeType]
) -> tuple[object, ...]:
    """References that keep no code alive and remove the key with the first that goes: afterwards
    its id may be another one's."""

    def forget(_: object) -> None:
        cache.pop(key, None)

    distinct = {id(code): code for code in codes}
    return tuple(ref(code, forget) for code in distinct.values())


def queue_event(
    memory: ProcessMemory, known: KnownFingerprint, event: Event, record: object = None
) -> str:
    """Queue an event for the flush; returns its id.

    Args:
        memory: Of this process.
        known: The fingerprint.
        event: Not scrubbed yet.
        record: The request path's record of the request, which may know the route by then.
    """
    event_id = str(event["id"])
    known.has_event = True
    memory.waiting[event_id] = (known, event, record if event["route"] is None else None)
    return event_id


def queue_with_scope(
    memory: ProcessMemory,
    known: KnownFingerprint,
    event: Event,
    facts: Scope | None,
    environ: Mapping[str, Any] | None,
) -> str:
    """Queue an event with what the application set for its request; returns its id."""
    if facts is not None:
        event["user"] = dict(facts.user)
        event["tags"] = dict(facts.tags)
        event["contexts"] = dict(facts.contexts)
        event["breadcrumbs"] = list(facts.breadcrumbs)
    return queue_event(memory, known, event, environ.get(ENVIRON_KEY) if environ else None)


def add_facts(memory: ProcessMemory, event_id: str, given: Mapping[str, Any]) -> None:
    """Add facts of any shape to an event that is still queued; what it has already stays."""
    facts = bounded_facts(given)
    waiting = memory.waiting.get(event_id)
    if waiting is None:
        return
    known, event, _ = waiting
    new = {name: tag for name, tag in facts["tags"].items() if name not in event.get("tags", {})}
    for part in ("tags", "contexts"):
        event[part] = {**facts[part], **event.get(part, {})}
    for part in ("user", "breadcrumbs"):
        event[part] = event.get(part) or facts[part]
    if new:
        memory.later.append(partial(_add_tags, known, new))


def _add_tags(known: KnownFingerprint, tags: Mapping[str, str]) -> None:
    for name, value in tags.items():
        known.delta.add_tag(name, value)


def add_route(memory: ProcessMemory, known: KnownFingerprint, route: str) -> None:
    """Count the route of an occurrence that was counted without one."""
    memory.later.append(partial(_add_route, known, route))


def _add_route(known: KnownFingerprint, route: str) -> None:
    known.delta.add_tag("route", route)
    known.delta.route = route
