"""All that pages and the render API may ask: data comes through here or not at all.

The protocols name what is used of the store, the tracker and the 404 table and no more, so that
pages can be shown against plain objects in tests. Nothing of werkzeug or numpy is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.config import Loaded
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.ranges import DistributionRange, Leaf, ScalarRange
from inapp_monitor.web.kept.cache import Cache

if TYPE_CHECKING:
    from inapp_monitor.query.sources import Source


class StoreReader(Protocol):
    """What pages read of the store beside queries."""

    @property
    def generation(self) -> int: ...
    def leaves(self) -> Sequence[Leaf]: ...
    def fetch(
        self, paths: Sequence[str], start: int, end: int, now: int
    ) -> Sequence[ScalarRange]: ...
    def fetch_distribution(
        self, path: str, start: int, end: int, now: int
    ) -> DistributionRange | None: ...
    def status(self) -> Any: ...


class IssueReader(Protocol):
    """What pages read of the tracker: summaries and details as plain objects."""

    def list_issues(self, limit: int = 50) -> Sequence[Any]: ...
    def get_issue(self, issue_id: str) -> Any | None: ...


class NotFoundReader(Protocol):
    """What pages read of the 404 table: rows with path, count, first_seen, last_seen, referers."""

    def top(self, limit: int = 50) -> Sequence[Any]: ...


def _no_facts() -> dict[str, object]:
    return {}


def _no_stack(pid: int, request: str) -> Mapping[str, Any]:  # noqa: ARG001
    return {"state": "ended", "frames": []}


@dataclass(slots=True)
class Backend:
    """One monitor as the web sees it.

    Attributes:
        loaded: The settings and where each came from.
        source: What queries are evaluated against.
        refresh: Folds and flushes, so that an answer is current; cheap to call often.
        live: True inside the monitored app, False for the stored data of another process.
        facts: What only the running monitor knows, under the keys `routes` (slug to
            `{"route": template}`), `release`, `deploys`, `cost_us`, `cpu_share`,
            `memory_bytes`, `workers`, `collectors` (rows), `multithread` (whether a worker answers
            several at once); any may be missing.
        stack_of: The stack of a request under way, by worker and the request's name there.
        cache: Kept results of this backend's pages.
        kept: What endpoints keep beside it, by process id.
    """

    loaded: Loaded
    clock: Clock
    guard: Guard
    source: Source
    store: StoreReader
    tracker: IssueReader
    not_found: NotFoundReader
    database: Any = None
    refresh: Callable[[], None] = lambda: None
    live: bool = True
    facts: Callable[[], Mapping[str, Any]] = field(default=_no_facts)
    stack_of: Callable[[int, str], Mapping[str, Any]] = field(default=_no_stack)
    cache: Cache = field(init=False)
    kept: dict[int, Any] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.cache = Cache(self.clock)

    def known(self) -> Mapping[str, Any]:
        """The facts; empty when the monitor cannot tell them."""
        try:
            return self.facts()
        except Exception as error:  # noqa: BLE001  # pages are worth showing without them
            self.guard.failed("facts", error)
            return {}

    @property
    def may_act(self) -> bool:
        """Whether people may change anything here."""
        return self.live and not self.loaded.settings.read_only

    def now(self) -> int:
        """The present in whole seconds since the epoch."""
        return int(self.clock.wall())
