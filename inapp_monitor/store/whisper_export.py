"""Writing true Whisper files: for the day that a user moves to Graphite.

`whisper.fetch` of an exported archive answers as the store does, and `whisper.update` continues on
the file. Whisper's times end in February 2106; what is later is left out, and counted.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Method
from inapp_monitor.ground.ranges import Leaf, ScalarRange
from inapp_monitor.store import whisper_format
from inapp_monitor.store.retention import Archive, Retention
from inapp_monitor.store.rollup import NAN

#: What a distribution becomes: one file for each of these.
STATISTICS: Final = ("count", "sum", "mean", "min", "max", "p50", "p90", "p95", "p99")
_METHODS: Final = {
    "count": Method.SUM,
    "sum": Method.SUM,
    "min": Method.MIN,
    "max": Method.MAX,
}


@dataclass(slots=True)
class ExportReport:
    """What an export did.

    Attributes:
        files: Written files.
        points: Written points.
        beyond_whisper: Points later than Whisper's uint32 times.
        failed: Path and reason of series that could not be written.
    """

    files: int = 0
    points: int = 0
    beyond_whisper: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


class Exporter:
    """Writes series as Whisper files below a directory; existing files are replaced."""

    def __init__(self, directory: Path) -> None:
        self.report = ExportReport()
        self._directory = directory
        self._written: dict[Path, str] = {}

    def write(
        self,
        leaf: Leaf,
        retention: Retention,
        x_files_factor: float,
        archives: Sequence[ScalarRange],
    ) -> None:
        """One series: the values of each of its archives, finest first."""
        self._write_file(
            leaf.path,
            leaf.method,
            x_files_factor,
            [(a, r.start, r.values) for a, r in zip(retention.archives, archives, strict=True)],
        )

    def write_distribution(
        self,
        path: str,
        retention: Retention,
        archives: Sequence[tuple[int, Sequence[Histogram | None]]],
    ) -> None:
        """One distribution, given (start, slots) of each archive: a file for each statistic."""
        for name in STATISTICS:
            method = _METHODS.get(name, Method.AVERAGE)
            rings = [
                (ring, start, array("d", [statistic(name, slot) for slot in slots]))
                for ring, (start, slots) in zip(retention.archives, archives, strict=True)
            ]
            self._write_file(f"{path}.{name}", method, 0.0, rings)

    def _write_file(
        self,
        path: str,
        method: Method,
        x_files_factor: float,
        rings: Sequence[tuple[Archive, int, Sequence[float]]],
    ) -> None:
        target = self._directory / file_name(path)
        if target in self._written:
            self.report.failed.append((path, f"has the file name of {self._written[target]}"))
            return
        layout = whisper_format.layout(
            method, x_files_factor, [(ring.step, ring.points) for ring, _, _ in rings]
        )
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(target.name + ".new")
            with temporary.open("wb") as handle:
                handle.write(whisper_format.pack_header(layout))
                for ring, start, values in rings:
                    handle.write(self._ring(ring, start, values))
            temporary.replace(target)
        except OSError as error:
            self.report.failed.append((path, str(error)))
            return
        self._written[target] = path
        self.report.files += 1

    def _ring(self, ring: Archive, start: int, values: Sequence[float]) -> bytes:
        """The bytes of one archive; its first known point is in its first slot."""
        points: list[tuple[int, float]] = []
        for number, value in enumerate(values):
            time = start + number * ring.step
            if value == value:
                if 0 < time <= whisper_format.LAST_TIME:
                    points.append((time, value))
                else:
                    self.report.beyond_whisper += 1
        slots = [(0, 0.0)] * ring.points
        for time, value in points:
            slots[(time - points[0][0]) // ring.step % ring.points] = (time, value)
        self.report.points += len(points)
        return whisper_format.pack_points(slots)


def statistic(name: str, slot: Histogram | None) -> float:
    """One number of a histogram; NaN when there is none."""
    if slot is None or not slot.count:
        return NAN
    if name.startswith("p"):
        return slot.quantile(float(f"0.{name[1:]}"))
    numbers = {
        "count": float(slot.count),
        "sum": slot.total,
        "mean": slot.mean,
        "min": slot.minimum,
        "max": slot.maximum,
    }
    return numbers[name]


def file_name(path: str) -> Path:
    """Where Graphite looks for a series: nodes are directories; tagged ones go by their hash."""
    safe = path.replace("/", "%2F")
    if ";" in safe:
        digest = hashlib.sha256(path.encode()).hexdigest()
        name = safe.replace(".", "_DOT_") + ".wsp"
        return Path("_tagged", digest[:3], digest[3:6], name)
    return Path(*safe.split(".")[:-1], safe.split(".")[-1] + ".wsp")
