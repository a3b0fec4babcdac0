"""The channels of the standard library in the moment before the parts are loaded.

What is logged, dies or ends there would be lost otherwise: the first request of a process is where
a missing database shows. What an error becomes is not known here; `issues.channels` listens as soon
as it is loaded.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from inapp_monitor.ground import current_request
from inapp_monitor.ground.process import hooks, late_imports
from inapp_monitor.ground.route_text import template_of
from inapp_monitor.ground.setting_values import LOG_LEVELS
from inapp_monitor.monitor.core import Core

if TYPE_CHECKING:
    import logging

    from inapp_monitor.monitor.services import Services

#: `logging.ERROR`, without importing it.
_ERROR = 40
_OWN_LOGGER = "inapp_monitor"
#: Of an exchange under way: its environ and route.
_Request = tuple[dict[str, Any] | None, str | None]


class EarlyChannels:
    """Those of one monitor.

    Args:
        core: What the monitor is made of.
        soon: Called with what needs the parts.
    """

    __slots__ = ("__weakref__", "_core", "_installed", "_soon")

    def __init__(self, core: Core, soon: Callable[[Callable[[Services], object]], object]) -> None:
        self._core = core
        self._soon = soon
        self._installed = False

    def install(self) -> None:
        """Listen, once in a process and its children; not to what is not imported yet."""
        if self._installed or self._core.hears_channels:
            return
        self._installed = True
        of = weakref.ref(self)

        def listener() -> EarlyChannels | None:
            early = of()
            return None if early is None or not early._listens() else early

        logging = sys.modules.get("logging")
        if logging is not None:
            hooks.install(logging.Logger, "callHandlers", listener, EarlyChannels._logged)
        hooks.install(sys, "excepthook", listener, EarlyChannels._uncaught)
        hooks.install(threading, "excepthook", listener, EarlyChannels._died)
        hooks.install(sys, "unraisablehook", listener, EarlyChannels._unraisable)

    def _listens(self) -> bool:
        core = self._core
        return bool(core.pid) and not core.hears_channels

    def _logged(self, given: tuple[Any, ...]) -> None:
        record: logging.LogRecord = given[1]
        least = LOG_LEVELS[self._core.settings.log_level]
        if record.levelno < min(least, _ERROR):
            return
        if not current_request.belongs_to(self._core.monitor):
            return
        if record.levelno >= least and str(record.name).partition(".")[0] != _OWN_LOGGER:
            self._core.early_records.add(record, current_request.get())
        if record.levelno < _ERROR:
            return
        with late_imports.loading():
            from inapp_monitor.issues import log_records

        if not log_records.is_heard(record):
            return
        found = log_records.error_of(record, log_errors=self._core.settings.log_errors)
        if found is not None:
            environ, route = self._request()
            self._soon(
                lambda services: log_records.capture(services.tracker, found, environ, route)
            )

    def _uncaught(self, given: tuple[Any, ...]) -> None:
        self._failed(given[1], "uncaught")

    def _died(self, given: tuple[Any, ...]) -> None:
        self._failed(given[0].exc_value, "uncaught in a thread")

    def _unraisable(self, given: tuple[Any, ...]) -> None:
        self._failed(given[0].exc_value, "unraisable")

    def _failed(self, error: object, channel: str) -> None:
        if not isinstance(error, BaseException) or issubclass(type(error), SystemExit):
            return
        if current_request.belongs_to(self._core.monitor):
            environ, route = self._request()
            self._soon(
                lambda services: services.tracker.capture(
                    error, environ, route=route, channel=channel
                )
            )

    def _request(self) -> _Request:
        """The request that is being answered here; it learns that an error is recorded."""
        exchange = current_request.get()
        environ = getattr(exchange, "environ", None)
        if environ is None:  # none, or over
            return None, None
        note = getattr(exchange, "note_recorded", None)
        if note is not None:
            note(self._core.monitor)
        return environ, template_of(getattr(exchange, "route", None))
