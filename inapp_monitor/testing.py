"""For tests: what code records, what a collector publishes, a clock that is stepped by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from inapp_monitor.collectors import Collector
from inapp_monitor.collectors.base import Sink, prefix_of
from inapp_monitor.ground import current_request
from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.series_description import Description
from inapp_monitor.monitor.recorded import Recorded as Recorded
from inapp_monitor.monitor.recorded import recorded as recorded
from inapp_monitor.traces import call_site, spans
from inapp_monitor.traces.attaching import attachments
from inapp_monitor.traces.patches import Patches
from inapp_monitor.traces.spans import DATABASE, RawSpan, Spans
from inapp_monitor.traces.statement_shape import shape_of


class FakeClock(Clock):
    """A clock that stands still until `advance` is called.

    Args:
        wall: Seconds since the epoch to begin with.
    """

    __slots__ = ("now", "ticks")

    def __init__(self, wall: float = 1_700_000_000.0) -> None:
        self.now = wall
        self.ticks = 1_000.0
        super().__init__(wall=lambda: self.now, perf=lambda: self.ticks)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.ticks += seconds

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock forwards or back, as an administrator would."""
        self.now += seconds


def collected(collector: Collector) -> dict[str, float]:
    """Run a collector once. Returns what it published: series by value.

    A counter shows from the second call on an object, which holds what was added since the first.
    """
    sink = collector._sink = collector._sink or Sink(
        prefix_of(collector), collector.per_worker, collector.max_names
    )
    collector.collect()
    values = {scalar.path: scalar.value for scalar in sink.take(0.0, 10.0)}
    return values | {path: shared.value for path, shared in sink.shared.items()}


def described(collector: Collector) -> dict[str, Description]:
    """What a collector has said of its series, by path; `collected` has run it."""
    return {} if collector._sink is None else dict(collector._sink.descriptions)


class Statements:
    """The statements that a block has made so far, by all threads and requests, as their shapes.

    Attributes:
        shapes: One for each call, in the order of their ends.
    """

    def __init__(self) -> None:
        self.shapes: list[str] = []
        self._sites: dict[str, Counter[str]] = {}

    @property
    def count(self) -> int:
        """How many."""
        return len(self.shapes)

    def describe(self) -> str:
        """A line for each shape, the most frequent first, with the lines that asked for it."""
        lines = []
        for shape, times in Counter(self.shapes).most_common():
            sites = ", ".join(site for site, _ in self._sites[shape].most_common(3))
            lines.append(f"{times} × {shape}" + (f"  ({sites})" if sites else ""))
        return "\n".join(lines)

    def _add(self, span: RawSpan) -> None:
        kind, _, _, text, _, system, _, _, _ = span
        if kind == DATABASE:
            shape = shape_of(text, (system or "").partition(" ")[0])
            site = call_site.show(call_site.find(3))
            self._sites.setdefault(shape, Counter()).update(site[:1])
            self.shapes.append(shape)


@contextmanager
def statements(*, at_most: int | None = None) -> Iterator[Statements]:
    """Assert how many statements a block makes; no monitor is needed.

    A connection of `sqlite3` or `psycopg2` that was opened before the block, without a monitor, is
    not seen; those of SQLAlchemy, Django, psycopg and MySQL's drivers are.

    Raises:
        AssertionError: there were more; the text names those that repeat, and their lines.
    """
    made, patches = Statements(), Patches()
    attachments.attach(made)
    noted = spans.note_outside
    record = SimpleNamespace(environ={}, spans=None)
    token = current_request.enter(record)

    def append(original: Any) -> Any:
        def append_and_see(self: Spans, span: RawSpan) -> None:
            made._add(span)
            original(self, span)

        return append_and_see

    def see_outside(_original: Any) -> Any:
        def note_outside(span: RawSpan) -> None:
            made._add(span)
            noted(span)

        return note_outside

    def see_counted(original: Any) -> Any:
        def count(mine: Spans, kind: int, seconds: float, text: str, system: str | None) -> None:
            made._add((kind, 0.0, seconds, text, 0, system, None, None, None))
            original(mine, kind, seconds, text, system)

        return count

    patches.replace(Spans, "append", append)
    patches.replace(spans, "note_outside", see_outside)
    patches.replace(spans, "count_only", see_counted)
    try:
        yield made
    finally:
        patches.undo()
        current_request.leave(token)
        attachments.detach(made)
    if at_most is not None and made.count > at_most:
        raise AssertionError(
            f"{made.count} statements, at most {at_most} expected:\n{made.describe()}"
        )
