"""`process.*`: what each worker process takes: CPU, memory, threads, descriptors, GC, I/O.

Totals (`cpu`, `gc`, `io`, `context_switches`) are those of all workers together; so are `workers`,
`threads`, `descriptors.open` and `memory.rss_bytes`. What is near a limit is of the worst one:
`cpu.busiest_percent`, `memory.largest_bytes`, `descriptors.fullest_percent`, `gc.longest_ms`.
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Any

import psutil

from inapp_monitor.collectors.base import Collector
from inapp_monitor.collectors.gc_pauses import GcPauses
from inapp_monitor.ground.clock import perf_counter

#: What psutil raises where a system or a container does not tell.
UNKNOWN = (OSError, NotImplementedError, AttributeError, psutil.Error)


class Process(Collector):
    """Samples the process that it runs in.

    Attributes:
        seen: What the table of workers shows: `started`, `cpu_percent` (of one core), `rss_bytes`,
            `threads`, `fds`, `fd_limit` (None: none), `gc_ms` a second and `gc_longest_ms`.

    *Cost:* about 0.1 ms.
    """

    name = "process"
    per_worker = True

    def __init__(self) -> None:
        self.seen: dict[str, Any] = {}
        self._process = psutil.Process()
        self._pauses = GcPauses()
        self._pauses.watch_for(self)
        self._before: tuple[float, float, float] | None = None

    def collect(self) -> None:
        """Publish this worker's numbers."""
        process = self._process
        with process.oneshot():
            cpu, memory = process.cpu_times(), process.memory_info()
            threads = process.num_threads()
            switches = _known(process.num_ctx_switches)
        fds, limit = _known(process.num_fds), _descriptor_limit()
        self.gauge("workers", 1)
        self.counter("cpu.user_ms", cpu.user * 1000.0)
        self.counter("cpu.system_ms", cpu.system * 1000.0)
        self.gauge("memory.rss_bytes", memory.rss)
        self.gauge("memory.largest_bytes", memory.rss, combine="max")
        self.gauge("threads", threads)
        self.gauge("descriptors.open", fds)
        if fds is not None and limit:
            self.gauge("descriptors.fullest_percent", 100.0 * fds / limit, combine="max")
        if switches is not None:
            self.counter("context_switches.voluntary", switches.voluntary)
            self.counter("context_switches.involuntary", switches.involuntary)
        self._collect_io()
        self.seen = {
            "started": process.create_time(),
            "rss_bytes": memory.rss,
            "threads": threads,
            "fds": fds,
            "fd_limit": limit,
            **self._collect_rates(cpu.user + cpu.system),
        }

    def _collect_io(self) -> None:
        io = _known(getattr(self._process, "io_counters", None))
        if io is not None:
            self.counter("io.read_bytes", io.read_bytes)
            self.counter("io.written_bytes", io.write_bytes)

    def _collect_rates(self, cpu_s: float) -> dict[str, float | None]:
        """CPU and pauses since the last run."""
        pauses = self._pauses
        now, pause_s, longest_ms = perf_counter(), pauses.pause_s, pauses.take_longest_s() * 1000.0
        self.counter("gc.collections", pauses.collections)
        self.counter("gc.pause_ms", pause_s * 1000.0)
        self.gauge("gc.longest_ms", longest_ms, combine="max")
        before, self._before = self._before, (now, cpu_s, pause_s)
        if before is None or now <= before[0]:
            return {"cpu_percent": None, "gc_ms": None, "gc_longest_ms": longest_ms}
        elapsed_s = now - before[0]
        percent = 100.0 * (cpu_s - before[1]) / elapsed_s
        self.gauge("cpu.busiest_percent", percent, combine="max")
        return {
            "cpu_percent": round(percent, 2),
            "gc_ms": round(1000.0 * (pause_s - before[2]) / elapsed_s, 3),
            "gc_longest_ms": round(longest_ms, 3),
        }


def _known(ask: Callable[[], Any] | None) -> Any:
    """What psutil says; None where it cannot."""
    try:
        return ask() if ask is not None else None
    except UNKNOWN:
        return None


def _descriptor_limit() -> int | None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if limit == resource.RLIM_INFINITY or limit <= 0 else limit
