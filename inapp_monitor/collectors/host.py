"""`host.*`: the machine: CPU, load, memory, swap, disk, network, and the container's limits.

One process of all workers samples it. CPU times are those of all cores together, in ms; disk space
is that of the partition that holds the data directory; network is without loopback and the virtual
interfaces of containers, whose traffic would count twice.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psutil

from inapp_monitor.collectors import container
from inapp_monitor.collectors.base import Collector

#: What psutil raises where a system or a container does not tell.
_UNKNOWN = (OSError, NotImplementedError, AttributeError, RuntimeError, psutil.Error)
_VIRTUAL = ("lo", "veth", "docker", "br-", "virbr", "cni", "flannel", "cali", "vnet", "tap")
#: Series and the times of psutil that are counted under them.
_CPU_KINDS = (
    ("user", ("user", "nice")),
    ("system", ("system", "irq", "softirq")),
    ("iowait", ("iowait",)),
    ("steal", ("steal",)),
    ("idle", ("idle",)),
)


class Host(Collector):
    """Samples the machine.

    Args:
        data_dir: Its partition is the one whose space is watched.

    Totals are taken as they are (`nowrap=False`): psutil's own care for them takes a lock, and a
    child that is forked at that moment would wait for it for ever.

    *Cost:* about 0.4 ms.
    """

    name = "host"

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._cpu_before: tuple[float, float] | None = None

    def collect(self) -> None:
        """Publish what can be read; what a system does not tell is left out."""
        for part in (self._cpu, self._load, self._memory, self._swap, self._disk, self._network):
            _as_known(part)
        self._container()

    def _cpu(self) -> None:
        times = psutil.cpu_times()
        for kind, fields in _CPU_KINDS:
            if hasattr(times, fields[0]):
                seconds = sum(getattr(times, field, 0.0) for field in fields)
                self.counter(f"cpu.{kind}_ms", seconds * 1000.0, resets=False)
        total = sum(getattr(times, field, 0.0) for _, fields in _CPU_KINDS for field in fields)
        idle = times.idle + getattr(times, "iowait", 0.0)
        before, self._cpu_before = self._cpu_before, (total, idle)
        if before is not None and total > before[0]:
            busy = 1.0 - (idle - before[1]) / (total - before[0])
            self.gauge("cpu.percent", 100.0 * min(max(busy, 0.0), 1.0), combine="average")
        self.gauge("cpu.cores", psutil.cpu_count())

    def _load(self) -> None:
        for minutes, load in zip((1, 5, 15), psutil.getloadavg(), strict=True):
            self.gauge(f"load.{minutes}m", load, combine="max")

    def _memory(self) -> None:
        memory = psutil.virtual_memory()
        self.gauge("memory.total_bytes", memory.total)
        self.gauge("memory.available_bytes", memory.available, combine="min")
        self.gauge("memory.used_bytes", memory.total - memory.available, combine="max")

    def _swap(self) -> None:
        swap = psutil.swap_memory()
        if swap.total:
            self.gauge("swap.total_bytes", swap.total)
            self.gauge("swap.used_bytes", swap.used, combine="max")

    def _disk(self) -> None:
        space = psutil.disk_usage(str(self._data_dir))
        self.gauge("disk.total_bytes", space.total)
        self.gauge("disk.used_bytes", space.used)
        self.gauge("disk.free_bytes", space.free, combine="min")
        traffic = psutil.disk_io_counters(nowrap=False)
        if traffic is not None:
            self.counter("disk.read_bytes", traffic.read_bytes, resets=False)
            self.counter("disk.written_bytes", traffic.write_bytes, resets=False)
            self.counter("disk.operations", traffic.read_count + traffic.write_count, resets=False)

    def _network(self) -> None:
        received = sent = failed = 0
        for interface, traffic in psutil.net_io_counters(pernic=True, nowrap=False).items():
            if not interface.startswith(_VIRTUAL):
                received += traffic.bytes_recv
                sent += traffic.bytes_sent
                failed += traffic.errin + traffic.errout + traffic.dropin + traffic.dropout
        self.counter("network.received_bytes", received, resets=False)
        self.counter("network.sent_bytes", sent, resets=False)
        self.counter("network.failed", failed, resets=False)

    def _container(self) -> None:
        seen = container.read()
        if seen.memory_limit_bytes is not None:
            self.gauge("container.memory_bytes", seen.memory_bytes, combine="max")
            self.gauge("container.memory_limit_bytes", seen.memory_limit_bytes)
        if seen.cpu_limit is not None:
            self.gauge("container.cpu_limit", seen.cpu_limit)
            self.counter("container.throttled_ms", seen.throttled_ms)


def _as_known(publish: Callable[[], None]) -> None:
    """Publish what this system tells."""
    try:
        publish()
    except _UNKNOWN:
        pass
