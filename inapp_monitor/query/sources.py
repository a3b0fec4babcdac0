"""Where series come from: the protocol that evaluation asks, and its answer over the store.

A distribution `x.time` shows as a branch whose leaves (`count`, `rate`, `p95`, ...) are computed
when read. They are computed at the step that will be drawn, from merged histograms, because a
percentile of percentiles is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.ground.points import Method
from inapp_monitor.ground.ranges import DistributionRange, Kind, Leaf, ScalarRange
from inapp_monitor.query.distribution_leaves import (
    PERCENTILE,
    READERS,
    VIRTUAL_LEAVES,
    Computed,
    compute,
    merge_slots,
    percentile_fraction,
)
from inapp_monitor.query.globs import Tree, split_nodes
from inapp_monitor.query.series import Series
from inapp_monitor.query.tagged import parse_tags, readable_name, storage_path

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

#: More virtual leaves than this in one chart of a page are read from coarser archives.
_MANY = 12


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


class FoundNode(NamedTuple):
    """One answer of a find: an entry of the tree of names."""

    path: str
    is_leaf: bool

    @property
    def name(self) -> str:
        """The last node of the path."""
        return self.path.rsplit(".", 1)[-1]


class Source(Protocol):
    """What evaluation and the find pages need."""

    def find(self, pattern: str) -> list[FoundNode]:
        """The nodes at the level of the pattern, sorted by path."""
        ...

    def fetch(self, pattern: str, window: Window) -> list[Series]:
        """The series that a pattern (or a tagged name) selects, sorted by name."""
        ...

    def fetch_paths(self, paths: Sequence[str], expression: str, window: Window) -> list[Series]:
        """The series of some leaves, sorted by name; `expression` is what selected them."""
        ...

    def distribution(self, path: str, window: Window) -> DistributionRange | None:
        """The histograms of one distribution, merged to the points to draw."""
        ...

    def index(self) -> list[str]:
        """Every leaf path, sorted."""
        ...

    def tagged(self) -> list[str]:
        """Canonical names of all tagged series."""
        ...


class SeriesStore(Protocol):
    """What is asked of a store: queries know none, and none knows queries."""

    @property
    def generation(self) -> int: ...
    @property
    def past(self) -> Hashable | None: ...
    def leaves(self) -> Sequence[Leaf]: ...
    def fetch(
        self, paths: Sequence[str], start: int, end: int, now: int
    ) -> Sequence[ScalarRange]: ...
    def fetch_distribution(
        self, path: str, start: int, end: int, now: int, max_step_s: int = 0
    ) -> DistributionRange | None: ...


class StoreSource:
    """Series of a store, with an index of their names that follows the store's generation."""

    def __init__(
        self, store: SeriesStore, registered: Callable[[], Iterable[str]] = lambda: ()
    ) -> None:
        """No I/O. `registered` gives tagged names whose series Graphite wrote under `_tagged`."""
        self._store = store
        self._registered = registered
        self._generation: int | None = None
        self._tree = Tree()
        self._kinds: dict[str, Kind] = {}
        self._computed = Computations()
        #: Tagged names that Graphite's files carry in clear, and where they are stored.
        self._readable: dict[str, str] = {}

    def use_names(self, registered: Callable[[], Iterable[str]]) -> None:
        """Take the tagged names from somewhere else."""
        self._registered = registered

    def find(self, pattern: str) -> list[FoundNode]:
        """One level of the tree; a node that is both branch and leaf is listed twice."""
        self._refresh()
        if ";" in pattern:
            stored = self._stored_name(pattern)
            return [FoundNode(pattern, True)] if stored is not None else []
        nodes: list[FoundNode] = []
        for path, tree in self._tree.find(pattern):
            if tree.children:
                nodes.append(FoundNode(path, False))
            if tree.is_leaf:
                nodes.append(FoundNode(path, True))
        known = {node.path for node in nodes}
        nodes += [FoundNode(p, True) for p in self._percentiles(pattern) if p not in known]
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
        past = self._store.past
        roughly = window.own_consolidation and len(paths) > _MANY
        for path in paths:
            name = self._stored_name(path) if ";" in path else path
            if name is not None and name in self._kinds:
                stored[name] = path
            elif ";" not in path:  # a tagged name may be registered before its file is there
                made += self._virtual(path, expression, window, past, roughly=roughly)
        for found in self._store.fetch(list(stored), window.start, window.end, window.now):
            made.append(_series(stored[found.path], expression, found, window))
        return sorted(made, key=lambda s: s.name)

    def distribution(self, path: str, window: Window) -> DistributionRange | None:
        """See `Source.distribution`."""
        self._refresh()
        return self._merged(path, window)

    def _merged(self, path: str, window: Window, max_step_s: int = 0) -> DistributionRange | None:
        if self._kinds.get(path) != "distribution":
            return None
        found = self._store.fetch_distribution(
            path, window.start, window.end, window.now, max_step_s
        )
        if found is None:
            return None
        return merge_slots(found, window.max_points)

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
        tree = Tree()
        kinds: dict[str, Kind] = {}
        readable = {}
        shown: list[str] = []
        for leaf in self._store.leaves():
            path, kind = leaf.path, leaf.kind
            kinds[path] = kind
            if path.startswith("_tagged.") and (name := readable_name(path)):
                readable[name] = path
            if kind == "distribution":
                shown += [f"{path}.{name}" for name in VIRTUAL_LEAVES]
            elif ";" not in path or path.startswith("_tagged."):
                shown.append(path)
        tree.add(shown)
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
        if not nodes or PERCENTILE.fullmatch(last) is None:
            return []
        found = self._tree.find(".".join(nodes))
        return [f"{path}.{last}" for path, _ in found if self._kinds.get(path) == "distribution"]

    def _virtual(
        self, path: str, pattern: str, window: Window, past: Hashable, *, roughly: bool
    ) -> list[Series]:
        parent, _, leaf = path.rpartition(".")
        if self._kinds.get(parent) != "distribution":
            return []
        if leaf not in READERS:
            percentile_fraction(leaf)  # raises for what is no leaf
        computed = self._computed.get(parent, window, leaf, past)
        if computed is None:
            found = self._merged(parent, window, _rough_step_s(window) if roughly else 0)
            if found is None:
                return []
            computed = self._computed.put(parent, window, compute(found, leaf), past)
        return [virtual_series(path, pattern, leaf, computed, window)]


def _rough_step_s(window: Window) -> int:
    """The widest step that still gives a third of the points to draw.

    With many series, reading every slot would take seconds, and what is rolled up is merged
    already.
    """
    return 3 * (window.end - window.start) // window.max_points if window.max_points else 0


def _series(path: str, pattern: str, found: ScalarRange, window: Window) -> Series:
    values = np.asarray(found.values)
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


class Computations:
    """Recent computations, because reading histograms of weeks is most of the work of a chart.

    They are used again for the same steps, for a thirtieth of a step: what is drawn in steps of ten
    minutes may be twenty seconds old, and what is drawn in steps of seconds is always read anew.

    *Threads:* entries are replaced whole; two threads may both compute.
    """

    MOST = 256
    FRESH = 30

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[Window, Computed]] = {}

    def get(self, path: str, window: Window, leaf: str, past: Hashable) -> Computed | None:
        """The kept computation when it has the leaf and is of the same steps and past."""
        kept = self._kept.get(self._key(path, window, past))
        if kept is None or leaf not in kept[1].values:
            return None
        then, computed = kept
        step = computed.step
        same = window.start // step == then.start // step and window.end // step == then.end // step
        age = window.now - then.now
        return computed if same and 0 <= age < step / self.FRESH - 1 else None

    def put(self, path: str, window: Window, computed: Computed, past: Hashable) -> Computed:
        """Keep a computation."""
        if len(self._kept) >= self.MOST:
            self._kept.clear()
        self._kept[self._key(path, window, past)] = window, computed
        return computed

    def _key(self, path: str, window: Window, past: Hashable) -> Hashable:
        return path, window.end - window.start, window.max_points, past


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
