"""Which charts are made of what collectors publish: processes, machine, and the app's own. Data."""

from __future__ import annotations

from typing import Literal, NamedTuple

from inapp_monitor.web.human import Unit

#: How the values of a line are read: as they are, the highest of each column; what was added in a
#: second (times `factor`); the quantile `factor` of a distribution.
Reading = Literal["level", "rate", "quantile"]


class Line(NamedTuple):
    """One line of a chart.

    Attributes:
        name: In the legend.
        paths: Series that are added up; one that is not there counts as nothing.
        reading: How.
        factor: Of a rate, or the quantile.
        shape, colour: Of the line; "" takes the next one.
        parts_of: Series whose sum is the whole; then the line is per cent of it.
    """

    name: str
    paths: tuple[str, ...]
    reading: Reading = "level"
    factor: float = 1.0
    shape: str = "line"
    colour: str = ""
    parts_of: tuple[str, ...] = ()


class Picture(NamedTuple):
    """One chart: left out when none of its lines has a value.

    Attributes:
        title: Above it.
        unit: What it measures.
        lines: The first one is compared with an earlier time, and described in words.
    """

    title: str
    unit: Unit
    lines: tuple[Line, ...]


class Section(NamedTuple):
    """Charts under one heading; `hint` says what they would be when there are none."""

    title: str
    pictures: tuple[Picture, ...]
    hint: str = ""


_HOST_CPU = tuple(f"host.cpu.{kind}_ms" for kind in ("user", "system", "iowait", "steal", "idle"))


def _share(name: str, *kinds: str, shape: str = "line") -> Line:
    """Per cent of all cores' time."""
    paths = tuple(f"host.cpu.{kind}_ms" for kind in kinds)
    return Line(name, paths, "rate", shape=shape, parts_of=_HOST_CPU)


#: Milliseconds of CPU a second are tenths of a per cent of one core.
_CORE_PERCENT = 0.1

PROCESSES = Section(
    "Processes",
    (
        Picture("CPU, of one core", "percent", (
            Line("all workers", ("process.cpu.user_ms", "process.cpu.system_ms"), "rate",
                 _CORE_PERCENT, "area"),
            Line("system", ("process.cpu.system_ms",), "rate", _CORE_PERCENT),
            Line("busiest worker", ("process.cpu.busiest_percent",)),
        )),
        Picture("Memory", "bytes", (
            Line("all workers", ("process.memory.rss_bytes",), shape="area"),
            Line("largest worker", ("process.memory.largest_bytes",)),
        )),
        Picture("Requests under way", "count", (
            Line("requests", ("requests.in_flight",), shape="area"),
        )),
        Picture("Waiting before the app", "ms", (
            Line("p95", ("requests.queue_time",), "quantile", 0.95, "area"),
            Line("p50", ("requests.queue_time",), "quantile", 0.5),
        )),
        Picture("Threads and descriptors", "count", (
            Line("descriptors", ("process.descriptors.open",), shape="area"),
            Line("threads", ("process.threads",)),
            Line("workers", ("process.workers",)),
        )),
        Picture("Garbage collection", "ms", (
            Line("longest pause", ("process.gc.longest_ms",), shape="area"),
            Line("paused in a second", ("process.gc.pause_ms",), "rate"),
        )),
        Picture("Context switches", "rate", (
            Line("voluntary", ("process.context_switches.voluntary",), "rate", shape="area"),
            Line("involuntary", ("process.context_switches.involuntary",), "rate"),
        )),
        Picture("Disk traffic of the workers, a second", "bytes", (
            Line("written", ("process.io.written_bytes",), "rate", shape="area"),
            Line("read", ("process.io.read_bytes",), "rate"),
        )),
    ),
    "CPU, memory, threads, descriptors and garbage collection of the workers appear here after "
    "some seconds, unless the setting collect_process is off.",
)  # fmt: skip

MACHINE = Section(
    "Machine",
    (
        Picture("CPU, of all cores", "percent", (
            _share("busy", "user", "system", "steal", shape="area"),
            _share("user", "user"),
            _share("system", "system"),
            _share("waiting for the disk", "iowait"),
            _share("taken by others", "steal"),
        )),
        Picture("Load", "", (
            Line("1 min", ("host.load.1m",), shape="area"),
            Line("5 min", ("host.load.5m",)),
            Line("15 min", ("host.load.15m",)),
            Line("cores", ("host.cpu.cores",), colour="dim"),
        )),
        Picture("Memory", "bytes", (
            Line("used", ("host.memory.used_bytes",), shape="area"),
            Line("swap used", ("host.swap.used_bytes",)),
            Line("there is", ("host.memory.total_bytes",), colour="dim"),
        )),
        Picture("Disk of the data directory", "bytes", (
            Line("used", ("host.disk.used_bytes",), shape="area"),
            Line("there is", ("host.disk.total_bytes",), colour="dim"),
        )),
        Picture("Disk traffic, a second", "bytes", (
            Line("written", ("host.disk.written_bytes",), "rate", shape="area"),
            Line("read", ("host.disk.read_bytes",), "rate"),
        )),
        Picture("Network, a second", "bytes", (
            Line("received", ("host.network.received_bytes",), "rate", shape="area"),
            Line("sent", ("host.network.sent_bytes",), "rate"),
        )),
        Picture("Memory of the container", "bytes", (
            Line("used", ("host.container.memory_bytes",), shape="area"),
            Line("limit", ("host.container.memory_limit_bytes",), colour="dim"),
        )),
        Picture("Held back by the container's CPU limit", "percent", (
            Line("of the time", ("host.container.throttled_ms",), "rate", _CORE_PERCENT, "area"),
        )),
    ),
    "CPU, load, memory, disk and network of the machine appear here after some seconds, unless "
    "the setting collect_host is off.",
)  # fmt: skip

MONITOR = Section(
    "This monitor",
    (
        Picture("Time that a tick takes", "ms", (
            Line("tick", ("monitor.tick_ms",), shape="area"),
        )),
        Picture("Waiting for the disk", "bytes", (
            Line("points", ("monitor.buffered_bytes",), shape="area"),
        )),
    ),
)  # fmt: skip
