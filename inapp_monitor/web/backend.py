"""All that pages and the render API may ask: data comes through here or not at all.

Nothing of werkzeug or numpy is imported here, and nothing that reads data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.config import Loaded
from inapp_monitor.ground.facts import Facts
from inapp_monitor.ground.guard import Guard
from inapp_monitor.web.cache import Cache

if TYPE_CHECKING:
    from inapp_monitor.alerts.incidents import Incident
    from inapp_monitor.database.file import Database
    from inapp_monitor.ingest.listening import Listening
    from inapp_monitor.ingest.sentry.door import Door
    from inapp_monitor.issues.not_found import NotFoundTable
    from inapp_monitor.issues.triage import Triage
    from inapp_monitor.logs.ring_file import LogFile
    from inapp_monitor.query.sources import Source
    from inapp_monitor.store.series import Store
    from inapp_monitor.traces.profile_table import ProfileTable
    from inapp_monitor.traces.statement_tables import StatementTables
    from inapp_monitor.traces.time_table import TimeTable
    from inapp_monitor.traces.trace_table import TraceTable


def _no_stack(pid: int, request: str) -> Mapping[str, Any]:  # noqa: ARG001
    return {"state": "ended", "frames": []}


@dataclass(slots=True)
class Backend:
    """One monitor as the web sees it.

    Attributes:
        loaded: The settings and where each came from.
        source: What queries are evaluated against.
        logs: Log records of all workers.
        traces: Kept traces of all workers.
        profiles: Profiles of all workers.
        statements: Statements of all workers.
        times: What the time of each route went to.
        trace_cookie: What a cookie must say for its requests to be traced; "" where none can be.
        refresh: Folds and flushes, so that an answer is current; cheap to call often.
        sentry: Where SDKs of Sentry come in; None without a running monitor.
        live: True inside the monitored app, False for the stored data of another process.
        facts: What only the running monitor knows; pages get them once a visit, see `Visit.facts`.
        judged: What is wrong right now, as the leader's judge shows it; None: nobody judges.
        judged_since: When this process began to judge, or to hear of it.
        incidents: Those that were running in a window, the newest first; None: none are kept.
        stack_of: The stack of a request under way, by worker and the request's name there.
        listening: The doors of the running monitor; None for the stored data of another process.
        cache: Kept results of this backend's pages.
        kept: What endpoints keep beside it, by process id.
    """

    loaded: Loaded
    clock: Clock
    guard: Guard
    source: Source
    store: Store
    triage: Triage
    not_found: NotFoundTable
    database: Database | None = None
    logs: LogFile | None = None
    sentry: Door | None = None
    traces: TraceTable | None = None
    profiles: ProfileTable | None = None
    statements: StatementTables | None = None
    times: TimeTable | None = None
    trace_cookie: Callable[[], str] = str
    refresh: Callable[[], object] = lambda: None
    live: bool = True
    facts: Callable[[], Facts] = Facts
    stack_of: Callable[[int, str], Mapping[str, Any]] = field(default=_no_stack)
    listening: Listening | None = None
    judged: Callable[[], list[dict[str, Any]]] | None = None
    judged_since: float = 0.0
    incidents: Callable[[float, float], list[Incident]] | None = None
    cache: Cache = field(init=False)
    kept: dict[int, object] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.cache = Cache(self.clock)

    def known(self) -> Facts:
        """The facts; none when the monitor cannot tell them."""
        try:
            return self.facts()
        except Exception as error:  # noqa: BLE001  # pages are worth showing without them
            self.guard.failed("facts", error)
            return Facts()

    @property
    def may_act(self) -> bool:
        """Whether people may change anything here."""
        return self.live and not self.loaded.settings.read_only

    def now(self) -> int:
        """The present in whole seconds since the epoch."""
        return int(self.clock.wall())
