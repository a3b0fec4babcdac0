"""`Monitor`: wraps an application, joins the parts and owns their life.

    request ──► middleware ──► recorder ──fold, flush──► store
       exception └──────────► tracker ──────────────────► database
    /_metrics ──► web app over all of them (loaded on the first visit)

Nothing starts when a monitor is constructed: no thread, file or socket. The first request, call of
an instrument or dashboard visit in a process *attaches*: starts the ticker and, by its first tick,
opens the files. Ticks also come from requests and dashboard reads, so that nothing depends on the
thread. Every entry from outside is guarded: no exception of ours reaches the application.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from inapp_monitor import integrations
from inapp_monitor.ground import config as configuration
from inapp_monitor.ground import data_directory
from inapp_monitor.ground.clock import SYSTEM, Clock, thread_time
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.points import Batch
from inapp_monitor.ground.process import late_imports, lifecycle
from inapp_monitor.ground.process.ticker import Ticker
from inapp_monitor.ground.route_text import template_of
from inapp_monitor.ground.workers.route_names import RouteNames
from inapp_monitor.recorder.queue_time import queue_ms
from inapp_monitor.recorder.recorder import Recorder
from inapp_monitor.recorder.request_cells import facts_of
from inapp_monitor.recorder.verbs import Calls, record_nothing
from inapp_monitor.request import middleware
from inapp_monitor.request.exchange import Exchange
from inapp_monitor.request.live import LiveRequests
from inapp_monitor.request.wsgi_types import Environ, StartResponse, WSGIApp

if TYPE_CHECKING:
    from inapp_monitor.collectors.discovery import Candidate
    from inapp_monitor.database.file import Database
    from inapp_monitor.issues.not_found import NotFoundTable
    from inapp_monitor.issues.tracker import BeforeSend, Tracker
    from inapp_monitor.monitor.parts import Parts
    from inapp_monitor.store.series import Store
    from inapp_monitor.web.app import WebApp

C = TypeVar("C")

DEFAULT_MOUNT = "/_metrics"
#: Seconds between two looks at the state of things from a request.
_REQUEST_TICK_S = 0.1
#: The same while requests have to help with counting.
_HELP_AGAIN_S = 0.0001
#: Seconds after the first request in which the parts are loaded, off the request.
_FIRST_TICK_S = 0.1
#: Settings whose values the parts understand.
_CHECKED_BY_PARTS = (
    "retention",
    "distribution_retention",
    "storage_schemas",
    "storage_aggregation",
)
#: Flush intervals without a tick after which a request ticks itself: the thread does not run.
_MISSED_TICKS = 3.0


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
        ConfigError: an unknown setting, with the nearest match, or a bad value.

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
        self._loaded = configuration.load(given, config)
        self.settings = self._loaded.settings
        self.guard = Guard()
        self._clock = clock
        self._app = app
        self._authorizer = authorizer
        self._pid = 0
        self._ticker: Ticker | None = None
        self._last_tick = clock.perf()
        self._web: WebApp | None = None
        self._saved_routes = 0
        self._server: dict[str, object] | None = None
        self._announced = False
        self._listening = False
        self._unhook: Callable[[], None] = lambda: None
        self._make_locks()
        self._before_send = before_send
        self._collectors: list[Candidate] = []
        self._attached_at = 0.0
        for collector in collectors:
            self.collect(collector)
        self._make_parts()
        self._connect_frameworks(app, route)
        if self.settings.enabled:
            tick, mount = self._request_tick, self.settings.mount
            app = middleware.build(app, self, clock.perf, tick, mount, self._serve)
        called: Any = Monitor.__call__  # the slot, which a subclass may hide
        called.__set__(self, app)

    def _make_locks(self) -> None:
        self._attach_lock = threading.Lock()
        self._tick_lock = threading.Lock()
        self._parts_lock = threading.Lock()

    def _make_parts(self) -> None:
        settings, clock = self.settings, self._clock
        self._route_names = RouteNames(settings.data_dir)
        self.recorder = Recorder(
            clock,
            max_routes=settings.max_routes,
            max_series=settings.max_series,
            max_pending=settings.max_pending,
            strict=settings.strict,
            first_use=self._attach_if_needed,
            route_rules=settings.route_rules,
        )
        self.live, self.record = self.recorder.live, self.recorder.pending.append
        self.tallies = self.recorder.tallies
        record = self.recorder.instruments.record if settings.enabled else record_nothing
        super().__init__(record, clock.perf)
        self._live_requests = LiveRequests(settings.data_dir, clock, self.recorder)
        self._parts: Parts | None = None
        if any(self._loaded.sources[name] != "default" for name in _CHECKED_BY_PARTS):
            self._load_parts()  # tell of a bad value now, not in a log later
        if settings.enabled:
            lifecycle.made(self)

    def _load_parts(self) -> Parts:
        with late_imports.loading(), self._parts_lock:
            if self._parts is None:
                from inapp_monitor.monitor.parts import Parts

                common = (self.settings, self._clock, self.guard, self.recorder)
                parts = Parts(*common, self._live_requests, self._collectors)
                parts.tracker.before_send = self._before_send
                parts.tracker.listeners.append(self._issue_changed)
                self._parts = parts
            return self._parts

    def _load_early(self, *, errors: bool) -> None:
        try:
            self._load_parts().load_what_ticks_import(errors=errors)
        except Exception as error:  # noqa: BLE001  # ours
            self.guard.failed("loading early", error)

    @property
    def store(self) -> Store:
        """Series on disk."""
        return (self._parts or self._load_parts()).store

    @property
    def database(self) -> Database:
        """Issues, events and 404s on disk."""
        return (self._parts or self._load_parts()).database

    @property
    def tracker(self) -> Tracker:
        """Errors."""
        return (self._parts or self._load_parts()).tracker

    @property
    def not_found_table(self) -> NotFoundTable:
        """404s."""
        return (self._parts or self._load_parts()).not_found_table

    def _connect_frameworks(
        self, app: object, route: Callable[[Environ], str | None] | Iterable[str] | None
    ) -> None:
        self._connected = integrations.connect(app, self.guard)
        self.shortcut = self._connected.shortcut if route is None else None
        self.route_askers = self._connected.route_askers
        self.body_askers = self._connected.body_askers
        self.own_asker = None if route is None else integrations.asker(route)
        if self.own_asker is not None:
            self.route_askers.insert(0, self.own_asker)

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
            self.recorder.note_not_found(path, str(environ.get("HTTP_REFERER", "")))

    def failed(self, exchange: Exchange, error: BaseException, /) -> None:
        """Capture an exception of the application."""
        self._attach_if_needed()
        issue_id = self.tracker.capture(error, exchange.environ, route=template_of(exchange.route))
        self.recorder.slowest.note_issue(exchange.start, issue_id)
        signals = _loaded_signals()
        if signals is not None:
            signals.send_exception(self, error, issue_id, self.guard)

    def _issue_changed(self, what: str, issue_id: str) -> None:
        signals = _loaded_signals()
        if signals is not None:
            signals.send_issue(self, what, issue_id, self.guard)

    def answered_5xx(self, exchange: Exchange, /) -> None:
        """Capture a 5xx that came without an exception: an event of its own."""
        self._attach_if_needed()
        if exchange.environ is not None:
            issue_id = self.tracker.capture_status(
                exchange.status or "", exchange.environ, route=template_of(exchange.route)
            )
            self.recorder.slowest.note_issue(exchange.start, issue_id)

    def sampled(self, exchange: Exchange, cpu_s: float | None, /) -> None:
        """Note the waiting and the CPU time of a request that was looked at closer."""
        queued = None
        if exchange.environ is not None:
            waited = self._clock.perf() - exchange.start
            queued = queue_ms(exchange.environ, self._clock.wall() - waited)
        self.recorder.sample(queued, None if cpu_s is None else cpu_s * 1000.0)

    def broke(self, error: BaseException, /) -> None:
        """Note a failure of our own on the request path."""
        self.guard.failed("request path", error)

    # -- what users call

    def collect(self, collector: C) -> C:
        """Run a subclass of `Collector`, an object of one, or `module:Class`. Returns it, so that
        it decorates a class. Raises ConfigError when it is none of these."""
        from inapp_monitor.collectors.discovery import given

        self._collectors.append(given(collector))
        return collector

    def capture_exception(self, error: BaseException | None = None) -> str | None:
        """Record a handled exception (default: the one being handled). Returns the issue's id."""
        error = sys.exception() if error is None else error
        if error is None:
            return None
        try:
            self._attach_if_needed()
            return self.tracker.capture(error)
        except Exception as failure:  # noqa: BLE001  # ours
            self.guard.failed("capture_exception", failure)
            return None

    def capture_message(self, message: str, level: str = "error") -> str | None:
        """Record a message as an event of its own. Returns the issue's id."""
        try:
            self._attach_if_needed()
            return self.tracker.capture_message(message, level=level)
        except Exception as failure:  # noqa: BLE001  # ours
            self.guard.failed("capture_message", failure)
            return None

    # -- life

    def _attach_if_needed(self) -> None:
        if self._pid != os.getpid():
            try:
                self._attach()
            except Exception as error:  # noqa: BLE001  # ours
                self.guard.failed("attach", error)

    def _attach(self) -> None:
        """Begin to live in this process."""
        with self._attach_lock:
            pid = os.getpid()
            if self._pid == pid:
                return
            if self._pid:
                self._forked()
            self._pid = pid
            self._last_tick = self._clock.perf()
            self.recorder.adopt_routes(self._stored_routes())
            self._connected.refresh(self._app)
            self._listening = False
            lifecycle.join(self)
            self._attached_at = self._clock.wall()
            interval_s = self.settings.flush_interval_s
            self._ticker = Ticker(self.tick, interval_s, min(_FIRST_TICK_S, interval_s))
            try:
                self._ticker.start()
            except RuntimeError as error:  # no threads here: requests tick
                self._ticker = None
                self.guard.failed("background thread (requests do its work)", error)

    def _stored_routes(self) -> dict[str, str]:
        try:
            return self._route_names.load()
        except OSError as error:
            self.guard.failed("route names", error)
            return {}

    def _forked(self) -> None:
        """In a child process: the parent keeps its threads, locks, files and what was pending."""
        self._make_locks()
        self._pid = 0
        self._ticker = None
        self._web = None
        self.recorder.forked()
        self._live_requests.forked()
        if self._parts is not None:
            self._parts.collectors.forked()

    def _request_tick(self, now: float, environ: Environ) -> float:
        """Called by a request once in a while. Returns when to call again."""
        try:
            self._attach_if_needed()
            self._note_address(environ)
            if now - self._last_tick > _MISSED_TICKS * self.settings.flush_interval_s:
                self.tick()
            self.recorder.new_step_if_free(now)
            if self.recorder.lags:
                self.recorder.help_if_free()
                return now + _HELP_AGAIN_S
        except Exception as error:  # noqa: BLE001  # ours
            self.guard.failed("tick by request", error)
        return now + _REQUEST_TICK_S

    def tick(self) -> None:
        """Fold, flush and store what is pending. Never raises; one at a time."""
        if self._tick_lock.acquire(blocking=False):
            try:
                self._work()
            finally:
                self._tick_lock.release()

    def refresh(self) -> None:
        """As `tick`, waiting for one that is under way: afterwards every answer is current."""
        self._attach_if_needed()
        if self._tick_lock.acquire(timeout=2.0):
            try:
                self._work()
            finally:
                self._tick_lock.release()

    def _work(self, *, at_end: bool = False) -> None:
        begin, cpu = self._clock.perf(), thread_time()
        self._last_tick = begin
        for part, work in (  # names of their own: the parts report what disks refuse themselves
            # First, so that the first message says what to do.
            ("data directory", lambda: data_directory.prepare(self.settings.data_dir)),
            ("login token", self._announce),
            ("error channels", self._listen),
            ("recorder", self._fold),
            ("own numbers", self._add_own_numbers),
            ("collectors", self._tick_collectors),
            ("writing to the store", lambda: self.store.flush()),
            ("route names", self._save_route_names),
            ("workers", self._look_after_workers),
            ("stacks", lambda: self._load_parts().stacks.answer()),
            ("slow requests", lambda: self._load_parts().slow_requests.share()),
            ("issues", lambda: self.tracker.flush()),
            ("404 table", self._flush_not_found),
            ("writing to the database", lambda: self.database.write_pending()),
        ):
            if not (at_end and part == "workers"):  # others tell of the dead, or the next start
                self._run(part, work)
        self.recorder.bound_pending()
        if self._parts is not None:
            self._parts.own_numbers.add_tick(self._clock.perf() - begin, thread_time() - cpu)

    def _run(self, part: str, work: Callable[[], object]) -> None:
        if self.guard.allows(part):
            try:
                work()
            except Exception as error:  # noqa: BLE001  # ours
                self.guard.failed(part, error)
            else:
                if part in self.guard.faults:
                    self.guard.recovered(part)

    def _note_address(self, environ: Environ) -> None:
        """Remember, once, what the server calls itself: for the login URL."""
        if self._server is None:
            names = ("SERVER_NAME", "SERVER_PORT", "wsgi.url_scheme", "wsgi.multithread")
            self._server = {name: environ.get(name) for name in names}

    def _announce(self) -> None:
        """Tell the people at the terminal where the dashboard is, when its token is new."""
        if self._announced or self._server is None or self._authorizer is not None:
            return
        with late_imports.loading():
            from inapp_monitor.web.access import login_token

        self._announced = True
        url = login_token.root_url(self._server, self.settings.mount)
        login_token.announce(login_token.obtain(self.settings, self.guard), url)

    def _listen(self) -> None:
        """Hear of log records, dying threads and uncaught exceptions; once in a process."""
        if not self._listening and self._pid:
            with late_imports.loading():
                from inapp_monitor.issues import channels as error_channels

            self._unhook()  # a parent's process may have listened, and we are its child
            self._unhook = error_channels.install(self.tracker, log_errors=self.settings.log_errors)
            self._listening = True

    def _fold(self) -> None:
        store = self.store  # before anything is taken: what is taken must reach it
        signals = _loaded_signals()
        self.recorder.keeps_whole = signals is not None and signals.anybody_wants_requests()
        folded = self.recorder.fold()
        self._hand_over(store, self.recorder.take())
        if signals is not None:
            signals.send_requests(self, map(facts_of, folded), self.guard)

    def _hand_over(self, store: Store, batch: Batch) -> None:
        store.add(batch)
        signals = _loaded_signals()
        if signals is not None:
            signals.send_datapoints(self, batch.scalars, self.guard)

    def _add_own_numbers(self) -> None:
        now, parts = int(self._clock.wall()), self._parts or self._load_parts()
        scalars = parts.own_numbers.take(now) + self._live_requests.in_flight(now)
        parts.store.add(Batch(scalars, []))

    def _tick_collectors(self) -> None:
        parts = self._parts or self._load_parts()
        scalars = parts.collectors.tick(parts.leadership.is_leader, self._live_requests.shared)
        self._hand_over(parts.store, Batch(scalars, []))

    def _flush_not_found(self) -> None:
        hits = self.recorder.take_not_found()
        if hits:
            self.not_found_table.add(hits)
            signals = _loaded_signals()
            if signals is not None:
                signals.send_not_found(self, hits, self.guard)
        self.not_found_table.flush()

    def _save_route_names(self) -> None:
        """Tell the other workers of new routes; where two slugs met, the first writer's stays."""
        table = self.recorder.routes
        deleted = self._saved_routes and not self._route_names.is_there()
        if deleted or len(table.slugs) != self._saved_routes:
            self.recorder.adopt_routes(self._route_names.save_new(dict(table.slugs)))
            self._saved_routes = len(table.slugs)

    def _look_after_workers(self) -> None:
        """Show the others what this process is doing, and tell what killed one of them."""
        parts = self._parts or self._load_parts()
        self._live_requests.report(self._about(), parts.collectors.shared())
        self.guard.recovered("workers")
        if not parts.leadership.tick():
            return  # another process tells
        for killed in self._live_requests.take_dead():
            self.tracker.capture_message(
                killed.message, template=killed.template, kind="WorkerDied", route=killed.route
            )

    def _about(self) -> dict[str, Any]:
        """This worker's row in the table of workers."""
        seen = (self._parts or self._load_parts()).collectors.seen()
        return {"started": self._attached_at, "requests": self.recorder.total_requests, **seen}

    def _requests_are_over(self) -> None:
        for exchange in self._live_requests.exchanges():
            exchange.finish()

    def close(self) -> None:
        """Write what is pending and stop: at the end of a test or of a process."""
        if self._pid and self._pid != os.getpid():
            self._forked()
        ticker, self._ticker = self._ticker, None
        if ticker is not None:
            ticker.stop(timeout_s=1.0)
        if self._parts is not None:
            self._run("stopping collectors", self._parts.collectors.stop)
        if self._tick_lock.acquire(timeout=1.0):  # a tick under way may be loading the parts still
            try:
                self._work(at_end=True)
            finally:
                self._tick_lock.release()
        for part, work in (
            ("error channels", self._unhook),
            ("leaving the workers", self._live_requests.leave),
            ("slow requests", lambda: self._load_parts().slow_requests.share(at_once=True)),
            ("resigning", lambda: self._load_parts().leadership.resign()),
            ("closing the store", lambda: self.store.close()),
            ("closing the database", lambda: self.database.close()),
        ):
            self._run(part, work)
        lifecycle.leave(self)
        self._pid = 0  # last: who records from now on begins a new life

    # -- the dashboard

    def _serve(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request below the mount."""
        try:
            self._attach_if_needed()
            self._note_address(environ)
            if self._web is None:
                with late_imports.loading():
                    self._web = self._build_web()
            mount = self.settings.mount
            inner = dict(environ)
            inner["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + mount
            inner["PATH_INFO"] = environ["PATH_INFO"][len(mount) :]
            return self._web(inner, start_response)
        except Exception as error:  # noqa: BLE001  # ours
            self.guard.failed("dashboard", error)
            body = b"inapp-monitor: the dashboard failed, the application goes on; see its log\n"
            start_response(
                "500 Internal Server Error",
                [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))],
            )
            return [body]

    def _build_web(self) -> WebApp:
        from inapp_monitor.query.sources import StoreSource
        from inapp_monitor.web.app import WebApp
        from inapp_monitor.web.backend import Backend

        backend = Backend(
            loaded=self._loaded,
            clock=self._clock,
            guard=self.guard,
            source=StoreSource(self.store),
            store=self.store,
            triage=self.tracker.triage,
            not_found=self.not_found_table,
            database=self.database,
            refresh=self.refresh,
            live=True,
            facts=self.facts,
            stack_of=self._load_parts().stacks.ask,
        )
        return WebApp(backend, authorizer=self._authorizer)

    def facts(self) -> dict[str, object]:
        """What only the running monitor knows, for the dashboard."""
        parts = self._parts or self._load_parts()
        ticker = "requests" if self._ticker is None else "thread"
        known = parts.facts(self._stored_routes(), self._about(), self._web)
        multithread = (self._server or {}).get("wsgi.multithread")
        return {**known, "ticker": ticker, "multithread": multithread}


def _loaded_signals() -> Any:
    """The signals' module when somebody has imported it: else nobody can have connected."""
    return sys.modules.get("inapp_monitor.signals")
