"""Taking Whisper files in: every archive of every file becomes a series with its whole past.

A file keeps its own archive list, method and xFilesFactor. A series that exists already keeps its
values and gains those it lacks, when its archives are the same.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from inapp_monitor.ground.exceptions import ConfigError, FormatError, SeriesNameError
from inapp_monitor.ground.names import check_path
from inapp_monitor.store import column_rewrite, whisper_tree
from inapp_monitor.store.catalog import Catalog
from inapp_monitor.store.group_format import FOREIGN, Entry
from inapp_monitor.store.groups import Group, StoredSeries
from inapp_monitor.store.retention import Archive, Retention
from inapp_monitor.store.rollup import NAN, PAIRED
from inapp_monitor.store.whisper_format import POINT_SIZE, WhisperHeader, base_time, values_at


@dataclass(slots=True)
class ImportReport:
    """What an import did.

    Attributes:
        files: Files taken in.
        points: Points taken in.
        failed: File and reason of those that were not.
    """

    files: int = 0
    points: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Source:
    """One file that can be taken in."""

    file: Path
    path: str
    header: WhisperHeader
    retention: Retention


def import_files(catalog: Catalog, root: Path, prefix: str, now: int) -> ImportReport:
    """Take in one file, or all files below a directory. Needs the store's lock.

    Args:
        catalog: Fresh.
        root: A `.wsp` file or a directory of them.
        prefix: Put in front of each name, with a dot, unless empty.
        now: Wall time.

    Raises:
        OSError: the store's disk refused.
    """
    report = ImportReport()
    sources: dict[Retention, list[_Source]] = {}
    for file in sorted(whisper_tree.walk(root)) if root.is_dir() else [root]:
        name = whisper_tree.name_of(file, root if root.is_dir() else root.parent)
        try:
            header = whisper_tree.read_header(file)
            rings = tuple(Archive(a.step, a.points) for a in header.archives)
            path = check_path(f"{prefix}.{name}" if prefix else name)
            source = _Source(file, path, header, Retention(rings))
        except (FormatError, SeriesNameError, ConfigError, OSError) as error:
            report.failed.append((str(file), str(error)))
        else:
            sources.setdefault(source.retention, []).append(source)
    for retention, some in sources.items():
        _import_some(catalog, retention, some, now, report)
    return report


def _import_some(
    catalog: Catalog, retention: Retention, sources: list[_Source], now: int, report: ImportReport
) -> None:
    newcomers = Group(retention, None, None)
    wanted = [
        newcomers.put(Entry(0, s.path, s.header.method, s.header.x_files_factor, now, FOREIGN))
        for s in sources
        if s.path not in catalog.series
    ]
    if wanted:
        catalog.assign(wanted, now)
    by_group: dict[int, list[tuple[_Source, StoredSeries]]] = {}
    for source in sources:
        series = catalog.series.get(source.path)
        if series is None:
            report.failed.append((str(source.file), "no room in the disk budget"))
        elif series.group.retention != retention or series.method is not source.header.method:
            report.failed.append((str(source.file), f"{source.path} exists with other archives"))
        else:
            by_group.setdefault(id(series.group), []).append((source, series))
    for members in by_group.values():
        _fill(members, now, report)


def _fill(members: list[tuple[_Source, StoredSeries]], now: int, report: ImportReport) -> None:
    group = members[0][1].group
    columns: list[int] = []
    for _, series in members:
        columns += range(series.column, series.column + series.entry.columns)

    def read(archive: int, start: int, count: int) -> Sequence[array[float]]:
        result = []
        for source, series in members:
            values = read_archive(source.file, source.header, archive, start, count)
            report.points += sum(value == value for value in values)
            result.append(values)
            if series.method in PAIRED:
                result.append(array("d", [1.0 if value == value else NAN for value in values]))
        return result

    column_rewrite.fill(group, columns, now, read)
    report.files += len(members)


def read_archive(
    file: Path, header: WhisperHeader, archive: int, start: int, count: int
) -> array[float]:
    """Some intervals of one archive of a file; NaN where it has nothing."""
    ring = header.archives[archive]
    with whisper_tree.open_file(file) as handle:
        handle.seek(ring.offset)
        base = base_time(handle.read(POINT_SIZE))
        if not base:
            return array("d", [NAN]) * count
        first = (start - base) // ring.step % ring.points
        upto = min(count, ring.points - first)
        handle.seek(ring.offset + first * POINT_SIZE)
        data = handle.read(upto * POINT_SIZE)
        if upto < count:
            handle.seek(ring.offset)
            data += handle.read((count - upto) * POINT_SIZE)
    return values_at(data, start, ring.step, count)
