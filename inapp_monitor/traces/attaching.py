"""Which libraries are watched, and their hooks: found in `sys.modules`, so nothing is imported for
their sake and it does not matter whether a library comes before or after the monitor.

Hooks belong to the process, whatever the number of monitors in it. A hook that cannot be attached
is a line on the status page, never an error of the application.
"""

from __future__ import annotations

import importlib
import sys
import threading
import weakref
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from inapp_monitor.ground.exceptions import ConfigError
from inapp_monitor.ground.guard import describe
from inapp_monitor.ground.process import late_imports
from inapp_monitor.traces.spans import outside
from inapp_monitor.traces.trace_hosts import trace_hosts


class Hook(Protocol):
    """What each module of `traces.hooks` offers as `Hook`."""

    def __init__(self, module: Any) -> None: ...

    def attach(self) -> None:
        """Replace what is not replaced yet; called again and again, so it must be quick."""

    def detach(self) -> None:
        """Put everything back."""


class Library(NamedTuple):
    """A library that can be watched.

    Attributes:
        name: What settings and the status page call it.
        module: Which module shows that it is loaded.
        hook: The module of `traces.hooks`.
    """

    name: str
    module: str
    hook: str


LIBRARIES: Final = (
    Library("sqlalchemy", "sqlalchemy.engine", "sqlalchemy"),
    Library("django", "django.db.backends.utils", "django_database"),
    Library("psycopg", "psycopg", "psycopg3"),
    Library("psycopg2", "psycopg2", "psycopg2"),
    Library("pymysql", "pymysql.cursors", "mysql"),
    Library("mysqlclient", "MySQLdb.cursors", "mysql"),
    Library("sqlite3", "sqlite3", "sqlite"),
    Library("aiosqlite", "aiosqlite.core", "aiosqlite"),
    Library("pymongo", "pymongo.monitoring", "pymongo"),
    Library("http", "http.client", "http_client"),
    Library("httpx", "httpx", "httpx"),
    Library("redis", "redis", "redis"),
    Library("django_cache", "django.core.cache.backends.base", "django_cache"),
    Library("flask_caching", "flask_caching", "flask_caching"),
    Library("jinja2", "jinja2.environment", "templates"),
    Library("django_templates", "django.template.base", "templates"),
    Library("mako", "mako.template", "templates"),
    Library("celery", "celery.app.base", "queues"),
    Library("rq", "rq.queue", "queues"),
)
NAMES: Final = tuple(library.name for library in LIBRARIES)


@dataclass(frozen=True, slots=True)
class HookState:
    """One library on the status page.

    Attributes:
        name: Of the library.
        state: `attached`, `not loaded`, `off` or `failed`.
        detail: Why it failed.
    """

    name: str
    state: str
    detail: str = ""


class Attachments:
    """The hooks of this process.

    *Threads:* any; one that calls while another is at work does nothing.
    """

    def __init__(self) -> None:
        self._owners: weakref.WeakSet[Any] = weakref.WeakSet()
        self._hooks: dict[str, Hook] = {}
        self._failed: dict[str, str] = {}
        self._off: set[str] = set()
        self._lock = threading.Lock()

    def attach(self, owner: object, off: Iterable[str] = (), hosts: Iterable[str] = ()) -> None:
        """Attach to what has been loaded since, for an owner that will `detach`.

        `off` are names of libraries that are left alone, `hosts` those that are sent the trace of
        a request along with its calls. *Cost:* 5 us when nothing is new.

        Raises:
            ConfigError: one of them is no library's name.
        """
        off = set(off)
        unknown = sorted(off - set(NAMES))
        if unknown:
            known = ", ".join(NAMES)
            raise ConfigError(f"setting 'traces_off': {unknown[0]!r} must be one of {known}")
        if not self._lock.acquire(blocking=False):
            return
        try:
            if owner not in self._owners:
                trace_hosts.name(owner, hosts)
            self._owners.add(owner)
            outside.watchers = len(self._owners)
            self._off = off
            for library in LIBRARIES:
                if library.name not in self._failed and library.name not in self._off:
                    self._attach(library)
        finally:
            self._lock.release()

    def _attach(self, library: Library) -> None:
        hook = self._hooks.get(library.name)
        try:
            if hook is None:
                module = _loaded(library.module)
                if module is None:
                    return
                with late_imports.loading():
                    made = importlib.import_module(f"inapp_monitor.traces.hooks.{library.hook}")
                hook = self._hooks[library.name] = made.Hook(module)
            hook.attach()
        except Exception as error:  # noqa: BLE001  # another version of the library
            self._failed[library.name] = describe(error)
            self._hooks.pop(library.name, None)
            if hook is not None:
                hook.detach()

    def detach(self, owner: object) -> None:
        """An owner needs them no more; behind the last one everything is put back."""
        with self._lock:
            self._owners.discard(owner)
            trace_hosts.forget(owner)
            outside.watchers = len(self._owners)
            if self._owners:
                return
            hooks, self._hooks = self._hooks, {}
            self._failed.clear()
            for hook in hooks.values():
                hook.detach()

    def detach_all(self) -> None:
        """Put everything back, also what monitors still need: for tests beside such monitors."""
        for owner in list(self._owners):
            self.detach(owner)

    def forked(self) -> None:
        """In a child process, where the thread that holds the lock may be missing."""
        self._lock = threading.Lock()

    @property
    def attached(self) -> Collection[str]:
        """Names of the libraries that are watched now."""
        return self._hooks.keys()

    def states(self) -> list[HookState]:
        """Of every library, in the order of the table."""
        return [self._state(library.name) for library in LIBRARIES]

    def _state(self, name: str) -> HookState:
        if name in self._off:
            return HookState(name, "off")
        if name in self._failed:
            return HookState(name, "failed", self._failed[name])
        return HookState(name, "attached" if name in self._hooks else "not loaded")


def _loaded(name: str) -> Any:
    """The module, when its import is over."""
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    return None if getattr(spec, "_initializing", False) else module


attachments: Final = Attachments()
