"""What rules look at: the value of each series of a target, over the last closed steps.

A plain path, also with wildcards or of a distribution's leaf (`routes.*.*.time.p95`), is read from
the store at once with those of all other rules: that costs microseconds a series and loads no
numpy. Any other target goes through the query language. What a value means is not known here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from inapp_monitor.alerts.question import Answer, Question
from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.ground.histogram import Histogram, merged
from inapp_monitor.ground.points import Method
from inapp_monitor.ground.process import late_imports
from inapp_monitor.ground.ranges import DistributionRange, Leaf, ScalarRange
from inapp_monitor.query import globs

#: Other workers have flushed a step so long after its end.
SETTLED_S = 3
_PLAIN = re.compile(r"[^\s(),;'\"|]+")
_PERCENTILE = re.compile(r"p([0-9]{1,6})")
_LEAVES: dict[str, Callable[[Histogram, float], float]] = {
    "count": lambda h, span_s: float(h.count),  # noqa: ARG005
    "rate": lambda h, span_s: h.count / span_s,
    "sum": lambda h, span_s: h.total,  # noqa: ARG005
    "mean": lambda h, span_s: h.mean,  # noqa: ARG005
    "min": lambda h, span_s: h.minimum,  # noqa: ARG005
    "max": lambda h, span_s: h.maximum,  # noqa: ARG005
    "stddev": lambda h, span_s: h.stddev,  # noqa: ARG005
}
#: Paths of one batch; a rule beyond it is an error of its own.
MAX_PATHS = 20_000


class SeriesStore(Protocol):
    """What is asked of the store."""

    @property
    def generation(self) -> int: ...
    def leaves(self) -> Sequence[Leaf]: ...
    def fetch(
        self, paths: Sequence[str], start: int, end: int, now: int
    ) -> Sequence[ScalarRange]: ...
    def fetch_distribution(
        self, path: str, start: int, end: int, now: int, max_step_s: int = 0
    ) -> DistributionRange | None: ...


class Measuring:
    """Answers questions against one store.

    Args:
        store: Where series are.
        query: Evaluates a target that is no plain path; loaded on first need.
    """

    def __init__(
        self, store: SeriesStore, query: Callable[[Question, int], Answer] | None = None
    ) -> None:
        self._store = store
        self._query = query
        self._generation = -1
        self._tree = globs.Tree()
        self._kinds: dict[str, Leaf] = {}
        self._matches: dict[str, list[str]] = {}

    def answer(
        self, questions: Iterable[Question], now: int
    ) -> dict[Question, Answer | QueryError]:
        """Answer them all, each scalar read once a window; what one does wrong is its answer."""
        self._refresh()
        found: dict[Question, Answer | QueryError] = {}
        wanted: dict[tuple[int, int], list[tuple[Question, list[str]]]] = {}
        for question in dict.fromkeys(questions):
            try:
                if _PLAIN.fullmatch(question.target):
                    paths = self._paths(question.target)
                    key = (question.window_s, question.end)
                    wanted.setdefault(key, []).append((question, paths))
                else:
                    found[question] = self._by_query(question, now)
            except QueryError as error:
                found[question] = error
        for (window_s, end), asked in wanted.items():
            found.update(self._read(asked, window_s, end, now))
        return found

    def _by_query(self, question: Question, now: int) -> Answer:
        if self._query is None:
            self._query = query_of(self._store)
        return self._query(question, now)

    def _refresh(self) -> None:
        generation = self._store.generation
        if generation != self._generation:
            self._generation = generation
            leaves = self._store.leaves()
            self._kinds = {leaf.path: leaf for leaf in leaves}
            self._tree = globs.Tree()
            self._tree.add(self._kinds)
            self._matches = {}

    def _paths(self, pattern: str) -> list[str]:
        """The stored series, and the leaves of distributions, that a pattern selects."""
        known = self._matches.get(pattern)
        if known is None:
            names = [path for path, node in self._tree.find(pattern) if node.is_leaf]
            head, dot, leaf = pattern.rpartition(".")
            if dot and (leaf in _LEAVES or _PERCENTILE.fullmatch(leaf)):
                names += [
                    f"{path}.{leaf}"
                    for path, node in self._tree.find(head)
                    if node.is_leaf and self._kinds[path].kind == "distribution"
                ]
            known = self._matches[pattern] = names
            if len(known) > MAX_PATHS:
                raise QueryError(f"{pattern} selects {len(known)} series, at most {MAX_PATHS}")
        return known

    def _read(
        self, asked: list[tuple[Question, list[str]]], window_s: int, end: int, now: int
    ) -> dict[Question, Answer | QueryError]:
        every = dict.fromkeys(path for _, paths in asked for path in paths)
        scalars = [path for path in every if path in self._kinds]
        values: dict[str, float] = {}
        for found in self._store.fetch(scalars, end - window_s - 1, end - 1, now):
            values[found.path] = combined(found)
        whole: dict[str, Histogram | None] = {}
        for path in every:
            if path not in self._kinds:
                name, _, leaf = path.rpartition(".")
                if name not in whole:
                    whole[name] = self._histogram(name, window_s, end, now)
                values[path] = leaf_of(whole[name], leaf, window_s)
        return {
            question: {
                path: values[path] for path in paths if not math.isnan(values.get(path, math.nan))
            }
            for question, paths in asked
        }

    def _histogram(self, path: str, window_s: int, end: int, now: int) -> Histogram | None:
        found = self._store.fetch_distribution(path, end - window_s - 1, end - 1, now)
        return None if found is None else merged(found.slots)


def combined(found: ScalarRange) -> float:
    """One value of a window: by the series' method, as a rollup would make it; NaN without data."""
    known = [value for value in found.values if value == value]
    if not known:
        return math.nan
    match found.method:
        case Method.SUM:
            return sum(known)
        case Method.LAST:
            return known[-1]
        case Method.MAX:
            return max(known)
        case Method.MIN:
            return min(known)
        case Method.ABSMAX:
            return max(known, key=abs)
        case Method.ABSMIN:
            return min(known, key=abs)
        case Method.AVG_ZERO:
            return math.fsum(known) / len(found.values)
        case _:
            return math.fsum(known) / len(known)


def leaf_of(histogram: Histogram | None, leaf: str, span_s: float) -> float:
    if histogram is None or not histogram.count:
        return math.nan
    reader = _LEAVES.get(leaf)
    if reader is not None:
        return reader(histogram, span_s)
    digits = leaf[1:]
    whole = 1.0 if digits == "100" else int(digits) / 10 ** max(len(digits), 2)
    return histogram.quantile(whole)


def query_of(store: SeriesStore) -> Callable[[Question, int], Answer]:
    """What evaluates a target of the query language; imports it."""
    with late_imports.loading():
        from inapp_monitor.query.evaluate import evaluate
        from inapp_monitor.query.request import Limits, RenderRequest
        from inapp_monitor.query.sources import StoreSource

    source = StoreSource(store)  # type: ignore[arg-type]  # has what is asked here

    def query(question: Question, now: int) -> Answer:
        start, end = question.end - question.window_s - 1, question.end - 1
        request = RenderRequest(start, end, now, own_consolidation=True, limits=Limits())
        answer: dict[str, float] = {}
        for series in evaluate([question.target], request, source):
            known = [float(value) for value in series.values if value == value]
            if known:
                answer[series.name] = _joined(known, series.consolidation)
        return answer

    return query


def _joined(known: list[float], consolidation: str) -> float:
    match consolidation:
        case "sum":
            return math.fsum(known)
        case "max":
            return max(known)
        case "min":
            return min(known)
        case "first":
            return known[0]
        case "last":
            return known[-1]
        case _:
            return math.fsum(known) / len(known)
