"""Verdicts about room to spare: waiting before the app, saturation, memory and descriptors, disk.

Each judges what was sampled in the last minutes of a window; growth is judged over hours. The
functions called `judge_...` are pure: numbers in, state and words out. What was never sampled here
is left out; `unknown` says that a sample is missing that should be there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from inapp_monitor.ground.facts import Facts, ProcessFacts
from inapp_monitor.query.series import Floats
from inapp_monitor.web import human
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.findings import resource_charts
from inapp_monitor.web.findings.resource_charts import Line
from inapp_monitor.web.findings.resources import Read
from inapp_monitor.web.frame import columns
from inapp_monitor.web.frame.view import View

#: The part of a window that says how it is now, in seconds.
_RECENT_S = (120, 600)
#: Growth is looked for in at least so long.
_GROWTH_S = 6 * 3_600
#: Of a process that has just begun, growth is no leak; after it, so much must be known.
_WARM_UP_S = 600
_GROWTH_KNOWN_S = 3_600
_GROWTH_SHARE, _GROWTH_BYTES, _GROWTH_FDS = 0.2, 64 * 2**20, 50
_ENOUGH_WAITED = 10
_QUEUE_WARN_MS, _QUEUE_CRIT_MS = 100.0, 1_000.0

_READ = {
    "busiest": Line("", ("process.cpu.busiest_percent",)),
    "workers": Line("", ("process.workers",)),
    "rss": Line("", ("process.memory.rss_bytes",)),
    "fds": Line("", ("process.descriptors.open",)),
    "fullest": Line("", ("process.descriptors.fullest_percent",)),
    "machine": resource_charts.MACHINE.pictures[0].lines[0],
    "total": Line("", ("host.memory.total_bytes",)),
    "available": Line("", ("host.memory.available_bytes",)),
    "limit": Line("", ("host.container.memory_limit_bytes",)),
    "used": Line("", ("host.container.memory_bytes",)),
    "throttled": Line("", ("host.container.throttled_ms",), "rate", 0.1),
    "disk_free": Line("", ("host.disk.free_bytes",)),
    "disk_total": Line("", ("host.disk.total_bytes",)),
}
#: What is compared: means over the samples that have both, since one may begin later or be cut.
_COMPARED = (("available", "total"), ("used", "limit"), ("disk_free", "disk_total"))
_GROWING = {
    "largest": Line("", ("process.memory.largest_bytes",)),
    "fds": Line("", ("process.descriptors.open",)),
}


class Judgement(NamedTuple):
    """`ok`, `warn`, `crit` or `unknown`; what is wrong, "" when nothing is; the numbers."""

    state: str
    wrong: str
    detail: str


@dataclass(frozen=True, slots=True)
class Growth:
    """Steady growth: by how much an hour, and to what."""

    an_hour: float
    now: float


@dataclass(frozen=True, slots=True)
class Room:
    """What was sampled lately; None: not known.

    Attributes:
        busiest: Per cent of a core that the busiest worker takes.
        machine: Per cent of all cores that are busy.
        throttled: Per cent of the time that the container's limit holds its processes back.
        at_once: Requests under way at a time, on average.
        workers: Processes; with `single`, each answers one request at a time.
        rss, total, available, used, limit: Bytes: of the workers, the machine, the container.
        fds, fullest: Descriptors of all workers; per cent of its limit in the worst one.
        memory_growth, fds_growth: When they grow steadily.
    """

    busiest: float | None = None
    machine: float | None = None
    throttled: float | None = None
    at_once: float | None = None
    workers: float | None = None
    single: bool = False
    rss: float | None = None
    total: float | None = None
    available: float | None = None
    used: float | None = None
    limit: float | None = None
    fds: float | None = None
    fullest: float | None = None
    disk_free: float | None = None
    disk_total: float | None = None
    memory_growth: Growth | None = None
    fds_growth: Growth | None = None


def collect(backend: Backend, facts: Facts, view: View) -> list[dict[str, Any]]:
    """The verdicts of a window."""
    room = measure(backend, facts, view)
    settings = backend.loaded.settings
    sampled = backend.live and (settings.collect_process or settings.collect_host)
    made = [
        ("Queue time", judge_queue(waited(backend, view)), "waiting"),
        ("Saturation", judge_saturation(room, sampled), "runtime"),
        ("Memory", judge_memory(room, sampled), "runtime"),
        ("Disk space", judge_disk(room), "runtime"),
    ]
    return [
        {
            "state": judged.state,
            "title": f"{title}: {judged.wrong}" if judged.wrong else title,
            "detail": judged.detail,
            "path": "/runtime",
            "link": link,
        }
        for title, judged, link in made
        if judged is not None
    ]


def measure(backend: Backend, facts: Facts, view: View) -> Room:
    """Read what was sampled lately."""
    lately = replace(view, start=view.end - _recent_s(view))
    read = Read.of(backend, lately, [p for x in _READ.values() for p in (*x.paths, *x.parts_of)])
    found = {name: _mean(read, line) for name, line in _READ.items()}
    for part, whole in _COMPARED:
        found[part], found[whole] = _means_together(read, _READ[part], _READ[whole])
    span = max(view.span, _GROWTH_S)
    long_view = replace(view, start=view.end - span)
    long = Read.of(backend, long_view, [path for line in _GROWING.values() for path in line.paths])
    largest, fds = (long.line(line) for line in _GROWING.values())
    durations = columns.durations(backend, "requests.time", lately.start, lately.end, 1)
    return Room(
        **found,
        single=facts.of(ProcessFacts).multithread is False,
        at_once=durations.whole.total / 1_000 / lately.span if durations else None,
        memory_growth=growth(largest[2], largest[1], _GROWTH_BYTES) if largest else None,
        fds_growth=growth(fds[2], fds[1], _GROWTH_FDS) if fds else None,
    )


def waited(backend: Backend, view: View) -> columns.Durations | None:
    """How long requests waited for the app lately, as far as a proxy tells."""
    start = view.end - _recent_s(view)
    return columns.durations(backend, "requests.queue_time", start, view.end, 1)


def judge_queue(found: columns.Durations | None) -> Judgement | None:
    """Waiting before the app; None where no proxy says when it took a request."""
    if found is None:
        return None
    if found.whole.count < _ENOUGH_WAITED:
        return Judgement("unknown", "", "too few requests lately to say")
    p95 = found.whole.quantile(0.95)
    text = f"half wait {human.value(found.whole.quantile(0.5), 'ms')}, p95 {human.value(p95, 'ms')}"
    if p95 < _QUEUE_WARN_MS:
        return Judgement("ok", "", f"{text} before the app takes them")
    state = "crit" if p95 >= _QUEUE_CRIT_MS else "warn"
    return Judgement(state, "requests wait for a free worker", text)


def judge_saturation(room: Room, sampled: bool) -> Judgement | None:
    """How much of what answers requests is taken."""
    numbers = []
    if room.busiest is not None:
        numbers.append(f"busiest core {room.busiest:.0f} %")
    if room.machine is not None:
        numbers.append(f"machine {room.machine:.0f} %")
    if room.at_once is not None and room.workers:
        many = f"{room.workers:.0f} worker" + ("" if round(room.workers) == 1 else "s")
        numbers.append(f"{human.plain(round(room.at_once, 2))} at once on {many}")
    if room.busiest is None and room.machine is None:
        return _missing(sampled)
    share = None
    if room.single and room.at_once is not None and room.workers:
        share = 100.0 * room.at_once / room.workers
    found = [
        _above(share, 70, 90, "all workers are busy"),
        _above(room.busiest, 80, 95, "a worker has no more CPU to use"),
        _above(room.throttled, 5, 25, "the container's CPU limit holds it back"),
        # Others may be the ones who are busy: whether requests suffer, other verdicts say.
        _above(room.machine, 90, math.inf, "the machine's CPU is busy"),
    ]
    return _worst(found, " · ".join(numbers))


def judge_memory(room: Room, sampled: bool) -> Judgement | None:
    """Memory and descriptors against their limits, and whether they grow without end."""
    used, limit, what = room.used, room.limit, "container"
    if limit is None and room.total is not None and room.available is not None:
        used, limit, what = room.total - room.available, room.total, "machine"
    share = 100.0 * used / limit if used is not None and limit else None
    numbers = []
    if room.rss is not None:
        numbers.append(f"workers {human.value(room.rss, 'bytes')}")
    if share is not None:
        numbers.append(f"{what} {share:.0f} % full")
    if room.fds is not None:
        numbers.append(f"{human.count(room.fds)} descriptors")
    if not numbers:
        return _missing(sampled)
    left = None if limit is None or used is None else limit - used
    found = [
        _above(share, 90, 97, f"the {what}'s memory is nearly full"),
        _above(room.fullest, 80, 95, "a worker runs out of descriptors"),
        _growing(room.memory_growth, left),
        _growing_fds(room.fds_growth),
    ]
    return _worst(found, " · ".join(numbers))


def judge_disk(room: Room) -> Judgement | None:
    """The partition of the data directory; None while there is room."""
    free, total = room.disk_free, room.disk_total
    if free is None or not total or free > 0.05 * total or free > 10 * 2**30:
        return None
    state = "crit" if free < 0.01 * total else "warn"
    text = f"{human.value(free, 'bytes')} of {human.value(total, 'bytes')} are free"
    return Judgement(state, "the partition is nearly full", text)


def growth(values: Floats, step: float, least: float) -> Growth | None:
    """Growth that went on through all of a window and has not come to an end.

    Args:
        values: Of a window, NaN where nothing is known.
        step: Seconds between two.
        least: Less is none.
    """
    known = np.flatnonzero(np.isfinite(values))
    if not known.size:
        return None
    begins = int(known[0])
    if begins > 0:  # it began in this window
        begins += int(_WARM_UP_S // step)
    rest = values[begins:]
    rest = rest[np.isfinite(rest)]
    if rest.size * step < _GROWTH_KNOWN_S or rest.size < 8:
        return None
    quarters = [_median(part) for part in np.array_split(rest, 4)]
    rises = np.diff(quarters)
    whole = quarters[3] - quarters[0]
    if not (rises > 0).all() or rises[2] < whole / 6:
        return None
    if whole < max(_GROWTH_SHARE * quarters[0], least):
        return None
    return Growth(whole / (0.75 * rest.size * step / 3_600), float(rest[-1]))


def _recent_s(view: View) -> int:
    return int(min(max(view.span / 6, _RECENT_S[0]), _RECENT_S[1]))


def _mean(read: Read, line: Line) -> float | None:
    made = read.line(line)
    return float(np.nanmean(made[2])) if made is not None else None


def _means_together(read: Read, part: Line, whole: Line) -> tuple[float | None, float | None]:
    first, second = read.line(part), read.line(whole)
    if first is None or second is None:
        return None, None
    both = np.isfinite(first[2]) & np.isfinite(second[2])
    if not both.any():
        return None, None
    return float(first[2][both].mean()), float(second[2][both].mean())


def _missing(sampled: bool) -> Judgement | None:
    text = "no sample in this period: they are taken every some seconds while the app runs"
    return Judgement("unknown", "", text) if sampled else None


def _above(value: float | None, warn: float, crit: float, wrong: str) -> tuple[str, str]:
    if value is None or value < warn:
        return "ok", ""
    return ("crit" if value >= crit else "warn"), wrong


def _growing(found: Growth | None, left: float | None) -> tuple[str, str]:
    if found is None:
        return "ok", ""
    text = f"a worker grows by {human.value(found.an_hour, 'bytes')} an hour"
    if left is not None and left > 0:
        text += f", full in {human.seconds(3_600 * left / found.an_hour)}"
    return "warn", text


def _growing_fds(found: Growth | None) -> tuple[str, str]:
    if found is None:
        return "ok", ""
    return "warn", f"descriptors grow by {human.count(found.an_hour)} an hour"


def _worst(found: Sequence[tuple[str, str]], detail: str) -> Judgement:
    """The gravest of some findings; of equal ones the first."""
    order = {"crit": 0, "warn": 1, "ok": 2}
    state, wrong = min(found, key=lambda each: order[each[0]])
    return Judgement(state, wrong, detail)


def _median(values: np.ndarray[Any, Any]) -> float:
    """NumPy's own loads numpy.ma, more than a megabyte."""
    ordered, middle = np.sort(values), (len(values) - 1) / 2
    return float(ordered[int(middle)] + ordered[math.ceil(middle)]) / 2
