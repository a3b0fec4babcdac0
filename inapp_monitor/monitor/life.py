"""One monitor's life in a process: attach, fork, tick, close; calls its parts under the guard.

Nothing starts at construction. The first request, call of an instrument or dashboard visit in a
process attaches: it starts the ticker, whose first tick makes the parts. Ticks also come from
requests and dashboard reads, so that nothing depends on the thread. What a part does is not known
here.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from inapp_monitor.ground import data_directory
from inapp_monitor.ground.clock import thread_time
from inapp_monitor.ground.destination import APPLICATION_SDK
from inapp_monitor.ground.facts import Facts, ProcessFacts
from inapp_monitor.ground.process import late_imports, lifecycle
from inapp_monitor.ground.process.held_locks import is_held_here
from inapp_monitor.ground.process.ticker import Ticker
from inapp_monitor.monitor.core import Core
from inapp_monitor.monitor.early_channels import EarlyChannels
from inapp_monitor.monitor.first_errors import FirstErrors
from inapp_monitor.monitor.part import Part, has
from inapp_monitor.request.wsgi_types import Environ

if TYPE_CHECKING:
    from inapp_monitor.monitor.services import Services

#: Seconds between two looks at the state of things from a request.
_REQUEST_TICK_S = 0.1
#: The same while requests have to help with counting.
_HELP_AGAIN_S = 0.0001
#: Seconds after the first request in which the parts are loaded, off the request.
_FIRST_TICK_S = 0.1
#: Seconds that an end waits for a tick under way: the first may load the parts for long.
_LAST_TICK_S = 5.0
#: Seconds that a reader waits for a tick under way; for the first one, which loads the parts.
_READER_WAITS_S, _FIRST_READER_WAITS_S = 2.0, 10.0
#: Seconds after a failure to load the parts in which no request tries it again.
_LOAD_AGAIN_S = 3.0
#: Flush intervals without a tick after which a request ticks itself: the thread does not run.
_MISSED_TICKS = 3.0
#: Seconds after which a request that ticks leaves the other parts to later requests, and until the
#: next of those.
_PIECE_S = 0.002
_NEXT_PIECE_S = 0.005
#: Seconds after which one request does all that is left of a tick: requests are rare.
_LATE_PIECE_S = 1.0
#: Seconds until requests begin the next tick where the last one has left work and no thread ticks.
_BEHIND_S = 0.1
#: What fails while there is no memory or no descriptor for what has to be imported.
_LOADING = "loading the parts"


class PartsNotLoadedError(RuntimeError):
    """What loading the parts has set off, such as a `__del__`, needs them itself."""


class Life:
    """When the parts of a monitor do something.

    Args:
        core: What the monitor is made of.
        before_attaching: Called whenever it begins to live in a process.

    Attributes:
        ticker: The thread that ticks, where there is one.
        last_tick: When the last tick began or, once it is over, ended (performance counter): the
            thread pauses after the end, and a request that counted from the beginning would do
            the next tick itself after every one that took long.
        tick_lock: Held while a tick is under way.

    *Threads:* everything may be called from any thread; one tick at a time.
    """

    def __init__(self, core: Core, before_attaching: Callable[[], object]) -> None:
        self.core = core
        self.ticker: Ticker | None = None
        self.last_tick = core.clock.perf()
        self._before_attaching = before_attaching
        self._services: Services | None = None
        self._first_errors = FirstErrors(core)
        self._early_channels = EarlyChannels(core, self.when_loaded)
        self._is_loading = False
        self._load_failed_at: float | None = None
        self._left: deque[Part] = deque()  # of the tick under way
        self._is_behind = False
        self._tick_began = self._tick_took_s = self._tick_at = 0.0
        self._make_locks()

    def _make_locks(self) -> None:
        self._attach_lock = threading.Lock()
        self.tick_lock = threading.RLock()
        self._closes_after_tick = False
        # The application's code may run under it, such as a `__del__` during an import.
        self._services_lock = threading.RLock()

    # -- the parts

    @property
    def services(self) -> Services:
        """Store, tracker and the like, and the parts; made on first need.

        Raises:
            PartsNotLoadedError: this thread is making them.
        """
        services = self._services
        if services is None or self._first_errors.there_are():
            services = self._make_services()
        return services

    @property
    def is_loading_here(self) -> bool:
        """Whether this thread, further out, is making the parts."""
        lock = self._services_lock
        if not self._is_loading or not lock.acquire(blocking=False):
            return False
        try:
            return self._is_loading
        finally:
            lock.release()

    def _make_services(self) -> Services:
        with late_imports.loading(), self._services_lock:
            if self._services is None:
                if self._is_loading:
                    raise PartsNotLoadedError("the parts of the monitor are being loaded")
                self._is_loading = True
                try:
                    from inapp_monitor.monitor import parts

                    self._services = parts.make(self.core)
                except BaseException:
                    self._load_failed_at = self.core.clock.perf()
                    self._first_errors.drop_late()
                    raise
                finally:
                    self._is_loading = False
        # Without the locks: recording calls what the application has connected.
        self._first_errors.record(self._services)
        return self._services

    def when_loaded(self, work: Callable[[Services], object], *, at_once: bool = False) -> None:
        """Do something that needs the parts: now, or when they are loaded, off the request.

        Loading them takes tenths of a second, and the first request of a process may be one that
        fails. `at_once` asks for it in the request nevertheless.
        """
        errors = self._first_errors
        # Behind the first ones, which may be being recorded: waiting for them takes as long.
        if self._services is None or (self.ticker is not None and errors.there_are()):
            waits = self._may_not_load()
            if waits or (not at_once and self.ticker is not None and not errors.are_full()):
                if errors.are_full():
                    errors.note_dropped()
                    return
                errors.add(work)
                if self._services is not None and self.ticker is None:  # loaded meanwhile
                    errors.record(self._services)
                return
        try:
            services = self.services
        except Exception:
            errors.note_dropped()
            raise
        work(services)

    def _may_not_load(self) -> bool:
        """Whether a request has to leave loading the parts to others."""
        failed_at = self._load_failed_at
        if failed_at is not None and self.core.clock.perf() - failed_at < _LOAD_AGAIN_S:
            return True
        return self.is_loading_here

    def _parts(self) -> Sequence[Part]:
        guard = self.core.guard
        try:
            parts = self.services.parts
        except Exception as error:  # noqa: BLE001  # the monitor's own: the recorder must be bounded all the same
            guard.failed(_LOADING, error)
            return ()
        if _LOADING in guard.faults:
            guard.recovered(_LOADING)
        return parts

    def _run(self, name: str, step: Callable[..., object], *arguments: object) -> None:
        guard = self.core.guard
        if guard.allows(name):
            try:
                step(*arguments)
            except Exception as error:  # noqa: BLE001  # the monitor's own
                guard.failed(name, error)
            else:
                if name in guard.faults:
                    guard.recovered(name)

    def load_early(self, *, errors: bool) -> None:
        """Import now what ticks would import; also what the first error needs, when `errors`."""
        try:
            for part in self.services.parts:
                part.load_early(errors=errors)
        except Exception as error:  # noqa: BLE001  # the monitor's own
            self.core.guard.failed("loading early", error)

    def facts(self) -> Facts:
        """What only the running monitor knows, for the dashboard."""
        ticker = "requests" if self.ticker is None else "thread"
        multithread = (self.core.server or {}).get("wsgi.multithread")
        return Facts([*self.services.facts(), ProcessFacts(ticker, multithread)])

    # -- attach and fork

    def attach_if_needed(self) -> None:
        """Begin to live in this process, unless that was done."""
        if self.core.pid != os.getpid():
            try:
                self._attach()
            except Exception as error:  # noqa: BLE001  # the monitor's own
                self.core.guard.failed("attach", error)

    def _attach(self) -> None:
        core = self.core
        with self._attach_lock:
            pid = os.getpid()
            if core.pid == pid:
                return
            if core.pid:
                self.forked()
            core.pid = pid
            self.last_tick = core.clock.perf()
            data_directory.note_parent(core.settings.data_dir)
            core.recorder.adopt_routes(core.stored_routes())
            self._before_attaching()
            self._early_channels.install()
            if APPLICATION_SDK in core.settings.forward:  # it may report what waits for the parts
                from inapp_monitor.export.application_sdk import watch_events

                watch_events()
            self._tell_parts("attached")
            lifecycle.add(self)
            core.attached_at = core.clock.wall()
            interval_s = core.settings.flush_interval_s
            self.ticker = Ticker(self.tick, interval_s, min(_FIRST_TICK_S, interval_s))
            try:
                self.ticker.start()
            except RuntimeError as error:  # no threads here: requests tick
                self.ticker = None
                core.guard.failed("background thread (requests do its work)", error)

    def forked(self) -> None:
        """In a child process: the parent keeps its threads, locks, files and what was pending."""
        core = self.core
        self._make_locks()
        self._is_loading = False
        self._first_errors.forked()
        core.pid = 0
        self.ticker = None
        self._left.clear()
        core.web = None
        core.recorder.forked()
        core.early_records.forked()
        core.live_requests.forked()
        self._tell_parts("forked")

    def _tell_parts(self, method: str) -> None:
        """Tell the parts, as far as there are some, what happened to the process."""
        for part in self._services.parts if self._services is not None else ():
            if has(part, method):
                try:
                    getattr(part, method)()
                except Exception as error:  # noqa: BLE001  # the monitor's own
                    self.core.guard.failed(part.name, error)

    # -- ticks

    def tick_by_request(self, now: float, environ: Environ) -> float:
        """Called by a request once in a while. Returns when to call again."""
        core = self.core
        try:
            self.attach_if_needed()
            core.note_address(environ)
            if self._left or now - self.last_tick > self._longest_pause_s():
                self._tick(wait_s=0.0, in_pieces=True)
            elif self._first_errors.are_late():
                self._record_late_errors()
            core.recorder.new_step_if_free(now)
            if core.recorder.lags:
                core.recorder.help_if_free()
                return now + _HELP_AGAIN_S
            if self._left:
                return now + _NEXT_PIECE_S
        except Exception as error:  # noqa: BLE001  # the monitor's own
            core.guard.failed("tick by request", error)
        return now + self._request_pause_s(now)

    def _request_pause_s(self, now: float) -> float:
        profiling = self.core.profiling
        return profiling.pause_s(now, _REQUEST_TICK_S) if profiling else _REQUEST_TICK_S

    def _longest_pause_s(self) -> float:
        """Seconds after a tick in which no request does the next: the thread is to do it."""
        pause_s = _MISSED_TICKS * self.core.settings.flush_interval_s
        return min(pause_s, _BEHIND_S) if self._is_behind and self.ticker is None else pause_s

    def _record_late_errors(self) -> None:
        """The thread has not come to what waits for the parts: what it keeps alive must go."""
        if self._may_not_load():
            self._first_errors.drop_late()
        elif not self._is_loading:  # else another thread is at it
            self._parts()

    def tick(self) -> None:
        """Fold, flush and store what is pending. Never raises; one at a time."""
        self._tick(wait_s=0.0)

    def refresh(self, wait_s: float | None = None) -> None:
        """As `tick`, waiting for one that is under way: afterwards every answer is current. Not in
        a handler of a signal that has interrupted a tick, which goes on when it returns.

        Args:
            wait_s: Seconds to wait at most; None: as long as somebody waits for a page.
        """
        self.attach_if_needed()
        if wait_s is None:
            wait_s = _READER_WAITS_S if self.core.ticks.cpu_total_ms else _FIRST_READER_WAITS_S
        self._tick(wait_s=wait_s)

    def _tick(self, *, wait_s: float, in_pieces: bool = False) -> None:
        lock = self.tick_lock
        if is_held_here(lock) or not lock.acquire(timeout=wait_s):
            return
        try:
            if in_pieces:
                self._work_a_piece()
            else:
                self._work()
        finally:
            lock.release()
            if self._closes_after_tick:
                self.close()

    def _work(self, *, at_end: bool = False) -> None:
        """A whole tick. It does what a tick that requests have begun has left, too."""
        self._left.clear()
        self._call_parts(float("inf"), float("inf"), at_end=at_end)

    def _work_a_piece(self) -> None:
        """As many parts of a tick as a request may pay for; the next requests go on with it."""
        begin = self.core.clock.perf()
        is_late = self._left and begin - self._tick_began > _LATE_PIECE_S
        self._call_parts(float("inf") if is_late else begin + _PIECE_S, _PIECE_S)

    def _call_parts(self, until: float, part_s: float, *, at_end: bool = False) -> None:
        """Call those that the tick under way has left, or those of a new one, in their order.

        Args:
            until: Performance counter's time from which on no further one is called.
            part_s: What one may take that can leave some of its work.
        """
        core, perf = self.core, self.core.clock.perf
        begin, cpu = perf(), thread_time()
        self.last_tick = begin
        parts = self._parts()
        if not self._left:
            self._tick_began, self._tick_took_s, self._tick_at = perf(), 0.0, core.clock.wall()
            self._left.extend(p for p in parts if has(p, "tick") and (p.ticks_at_end or not at_end))
        while self._left and perf() < until:  # loading the parts is all that its request does
            part = self._left.popleft()
            core.part_ends = perf() + part_s
            self._run(part.name, part.tick, self._tick_at)
        self._is_behind = any(part.is_behind for part in parts)
        if self.ticker is not None and self._is_behind:
            self.ticker.come_again_soon()
        core.recorder.bound_pending()
        self.last_tick = end = perf()
        self._tick_took_s += end - begin
        core.ticks.add(self._tick_took_s, thread_time() - cpu)

    # -- the end

    def requests_are_over(self) -> None:
        """Nobody will close the requests that were not closed: the server has ended."""
        for exchange in self.core.live_requests.exchanges():
            exchange.finish()

    def close(self) -> None:
        """Write what is pending and stop: at the end of a test or of a process. A handler of a
        signal that has interrupted a tick returns at once: the tick's end does it."""
        core = self.core
        self._closes_after_tick = is_held_here(self.tick_lock)
        if self._closes_after_tick:
            return
        if core.pid and core.pid != os.getpid():
            self.forked()
        ticker, self.ticker = self.ticker, None
        if ticker is not None:
            ticker.stop(timeout_s=1.0)
        if self._services is not None:
            self._end(self._services.parts, "stop")
        if self.tick_lock.acquire(timeout=_LAST_TICK_S):
            try:
                self._run("requests under way", core.live_requests.record_unclosed_at_end)
                self._work(at_end=True)
            finally:
                self.tick_lock.release()
        self._end(sorted(self._parts(), key=lambda part: part.closes_last), "close")
        lifecycle.remove(self)
        self._closes_after_tick = False  # it may have been asked for again meanwhile
        core.pid = 0  # last: who records from now on begins a new life

    def _end(self, parts: Sequence[Part], method: str) -> None:
        for part in parts:
            if has(part, method):
                self._run(part.ending_name or part.name, getattr(part, method))
