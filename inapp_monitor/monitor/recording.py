"""`recording`: a cron job, a worker of a queue or a script adds to the store of a running app.

Such a process leads nothing, opens no door and samples nothing: it counts, times, captures errors,
and has written all of it when the block is over. It is shown by its name and not as a web worker.
"""

from __future__ import annotations

import inspect
import os
import sys
import threading
from collections.abc import Callable
from contextlib import ContextDecorator
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, cast

from inapp_monitor.ground import config as configuration
from inapp_monitor.ground.names import clean_node
from inapp_monitor.metrics import switch
from inapp_monitor.monitor.metrics_target import MetricsTarget
from inapp_monitor.monitor.monitor import Monitor

F = TypeVar("F", bound=Callable[..., Any])

#: First node of the series about runs.
JOBS = "jobs"
#: What a process that is no server leaves out, whatever its environment says.
_NO_SERVER = {
    "collect_process": False,
    "collect_host": False,
    "collect_installed": False,
    "collectors": (),
    "listen": (),
}
#: Ends of a block that are no error of the program's.
_ENDINGS = (SystemExit, KeyboardInterrupt, GeneratorExit)
#: How many blocks use each monitor that lives for blocks only: with the last one it ends.
_users: dict[Monitor, int] = {}
_users_lock = threading.RLock()


class Recording(ContextDecorator):
    """`with recording("DATA_DIR"):`, or a decorator of a function, a coroutine function or one that
    makes a generator: a run lasts until it has ended.

    Args:
        data_dir: Of the app whose store it is; default as of `Monitor`.
        name: Of the job; default: the program's. Its series are `jobs.<name>.time`, `.runs`,
            `.failures` and `.last_run` (seconds since the epoch, when the run ended).
        **settings: Any name of `config.Settings`.

    A process that has a monitor of the same directory uses that one. An exception that leaves the
    block is captured, and passes.
    """

    def __init__(
        self, data_dir: str | os.PathLike[str] | None = None, *, name: str = "", **settings: Any
    ) -> None:
        self._data_dir = data_dir
        self._name = clean_node(name or _program_name())
        self._settings = settings
        self._monitor: Monitor | None = None
        self._start = 0.0

    def _recreate_cm(self) -> Recording:
        """Each call of a decorated function is a run of its own."""
        return Recording(self._data_dir, name=self._name, **self._settings)

    def __call__(self, func: F) -> F:
        """Each call of what is returned is a run."""
        call: Callable[..., Any]
        if inspect.iscoroutinefunction(func):
            call = self._of_coroutine(func)
        elif inspect.isasyncgenfunction(func):
            call = self._of_async_generator(func)
        elif inspect.isgeneratorfunction(func):
            call = self._of_generator(func)
        else:
            return super().__call__(func)
        return cast("F", wraps(func)(call))

    def _of_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            with self._recreate_cm():
                return await function(*args, **kwargs)

        return call

    def _of_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._recreate_cm():
                return (yield from function(*args, **kwargs))

        return call

    def _of_async_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            with self._recreate_cm():
                generator = function(*args, **kwargs)
                step = generator.__anext__()
                while True:
                    try:
                        item = await step
                    except StopAsyncIteration:
                        return
                    try:
                        step = generator.asend((yield item))
                    except GeneratorExit:
                        await generator.aclose()
                        raise
                    except BaseException as error:  # noqa: BLE001  # for the function to handle
                        step = generator.athrow(error)

        return call

    def __enter__(self) -> Monitor:
        with _users_lock:
            monitor = self._running_monitor()
            if monitor is None:
                monitor = job_monitor(self._data_dir, self._name, self._settings)
                _users[monitor] = 1
            elif monitor in _users or not monitor.life.core.pid:
                _users[monitor] = _users.get(monitor, 0) + 1
        self._monitor = monitor
        self._start = monitor.clock.perf()
        monitor.life.attach_if_needed()
        return monitor

    def _running_monitor(self) -> Monitor | None:
        given = {"data_dir": self._data_dir, **self._settings}
        wanted = configuration.load(given).settings.data_dir
        target = switch.current()
        monitor = target.monitor if isinstance(target, MetricsTarget) else None
        if isinstance(monitor, Monitor) and monitor.settings.data_dir == wanted:
            return monitor
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        monitor, self._monitor = self._monitor, None
        if monitor is None:
            return
        try:
            duration_ms = (monitor.clock.perf() - self._start) * 1000.0
            has_failed = error is not None and not _ended_well(error)
            if error is not None and not isinstance(error, _ENDINGS):
                monitor.capture_exception(error)
            record_run(monitor, self._name, duration_ms, has_failed=has_failed)
        except Exception as failure:  # noqa: BLE001  # the monitor's own: the job is not affected
            monitor.guard.failed("recording", failure)
        if _is_last_user(monitor):
            monitor.close()
        else:
            monitor.refresh()


#: Public name.
recording = Recording


def job_monitor(
    data_dir: str | os.PathLike[str] | None, name: str, settings: dict[str, Any]
) -> Monitor:
    """A monitor of a process that answers no requests."""
    monitor = Monitor(_no_app, data_dir=data_dir, **{**settings, **_NO_SERVER})
    monitor.life.core.job = name
    return monitor


def record_run(monitor: Monitor, name: str, duration_ms: float, *, has_failed: bool) -> None:
    """The series of one run that has ended."""
    path = f"{JOBS}.{name}"
    monitor.timing(f"{path}.time", duration_ms)
    monitor.incr(f"{path}.runs")
    monitor.incr(f"{path}.failures", int(has_failed))
    monitor.gauge(f"{path}.last_run", int(monitor.clock.wall()))


def _is_last_user(monitor: Monitor) -> bool:
    """A block that uses a monitor has ended: whether the monitor lives for blocks only, and none is
    left. Nobody finds it then if it was made for one."""
    with _users_lock:
        if monitor not in _users:
            return False
        _users[monitor] -= 1
        if _users[monitor]:
            return False
        del _users[monitor]
        if monitor.life.core.job:
            switch.disconnect(monitor.metrics_target)
        return True


def _forked() -> None:
    """In a child process, where the thread that holds the lock may be missing."""
    global _users_lock
    _users_lock = threading.RLock()


os.register_at_fork(after_in_child=_forked)


def _ended_well(error: BaseException) -> bool:
    """A clean exit, or a generator whose reader wants no more."""
    if isinstance(error, SystemExit):
        return error.code in (None, 0)
    return isinstance(error, GeneratorExit)


def _program_name() -> str:
    """Of a management command both names: `manage-nightly`."""
    program = Path(sys.argv[0] if sys.argv and sys.argv[0] else "python")
    if program.name == "manage.py" and len(sys.argv) > 1:
        return f"manage-{sys.argv[1]}"
    return program.parent.name if program.stem == "__main__" else program.stem


def _no_app(environ: Any, start_response: Any) -> list[bytes]:  # noqa: ARG001
    start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
    return [b"this process answers no requests\n"]
