"""Where series come from: the protocol that evaluation asks, over the store and in memory.

A distribution `x.time` shows as a branch whose leaves (`count`, `rate`, `p95`, ...) are computed
when read. They are computed at the step that will be drawn, from merged histograms, because a
percentile of percentiles is wrong.
"""

from __future__ import annotations

import math
import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple, Protocol

import numpy as np

from inapp_monitor.exceptions import QueryError
from inapp_monitor.histogram import Histogram, bucket_bounds
from inapp_monitor.points import Method
from inapp_monitor.query.globs import Tree, split_nodes
from inapp_monitor.query.series import Floats, Series
from inapp_monitor.query.tagged import canonical, parse_tags, readable_name, storage_path

#: Virtual leaves that are listed below a distribution; any other `pNN` can be fetched as well.
VIRTUAL_LEAVES = (
    "count", "rate", "sum", "mean", "min", "max", "stddev",
    "p50", "p75", "p90", "p95", "p99", "p999",
)  # fmt: skip
_PERCENTILE = re.compile(r"p([0-9]{1,6})")
_CONSOLIDATIONS = {
    Method.AVERAGE: "average",
    Method.SUM: "sum",
    Method.LAST: "last",
    Method.MAX: "max",
    Method.MIN: "min",
    Method.AVG_ZERO: "avg_zero",
    Method.ABSMAX: "max",
    Method.ABSMIN: "min",
}


class Window(NamedTuple):
    """What to fetch.

    Attributes:
        start, end, now: Epoch seconds; as Graphite, `start` is exclusive and `end` inclusive.
        max_points: What will be drawn; distributions are merged to at most that many points.
        own_consolidation: Series get the consolidation of their own method, not the average.
        max_series: More series than that are refused.
    """

    start: int
    end: int
    now: int
    max_points: int | None = None
    own_consolidation: bool = False
    max_series: int = 1_000


class Node(NamedTuple):
    """One entry of the tree of names."""

    path: str
    is_leaf: bool

    @property
    def name(self) -> str:
        """The last node of the path."""
        return self.path.rsplit(".", 1)[-1]


class Slots(NamedTuple):
    """A distribution over time: one histogram (or None) a step."""

    start: int
    end: int
    step: int
    histograms: Sequence[Histogram | None]


class Source(Protocol):
    """What evaluation and the find pages need."""

    def find(self, pattern: str) -> list[Node]:
        """The nodes at the level of the pattern, sorted by path."""
        ...

    def fetch(self, pattern: str, window: Window) -> list[Series]:
        """The series that a pattern (or a tagged name) selects, sorted by name."""
        ...

    def fetch_paths(self, paths: Sequence[str], expression: str, window: Window) -> list[Series]:
        """The series of some leaves, sorted by name; `expression` is what selected them."""
        ...

    def distribution(self, path: str, window: Window) -> Slots | None:
        """The histograms of one distribution, merged to the points to draw."""
        ...

    def index(self) -> list[str]:
        """Every leaf path, sorted."""
        ...

    def tagged(self) -> list[str]:
        """Canonical names of all tagged series."""
        ...


class _Leaf(NamedTuple):
    path: str
    kind: str


class _Range(Protocol):
    """Shape of `store.ScalarRange`: a named tuple."""

    @property
    def path(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def step(self) -> int: ...
    @property
    def values(self) -> array[float]: ...
    @property
    def method(self) -> Method: ...


class _DistributionRange(Protocol):
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def step(self) -> int: ...
    @property
    def slots(self) -> Sequence[Histogram | None]: ...


class _StoredLeaf(Protocol):
    @property
    def path(self) -> str: ...
    @property
    def kind(self) -> str: ...


class Reader(Protocol):
    """The part of `store.Store` that is read here."""

    @property
    def generation(self) -> int: ...
    def leaves(self) -> Sequence[_StoredLeaf]: ...
    def fetch(self, paths: Sequence[str], start: int, end: int, now: int) -> Sequence[_Range]: ...
    def fetch_distribution(
        self, path: str, start: int, end: int, now: int
    ) -> _DistributionRange | None: ...


class StoreSource:
    """Series of a store, with an index of their names that follows the store's generation."""

    def __init__(self, store: Reader, registered: Callable[[], Iterable[str]] = lambda: ()) -> None:
        """No I/O. `registered` gives tagged names whose series Graphite wrote under `_tagged`."""
        self._store = store
        self._registered = registered
        self._generation: int | None = None
        self._tree = Tree()
        self._kinds: dict[str, str] = {}
        self._computed = Computations()
        #: Tagged names that Graphite's files carry in clear, and where they are stored.
        self._readable: dict[str, str] = {}

    def use_names(self, registered: Callable[[], Iterable[str]]) -> None:
        """Take the tagged names from somewhere else."""
        self._registered = registered

    def find(self, pattern: str) -> list[Node]:
        """One level of the tree; a node that is both branch and leaf is listed twice."""
        self._refresh()
        if ";" in pattern:
            stored = self._stored_name(pattern)
            return [Node(pattern, True)] if stored is not None else []
        nodes: list[Node] = []
        for path, tree in self._tree.find(pattern):
            if tree.children:
                nodes.append(Node(path, False))
            if tree.is_leaf:
                nodes.append(Node(path, True))
        known = {node.path for node in nodes}
        nodes += [Node(p, True) for p in self._percentiles(pattern) if p not in known]
        return sorted(nodes, key=lambda node: (node.path, not node.is_leaf))

    def fetch(self, pattern: str, window: Window) -> list[Series]:
        """See `Source.fetch`.

        Raises:
            QueryError: more than `window.max_series` series.
        """
        paths = [node.path for node in self.find(pattern) if node.is_leaf]
        if len(paths) > window.max_series:
            raise QueryError(
                f"{pattern[:80]!r} matches {len(paths)} series, "
                f"at most {window.max_series} are allowed"
            )
        return self.fetch_paths(paths, pattern, window)

    def fetch_paths(self, paths: Sequence[str], expression: str, window: Window) -> list[Series]:
        """See `Source.fetch_paths`."""
        self._refresh()
        stored: dict[str, str] = {}
        made: list[Series] = []
        for path in paths:
            name = self._stored_name(path) if ";" in path else path
            if name is not None and name in self._kinds:
                stored[name] = path
            else:
                made += self._virtual(path, expression, window)
        for found in self._store.fetch(list(stored), window.start, window.end, window.now):
            made.append(_series(stored[found.path], expression, found, window))
        return sorted(made, key=lambda s: s.name)

    def distribution(self, path: str, window: Window) -> Slots | None:
        """See `Source.distribution`."""
        self._refresh()
        if self._kinds.get(path) != "distribution":
            return None
        found = self._store.fetch_distribution(path, window.start, window.end, window.now)
        if found is None:
            return None
        return merge_slots(Slots(found.start, found.end, found.step, found.slots), window)

    def index(self) -> list[str]:
        """See `Source.index`; virtual leaves stand for a distribution."""
        self._refresh()
        paths = [path for path, kind in self._kinds.items() if kind != "distribution"]
        for path, kind in self._kinds.items():
            if kind == "distribution":
                paths += [f"{path}.{leaf}" for leaf in VIRTUAL_LEAVES]
        return sorted(paths)

    def tagged(self) -> list[str]:
        """See `Source.tagged`."""
        self._refresh()
        own = {path for path in self._kinds if ";" in path and "_tagged." not in path}
        own = {path for path in own if parse_tags(path)}
        return sorted(own | set(self._readable) | set(self._registered()))

    def _refresh(self) -> None:
        generation = self._store.generation
        if generation == self._generation:
            return
        tree, kinds = Tree(), {}
        readable = {}
        for leaf in self._store.leaves():
            kinds[leaf.path] = leaf.kind
            if leaf.path.startswith("_tagged.") and (name := readable_name(leaf.path)):
                readable[name] = leaf.path
            if leaf.kind == "distribution":
                for name in VIRTUAL_LEAVES:
                    tree.add(f"{leaf.path}.{name}").is_leaf = True
            elif ";" not in leaf.path or leaf.path.startswith("_tagged."):
                tree.add(leaf.path).is_leaf = True
        self._readable = readable
        self._tree, self._kinds, self._generation = tree, kinds, generation

    def _stored_name(self, path: str) -> str | None:
        """The stored path of a tagged series: its own name, or Graphite's path for it."""
        if path in self._kinds:
            return path
        if path in self._readable:
            return self._readable[path]
        hashed = storage_path(path)
        return hashed if hashed in self._kinds else None

    def _percentiles(self, pattern: str) -> list[str]:
        """Percentiles that are not listed, such as `x.time.p42`, for a pattern that names one."""
        *nodes, last = split_nodes(pattern)
        if not nodes or _PERCENTILE.fullmatch(last) is None:
            return []
        found = self._tree.find(".".join(nodes))
        return [f"{path}.{last}" for path, _ in found if self._kinds.get(path) == "distribution"]

    def _virtual(self, path: str, pattern: str, window: Window) -> list[Series]:
        parent, _, leaf = path.rpartition(".")
        if leaf not in READERS:
            percentile_fraction(leaf)  # raises for what is no leaf
        computed = self._computed.get(parent, window, leaf)
        if computed is None:
            slots = self.distribution(parent, window)
            if slots is None:
                return []
            computed = self._computed.put(parent, window, compute(slots, leaf))
        return [virtual_series(path, pattern, leaf, computed, window)]


def _series(path: str, pattern: str, found: _Range, window: Window) -> Series:
    values = np.frombuffer(found.values, dtype=np.float64) if len(found.values) else np.empty(0)
    how = _CONSOLIDATIONS[found.method] if window.own_consolidation else "average"
    return Series(
        path,
        found.start,
        found.end,
        found.step,
        values,
        path_expression=pattern,
        consolidation=how,
    )


def merge_slots(slots: Slots, window: Window) -> Slots:
    """Merge neighbours until at most `window.max_points` are left; buckets start at multiples.

    A first bucket of which only a part was fetched is dropped, as for every consolidation.
    """
    count = (slots.end - slots.start) / slots.step
    if not window.max_points or count <= window.max_points:
        return slots
    step = math.ceil(count / window.max_points) * slots.step
    start = -(-slots.start // step) * step
    skipped = (start - slots.start) // slots.step
    size = step // slots.step
    rest = slots.histograms[skipped:]
    merged = [_merged(rest[i : i + size]) for i in range(0, len(rest), size)]
    return Slots(start, start + len(merged) * step, step, merged)


def _merged(histograms: Sequence[Histogram | None]) -> Histogram | None:
    known = [h for h in histograms if h is not None and h.count]
    if len(known) < 2:
        return known[0] if known else None
    whole = known[0].copy()
    for other in known[1:]:
        whole.merge(other)
    return whole


class Computed(NamedTuple):
    """What was computed from the histograms of a distribution: values by leaf."""

    start: int
    end: int
    step: int
    values: dict[str, Floats]


#: Leaves other than percentiles. `rate` is per second; the step is known when it is asked for.
READERS: dict[str, Callable[[Histogram], float]] = {
    "count": lambda h: float(h.count),
    "rate": lambda h: float(h.count),
    "sum": lambda h: h.total,
    "mean": lambda h: h.mean,
    "min": lambda h: h.minimum,
    "max": lambda h: h.maximum,
    "stddev": lambda h: h.stddev,
}
#: Leaves that are computed together with any other: most charts want one of them next.
_USUAL = ("count", "rate", "mean", "max", "p50", "p95", "p99")


def compute(slots: Slots, leaf: str) -> Computed:
    """The values of a leaf, and of those that will probably be asked for next."""
    leaves = (leaf, *(name for name in _USUAL if name != leaf))
    percentiles = [name for name in leaves if name not in READERS]
    fractions = [percentile_fraction(name) for name in percentiles]
    values = {name: np.full(len(slots.histograms), math.nan) for name in leaves}
    for i, h in enumerate(slots.histograms):
        if h is None or not h.count:
            continue
        for name in leaves:
            if name in READERS:
                values[name][i] = READERS[name](h)
        for name, value in zip(percentiles, quantiles(h, fractions), strict=True):
            values[name][i] = value
    values["rate"] = values["rate"] / slots.step
    return Computed(slots.start, slots.end, slots.step, values)


def quantiles(h: Histogram, fractions: Sequence[float]) -> list[float]:
    """`Histogram.quantile` of several fractions in one pass over the buckets."""
    numbers = sorted(h.buckets)
    seen = list(accumulate(h.buckets[number] for number in numbers))
    found = []
    for q in fractions:
        place = bisect_right(seen, q * (h.count - 1))
        if q <= 0.0 or q >= 1.0 or place == len(numbers):
            found.append(h.minimum if q <= 0.0 else h.maximum)
            continue
        lower, upper = bucket_bounds(numbers[place], h.shift)
        middle = lower if math.isinf(upper) else (lower + upper) / 2
        found.append(min(max(middle, h.minimum), h.maximum))
    return found


class Computations:
    """Recent computations, because reading histograms of weeks is most of the work of a chart.

    They are used again for the same steps, for a thirtieth of a step: what is drawn in steps of ten
    minutes may be twenty seconds old, and what is drawn in steps of seconds is always read anew.

    *Threads:* entries are replaced whole; two threads may both compute.
    """

    MOST = 256
    FRESH = 30

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int, int | None], tuple[Window, Computed]] = {}

    def get(self, path: str, window: Window, leaf: str) -> Computed | None:
        """The kept computation when it has the leaf and is of the same steps."""
        kept = self._kept.get(self._key(path, window))
        if kept is None or leaf not in kept[1].values:
            return None
        then, computed = kept
        step = computed.step
        same = window.start // step == then.start // step and window.end // step == then.end // step
        age = window.now - then.now
        return computed if same and 0 <= age < step / self.FRESH - 1 else None

    def put(self, path: str, window: Window, computed: Computed) -> Computed:
        """Keep a computation."""
        if len(self._kept) >= self.MOST:
            self._kept.clear()
        self._kept[self._key(path, window)] = window, computed
        return computed

    def _key(self, path: str, window: Window) -> tuple[str, int, int | None]:
        return path, window.end - window.start, window.max_points


def virtual_series(
    path: str, pattern: str, leaf: str, computed: Computed, window: Window
) -> Series:
    """One virtual leaf of a distribution as a series."""
    how = {"count": "sum", "sum": "sum", "min": "min"}.get(leaf, "max")
    how = "average" if leaf in ("rate", "mean") else how
    return Series(
        path,
        computed.start,
        computed.end,
        computed.step,
        computed.values[leaf],
        path_expression=pattern,
        consolidation=how if window.own_consolidation else "average",
        tags={"name": path},
    )


def percentile_fraction(leaf: str) -> float:
    """`p95` is 0.95, `p999` 0.999, `p5` 0.05, `p100` 1."""
    match = _PERCENTILE.fullmatch(leaf)
    if match is None:
        raise QueryError(f"{leaf!r} is no leaf of a distribution: {', '.join(VIRTUAL_LEAVES)}")
    digits = match[1]
    if digits == "100":
        return 1.0
    return int(digits) / 100 if len(digits) <= 2 else int(digits) / 10 ** len(digits)


class _Stored(NamedTuple):
    path: str
    start: int
    end: int
    step: int
    values: array[float]
    method: Method


class MemorySource(StoreSource):
    """Series held in memory: for tests and for the examples of the documentation."""

    def __init__(
        self,
        series: Iterable[tuple[str, int, int, Sequence[float]]] = (),
        distributions: Mapping[str, Slots] | None = None,
        methods: Mapping[str, Method] | None = None,
    ) -> None:
        """`series` are (path, first timestamp, step, values)."""
        memory = _Memory(list(series), dict(distributions or {}), dict(methods or {}))
        super().__init__(memory, lambda: memory.registered)
        self._memory = memory

    def register(self, path: str) -> None:
        """Make a tagged name known."""
        self._memory.registered.append(canonical(path))


class _Memory:
    """A `Reader` over lists."""

    generation = 0

    def __init__(
        self,
        series: list[tuple[str, int, int, Sequence[float]]],
        distributions: dict[str, Slots],
        methods: dict[str, Method],
    ) -> None:
        self._series = {path: (start, step, values) for path, start, step, values in series}
        self._distributions = distributions
        self._methods = methods
        self.registered: list[str] = []

    def leaves(self) -> list[_Leaf]:
        scalars = [_Leaf(path, "scalar") for path in self._series]
        return scalars + [_Leaf(path, "distribution") for path in self._distributions]

    def fetch(self, paths: Sequence[str], start: int, end: int, now: int) -> list[_Stored]:
        found = []
        for path in paths:
            first, step, values = self._series[path]
            begin, stop = _grid(start, min(end, now), step)
            cells = [
                values[i] if 0 <= (i := (t - first) // step) < len(values) else math.nan
                for t in range(begin, stop, step)
            ]
            method = self._methods.get(path, Method.AVERAGE)
            found.append(_Stored(path, begin, stop, step, array("d", cells), method))
        return found

    def fetch_distribution(
        self, path: str, start: int, end: int, now: int
    ) -> _DistributionRange | None:
        held = self._distributions[path]
        begin, stop = _grid(start, min(end, now), held.step)
        cells = [
            held.histograms[i] if 0 <= (i := (t - held.start) // held.step) < len(held.histograms)
            else None
            for t in range(begin, stop, held.step)
        ]  # fmt: skip
        return _Held(begin, stop, held.step, cells)


class _Held(NamedTuple):
    start: int
    end: int
    step: int
    slots: Sequence[Histogram | None]


def _grid(start: int, end: int, step: int) -> tuple[int, int]:
    begin = start // step * step + step
    stop = end // step * step + step
    return begin, max(stop, begin + step)
