"""The statements of all requests, by shape: how often, how long, from which routes and lines.

Made of spans in the fold. What has a shape of its own is bounded: the statements that cost most
keep theirs, the rest is `(other)`, counted. Literals end here: nothing that leaves this module was
in a statement as data.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from inapp_monitor.traces.spans import OTHER
from inapp_monitor.traces.statement_shape import shape_of, statement_id

#: Shapes with figures of their own.
MAX_STATEMENTS = 500
#: Texts whose shape is remembered, and the characters of one that is.
MAX_TEXTS = 2_000
MAX_TEXT_LENGTH = 4_000
#: New texts that are analysed a second; one costs 11 to 25 us.
TEXTS_PER_SECOND = 200
#: Stands for the shape of texts past that rate.
NOT_ANALYSED = "(not analysed)"
#: Routes kept of a statement.
MAX_ROUTES = 3
#: Newcomers a day that may replace a cheaper statement once the table is full.
REPLACEMENTS_PER_DAY = 50
_DAY_S = 86_400.0


@dataclass(slots=True, eq=False)
class Statement:
    """One shape of one database.

    Attributes:
        id: Twelve hexadecimal digits, in every process the same.
        system: Dialect and database, such as `sqlite shop.db`.
        shape: The statement without its data.
        is_write: Whether it changes rows.
        site: Lines of the application that made it last, as far as known: innermost first.
        routes: How often it came from which; the most frequent.
        first_seen, last_seen: Seconds since the epoch; 0 until the first fold is over.
        count, total_ms: Since this process began.
        seconds: Of each call since the last `take`; of those past a request's 500, none.
        uncertain_count, uncertain_ms: Of those past a request's 500, since the last `take`.
        new_count, new_ms, new_errors, new_rows: Since the last `take`; count and time from
            `StatementTable.end_fold` on.
    """

    id: str
    system: str
    shape: str
    is_write: bool = False
    site: list[str] = field(default_factory=list)
    routes: Counter[str] = field(default_factory=Counter)
    first_seen: float = 0.0
    last_seen: float = 0.0
    count: int = 0
    total_ms: float = 0.0
    seconds: list[float] = field(default_factory=list)
    uncertain_count: int = 0
    uncertain_ms: float = 0.0
    new_count: int = 0
    new_ms: float = 0.0
    new_errors: int = 0
    new_rows: int = 0

    def add_uncertain(self, count: int, seconds: float) -> None:
        """Count calls of which only number and time together are known."""
        self.uncertain_count += count
        self.uncertain_ms += max(seconds, 0.0) * 1000.0

    def count_up(self, now: float) -> None:
        """A fold is over: count what it added."""
        seconds = self.seconds
        if not seconds and not self.uncertain_count:
            return
        count, ms = self.new_count, self.new_ms
        self.new_count = len(seconds) + self.uncertain_count
        self.new_ms = sum(seconds) * 1000.0 + self.uncertain_ms
        self.first_seen = self.first_seen or now
        self.last_seen = now
        self.count += self.new_count - count
        self.total_ms += self.new_ms - ms

    def absorb(self, other: Statement) -> None:
        """Count what another one, that is given up, has not handed over yet."""
        self.seconds += other.seconds
        self.uncertain_count += other.uncertain_count
        self.uncertain_ms += other.uncertain_ms
        self.new_errors += other.new_errors
        self.new_rows += other.new_rows

    def handed_over(self) -> None:
        """What was new is not new any more."""
        self.seconds = []
        self.uncertain_count = self.new_count = self.new_errors = self.new_rows = 0
        self.uncertain_ms = self.new_ms = 0.0

    def note_route(self, route: str, count: int) -> None:
        """It came from a route."""
        self.routes[route] += count
        if len(self.routes) > 4 * MAX_ROUTES:
            self.routes = Counter(dict(self.routes.most_common(MAX_ROUTES)))


_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "UPSERT")


class StatementTable:
    """The statements of one process.

    Attributes:
        other: All that have no figures of their own.

    *Threads:* for the one that folds.
    """

    def __init__(self) -> None:
        self._by_text: dict[str, Statement] = {}
        self._by_id: dict[str, Statement] = {}
        self.other = Statement(statement_id("", OTHER), "", OTHER)
        self._unread = Statement(statement_id("", NOT_ANALYSED), "", NOT_ANALYSED)
        self._may_read = float(MAX_TEXTS)
        self._refilled = self._replaced_since = 0.0
        self._replacements = 0

    def begin_fold(self, now: float) -> None:
        """A fold begins (wall time): as many new texts may be analysed as the time allows."""
        passed = min(max(now - self._refilled, 0.0), _DAY_S)
        self._refilled = now
        self._may_read = min(self._may_read + passed * TEXTS_PER_SECOND, float(MAX_TEXTS))
        if not 0.0 <= now - self._replaced_since < _DAY_S:
            self._replaced_since, self._replacements = now, 0

    def of(self, text: str, system: str | None) -> Statement:
        """The statement of a raw text. *Cost:* 0.1 us when the text is known, else 11-25."""
        found = self._by_text.get(text)
        return found if found is not None and found.system == system else self._learn(text, system)

    def _learn(self, text: str, system: str | None) -> Statement:
        if self._may_read < 1.0:
            return self._unread
        self._may_read -= 1.0
        name = system or ""
        shape = shape_of(text, name.partition(" ")[0]) or "(empty)"
        known = self._by_id.get(key := statement_id(name, shape))
        if known is None:
            known = Statement(key, name, shape, shape[:7].upper().startswith(_WRITES))
            self._by_id[key] = known
        if len(text) <= MAX_TEXT_LENGTH:
            if len(self._by_text) >= MAX_TEXTS:
                self._by_text.clear()
            self._by_text[text] = known
        return known

    def shown(self) -> list[Statement]:
        """All that have figures of their own."""
        return [*self._by_id.values(), self._unread, self.other]

    def end_fold(self, now: float) -> None:
        """A fold is over: what has come is dated, and what does not fit becomes `(other)`."""
        for each in self.shown():
            each.count_up(now)
        excess = len(self._by_id) - MAX_STATEMENTS
        if excess > 0:
            self._drop(excess, now)

    def _drop(self, excess: int, now: float) -> None:
        """Give up the cheapest; newcomers first when enough of the others have gone today."""
        newcomers = {each for each in self._by_id.values() if each.first_seen == now}
        may_go = REPLACEMENTS_PER_DAY - self._replacements
        for each in sorted(self._by_id.values(), key=_cost):
            if excess == 0:
                break
            if each not in newcomers:
                if may_go <= 0:
                    continue
                may_go -= 1
                self._replacements += 1
            excess -= 1
            self._give_up(each, now)
        self._by_text = {text: one for text, one in self._by_text.items() if one.id in self._by_id}

    def _give_up(self, statement: Statement, now: float) -> None:
        del self._by_id[statement.id]
        self.other.absorb(statement)
        self.other.count_up(now)

    def clear(self) -> None:
        """Forget everything: it is another process's."""
        self.__init__()  # type: ignore[misc]


def _cost(statement: Statement) -> float:
    return statement.total_ms
