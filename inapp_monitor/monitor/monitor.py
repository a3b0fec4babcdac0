"""`Monitor`: wraps an application; what users call, and the hooks of the request path.

    request ──► middleware ──► recorder ──fold, flush──► store
       exception └──────────► tracker ──────────────────► database
    /_metrics ──► web app over all of them (loaded on the first visit)

Nothing starts when a monitor is constructed: no thread, file or socket; `life` says what happens
when. Every entry from outside is guarded: none of its exceptions reaches the application.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from inapp_monitor.ground import config as configuration
from inapp_monitor.ground.clock import SYSTEM, Clock
from inapp_monitor.ground.exceptions import ConfigError
from inapp_monitor.ground.facts import Facts
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.process import lifecycle
from inapp_monitor.ground.route_text import template_of
from inapp_monitor.ground.workers.route_names import RouteNames
from inapp_monitor.integrations import frameworks
from inapp_monitor.issues.release import detect_release
from inapp_monitor.metrics import event_of, switch
from inapp_monitor.monitor import app_packages, error_link, server_start, tracing_hooks
from inapp_monitor.monitor.announcements import signals
from inapp_monitor.monitor.core import Core
from inapp_monitor.monitor.dashboard import Dashboard
from inapp_monitor.monitor.life import Life
from inapp_monitor.monitor.metrics_target import MetricsTarget
from inapp_monitor.monitor.test_runs import switched_off_in_tests
from inapp_monitor.monitor.wrapped_app import require_wsgi
from inapp_monitor.recorder.queue_time import queue_ms
from inapp_monitor.recorder.recorder import Recorder
from inapp_monitor.recorder.verbs import Calls, record_nothing
from inapp_monitor.request import middleware, page_traces, referers
from inapp_monitor.request.exchange import Exchange
from inapp_monitor.request.live import LiveRequests
from inapp_monitor.request.wsgi_types import Environ, StartResponse, WSGIApp
from inapp_monitor.traces import named_spans
from inapp_monitor.traces.attaching import attachments

if TYPE_CHECKING:
    from inapp_monitor.database.file import Database
    from inapp_monitor.ingest.adopted import Adopted, AdoptedSocket
    from inapp_monitor.issues.not_found import NotFoundTable
    from inapp_monitor.issues.tracker import Tracker
    from inapp_monitor.issues.writer import BeforeSend
    from inapp_monitor.monitor.services import Services
    from inapp_monitor.store.series import Store

C = TypeVar("C")

DEFAULT_MOUNT = "/_metrics"
#: Seconds that `refresh` waits for a tick under way: on a busy machine the first takes long.
_REFRESH_S = 60.0
#: Settings whose values the parts understand.
_CHECKED_BY_PARTS = (
    "retention",
    "distribution_retention",
    "storage_schemas",
    "storage_aggregation",
    "listen",
    "alert_rules",
    "alert_notifiers",
)


class Monitor(Calls):
    """A WSGI application that behaves as the one it wraps, watches it, and serves `/_metrics`.

    Args:
        app: The application to wrap: any WSGI callable, also a bound `wsgi_app` of Flask.
        data_dir: Where everything is kept; default `./.inapp_monitor`, made on first need.
        mount: URL path of the dashboard.
        token: Opens the dashboard; made at first start when not given.
        authorizer: Called with the environ of a dashboard request; a true result lets it in.
        config: A TOML file with settings.
        route: Called with the environ while a request is answered; its name for the request
            (a template such as `/users/<id>`, not a path) or None.
        before_send: Called with each event about to be stored; returns it, changed or not, or None
            to keep only its count.
        collectors: What samples numbers, see `collect`; those of the setting run as well.
        clock: Source of time, for tests.
        **settings: Any name of `config.Settings`.

    Raises:
        ConfigError: what is no WSGI application; an unknown setting, with the nearest match, or a
            bad value.

    *Cost:* about 1 us a request. *Threads:* everything may be called from any thread.
    """

    if TYPE_CHECKING:

        def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]: ...

    else:  # a slot for the request path itself spares each request a function that only hands on
        __slots__ = ("__call__",)

    def __init__(
        self,
        app: WSGIApp,
        *,
        data_dir: str | os.PathLike[str] | None = None,
        mount: str = DEFAULT_MOUNT,
        token: str | None = None,
        authorizer: Callable[[Environ], object] | None = None,
        config: str | os.PathLike[str] | None = None,
        route: Callable[[Environ], str | None] | Iterable[str] | None = None,
        before_send: BeforeSend | None = None,
        collectors: Iterable[object] = (),
        clock: Clock = SYSTEM,
        **settings: object,
    ) -> None:
        given = {"data_dir": data_dir, "token": token, **settings}
        if mount != DEFAULT_MOUNT:
            given["mount"] = mount
        require_wsgi(app)
        loaded = switched_off_in_tests(configuration.load(given, config))
        self.settings = loaded.settings
        self.guard = Guard()
        self.clock = clock
        self._app = app
        made_in = app_packages.maker()
        self._make_recorder()
        self._core = Core(
            monitor=self,
            loaded=loaded,
            clock=clock,
            guard=self.guard,
            recorder=self.recorder,
            live_requests=LiveRequests(self.settings.data_dir, clock, self.recorder),
            route_names=RouteNames(self.settings.data_dir),
            collectors=[],
            before_send=before_send,
            authorizer=authorizer,
            traced=self.traced,
            release=self.settings.release or detect_release(),
            app_packages=lambda: app_packages.packages_of(self._app, made_in),
            static_folders=lambda: app_packages.static_folders(self._app),
        )
        self._core.profiling, self._core.server_timing = self.profiling, self.server_timing
        self.life = Life(self._core, self._refresh_frameworks)
        for collector in collectors:
            self.collect(collector)
        if any(loaded.sources[name] != "default" for name in _CHECKED_BY_PARTS):
            _ = self.life.services  # a bad value is an error now, not a line of a log later
        if self.settings.enabled:
            lifecycle.prepare(self.life)
        if self.traced is not None:
            attachments.attach(self, self.settings.traces_off, self.settings.trace_hosts)
        self._connect_frameworks(app, route)
        if self.settings.enabled:
            tick, serve = self.life.tick_by_request, Dashboard(self.life).serve
            inner = page_traces.around(app, wanted=self.settings.page_traces)
            app = middleware.build(inner, self, clock.perf, tick, self.settings.mount, serve)
        switch.connect(self.metrics_target)
        called: Any = Monitor.__call__  # the slot, which a subclass may hide
        called.__set__(self, app)

    def _make_recorder(self) -> None:
        settings, clock = self.settings, self.clock
        self.recorder = Recorder(
            clock,
            max_routes=settings.max_routes,
            max_series=settings.max_series,
            max_pending=settings.max_pending,
            strict=settings.strict,
            first_use=lambda: self.life.attach_if_needed(),
            route_rules=settings.route_rules,
        )
        self.live, self.record = self.recorder.live, self.recorder.pending.append
        self.tallies = self.recorder.tallies
        self.traced, self.profiling, self.server_timing = tracing_hooks.make(settings, clock.perf)
        record = self.recorder.instruments.record if settings.enabled else record_nothing
        super().__init__(record, clock.perf)
        self.metrics_target = MetricsTarget(record, self.event, self.recorder.instruments, self)

    @property
    def store(self) -> Store:
        """Series on disk."""
        return self.life.services.store

    @property
    def database(self) -> Database:
        """Issues, events and 404s on disk."""
        return self.life.services.database

    @property
    def tracker(self) -> Tracker:
        """Errors."""
        return self.life.services.tracker

    @property
    def not_found_table(self) -> NotFoundTable:
        """404s."""
        return self.life.services.not_found_table

    def _connect_frameworks(
        self, app: object, route: Callable[[Environ], str | None] | Iterable[str] | None
    ) -> None:
        self._connected = frameworks.connect(app, self.guard)
        if self.settings.enabled:
            server_start.watch(self)
        self.shortcut = self._connected.shortcut if route is None else None
        self.route_askers = self._connected.route_askers
        self.body_askers = self._connected.body_askers
        self.own_asker = None if route is None else frameworks.asker(route)
        if self.own_asker is not None:
            self.route_askers.insert(0, self.own_asker)

    def _refresh_frameworks(self) -> None:
        self._connected.refresh(self._app)

    # -- WSGI

    def __getattr__(self, name: str) -> Any:
        """Attributes of the wrapped application, so that the wrapped one can stand for it."""
        if name.startswith("_") or "_app" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self._app, name)

    # -- hooks of the request path (see exchange.Hooks)

    def not_found(self, exchange: Exchange, /) -> None:
        """Keep a 404's path and referer."""
        environ = exchange.environ
        if environ is not None:
            path = exchange.whole_path()
            referer = str(environ.get("HTTP_REFERER", ""))
            own = bool(referer) and referers.is_own_link(environ, referer, path)
            self.recorder.note_not_found(path, referer, from_own_page=own)

    def failed(self, exchange: Exchange, error: BaseException, /) -> None:
        """Capture an exception of the application."""

        def capture(services: Services) -> None:
            # Where it has gone through since, such as the server, is not where it came from; the
            # exception itself is the application's, which may be handling it now.
            issue_id = services.tracker.capture(error, environ, route=route, traceback=traceback)
            self._note_issue(services, start, issue_id)
            signals().send_exception(self, error, issue_id, self.guard)
            if links and environ is not None:
                error_link.add(error, environ, self.settings.mount, issue_id)

        traceback = error.__traceback__
        self.life.attach_if_needed()
        environ, route, start = exchange.environ, template_of(exchange.route), exchange.start
        links = error_link.is_wanted(environ)
        self._soon(capture, at_once=links)

    def answered_5xx(self, exchange: Exchange, /) -> None:
        """Capture a 5xx about which no error has been recorded: an event of its own."""

        def capture(services: Services) -> None:
            recorded_by = () if notes is None else notes.recorded_by
            is_recorded = services.tracker in recorded_by or self in recorded_by
            if environ is not None and not is_recorded:
                issue_id = services.tracker.capture_status(status, environ, route=route)
                self._note_issue(services, start, issue_id)

        self.life.attach_if_needed()
        environ, route, start = exchange.environ, template_of(exchange.route), exchange.start
        notes, status = exchange.notes, exchange.status or ""
        self._soon(capture)

    def _note_issue(self, services: Services, start: float, issue_id: str | None) -> None:
        """A request that began at `start` has failed as an issue."""
        self.recorder.slowest.note_issue(start, issue_id)
        if issue_id is not None:
            services.trace_keeper.note(start, issue=issue_id)

    def _soon(self, capture: Callable[[Services], None], *, at_once: bool = False) -> None:
        """Capture now, or once what captures is imported; receivers of signals hear at once."""
        at_once = at_once or signals().anybody_wants_exceptions()
        self.life.when_loaded(capture, at_once=at_once)

    def sampled(self, exchange: Exchange, cpu_s: float | None, /) -> None:
        """Note the waiting and the CPU time of a request that was looked at closer."""
        queued = None
        if exchange.environ is not None:
            waited = self.clock.perf() - exchange.start
            queued = queue_ms(exchange.environ, self.clock.wall() - waited)
        self.recorder.sample(queued, None if cpu_s is None else cpu_s * 1000.0)

    def broke(self, error: BaseException, /) -> None:
        """Note a failure of our own on the request path."""
        self.guard.failed("request path", error)

    # -- what users call

    def collect(self, collector: C) -> C:
        """Run a subclass of `Collector`, an object of one, or `module:Class`. Returns it, so that
        it decorates a class. Raises ConfigError when it is none of these."""
        from inapp_monitor.collectors.discovery import given

        self._core.collectors.append(given(collector))
        return collector

    def alert(self, name: str, condition: str | None = None, /, **options: object) -> None:
        """Add an alert rule: `monitor.alert("queue", "shop.queue.depth > 100 for 3")`.

        Args:
            name: Identifies it; a rule of the same name is replaced.
            condition: When it is critical.
            **options: The keys of a rule in a file: `warning`, `target`, `attempts`, ...

        Raises:
            ConfigError: the rule is wrong; the message says what was expected.
        """
        from inapp_monitor.alerts import built_in

        table = options if condition is None else {"critical": condition, **options}
        try:
            built_in.rule_of(name, table, "monitor.alert")
        except ValueError as error:
            raise ConfigError(str(error)) from None
        self._core.alert_rules.append((name, table))

    def watch(self, registry: Any, prefix: str = "", *, per_worker: bool = True) -> None:
        """Keep what a registry of prometheus_client holds, each interval.

        Args:
            registry: Such as `prometheus_client.REGISTRY`.
            prefix: First nodes of its series; "" for none.
            per_worker: False where the registry itself joins all workers.

        Raises:
            ConfigError: it has no `collect()`.
        """
        from inapp_monitor.collectors.prometheus_registry import PrometheusRegistry

        before = sum(each.label.startswith("prometheus") for each in self._core.collectors)
        name = f"prometheus.{before + 1}" if before else "prometheus"
        self.collect(PrometheusRegistry(registry, name, prefix, per_worker))

    def socket(self, dialect: str = "statsd") -> AdoptedSocket:
        """What behaves as a socket and takes StatsD's lines: for clients that take a socket.

        Args:
            dialect: `statsd` or `dogstatsd`: whether a gauge with a sign is moved or set.
        """
        from inapp_monitor.ingest.adopted import AdoptedSocket

        return AdoptedSocket(self._adopted(), dialect)

    def adopt(self, client: C) -> C:
        """Let a live client of statsd or datadog write into this process. Returns it.

        It stays so over forks. Raises TypeError when it is none of these.
        """
        self._adopted().adopt(client)
        return client

    def _adopted(self) -> Adopted:
        from inapp_monitor.ingest.adopted import Adopted

        if self._core.adopted is None:
            is_enabled = self.settings.enabled
            self._core.adopted = Adopted(self.life.attach_if_needed if is_enabled else None)
        return self._core.adopted

    span = staticmethod(named_spans.span)
    carry = staticmethod(named_spans.carry)
    span_processor = staticmethod(named_spans.span_processor)
    tracer_provider = staticmethod(named_spans.tracer_provider)

    def capture_exception(self, error: BaseException | None = None) -> str | None:
        """Record a handled exception (default: the one being handled). Returns the issue's id."""
        error = sys.exception() if error is None else error
        if error is None:
            return None
        try:
            self.life.attach_if_needed()
            if self.life.is_loading_here:  # called by what loading has set off, such as a `__del__`
                self.life.when_loaded(lambda services: services.tracker.capture(error))
                return None
            return self.tracker.capture(error)
        except Exception as failure:  # noqa: BLE001  # the monitor's own
            self.guard.failed("capture_exception", failure)
            return None

    def sentry_transport(self) -> Any:
        """For an SDK of Sentry in this application: `sentry_sdk.init(transport=...)` with it hands
        over without HTTP, and an exception that both see is one event.

        Raises:
            ImportError: `sentry_sdk` is not installed.
        """
        from inapp_monitor.monitor.sentry_transport import make

        return make(self.life, self.settings, self.guard)

    def capture_message(self, message: str, level: str = "error") -> str | None:
        """Record a message as an event of its own. Returns the issue's id."""
        try:
            self.life.attach_if_needed()
            if self.life.is_loading_here:
                self.life.when_loaded(
                    lambda services: services.tracker.capture_message(message, level=level)
                )
                return None
            return self.tracker.capture_message(message, level=level)
        except Exception as failure:  # noqa: BLE001  # the monitor's own
            self.guard.failed("capture_message", failure)
            return None

    def event(self, title: str, text: str = "", tags: Iterable[str] = ()) -> None:
        """Note that something has happened, such as a deployment: an annotation of all charts."""
        if not self.settings.enabled:
            return
        try:
            event = (*event_of(title, text, tags), self.clock.wall())
        except Exception as misuse:  # noqa: BLE001  # whatever a caller's objects do
            self.recorder.instruments.misused(misuse)
            return
        try:
            self.life.attach_if_needed()
            self.life.when_loaded(lambda services: services.listening.intake.post(*event))
        except Exception as failure:  # noqa: BLE001  # the monitor's own
            self.guard.failed("event", failure)

    # -- life

    def tick(self) -> None:
        """Fold, flush and store what is pending. Never raises; one at a time."""
        self.life.tick()

    def refresh(self) -> None:
        """As `tick`, waiting for one that is under way (at most a minute): afterwards every answer
        is current."""
        self.life.refresh(wait_s=_REFRESH_S)

    def close(self) -> None:
        """Write what is pending and stop: at the end of a test or of a process."""
        self.life.close()

    def facts(self) -> Facts:
        """What only the running monitor knows, for the dashboard."""
        return self.life.facts()
