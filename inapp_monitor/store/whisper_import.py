"""Taking Whisper files in: every archive of every file becomes a series with its whole past.

A file keeps its own archive list, method and xFilesFactor. A series that exists already keeps its
values and gains those it lacks, when its archives are the same. A file that cannot be read costs
only itself: it is named, the others are imported, and it leaves no series behind.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Sequence
from contextlib import suppress
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
        files: Files imported.
        points: Points imported.
        failed: File or directory, and the reason why it was not.
    """

    files: int = 0
    points: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Source:
    """One file that can be imported."""

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
    names: dict[str, Path] = {}

    def failed(error: OSError) -> None:
        report.failed.append((str(error.filename), _reason(error)))

    for file in sorted(whisper_tree.walk(root, failed)) if root.is_dir() else [root]:
        try:
            source = _source(file, root if root.is_dir() else root.parent, prefix)
        except (FormatError, SeriesNameError, ConfigError, OSError) as error:
            report.failed.append((str(file), _reason(error)))
            continue
        first = names.setdefault(source.path, file)
        if first is not file:
            report.failed.append((str(file), f"{source.path} is the name of {first} too"))
        else:
            sources.setdefault(source.retention, []).append(source)
    for retention, some in sources.items():
        _import_some(catalog, retention, some, now, report)
    return report


def _source(file: Path, root: Path, prefix: str) -> _Source:
    """What a file says of itself.

    Raises:
        OSError, FormatError, SeriesNameError, ConfigError: it cannot be imported.
    """
    name = whisper_tree.name_of(file, root)
    header = whisper_tree.read_header(file)
    if not 0.0 <= header.x_files_factor <= 1.0:
        raise FormatError(f"Whisper file: xFilesFactor {header.x_files_factor}")
    size = file.stat().st_size
    end = max(archive.offset + archive.size for archive in header.archives)
    if size < end:
        raise FormatError(f"Whisper file: cut, {size} bytes instead of {end}")
    path = check_path(f"{prefix}.{name}" if prefix else name)
    retention = Retention(tuple(Archive(a.step, a.points) for a in header.archives))
    return _Source(file, path, header, retention)


def _reason(error: Exception) -> str:
    """An error without the file's name, which stands in front of it."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _import_some(
    catalog: Catalog, retention: Retention, sources: list[_Source], now: int, report: ImportReport
) -> None:
    newcomers = Group(retention, None, None)
    wanted = [
        newcomers.put(Entry(0, s.path, s.header.method, s.header.x_files_factor, now, FOREIGN))
        for s in sources
        if s.path not in catalog.series
    ]
    new = {series.path for series in wanted}
    if wanted:
        catalog.assign(wanted, now, keep_idle=True)
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
        filling = _Filling(members)
        try:
            column_rewrite.fill(filling.group, filling.columns, now, filling)
        except OSError:
            with suppress(OSError):  # the disk refuses: what is empty should not stay
                filling.free(catalog, new)
            raise
        filling.free(catalog, new & filling.failed.keys())
        report.failed += [
            (str(source.file), filling.failed[source.path])
            for source, _ in members
            if source.path in filling.failed
        ]
        report.files += len(members) - len(filling.failed)
        report.points += filling.points


class _Filling:
    """The values of some files, for the columns of one group.

    Attributes:
        failed: Why a file could not be read to its end, by path.
    """

    def __init__(self, members: Sequence[tuple[_Source, StoredSeries]]) -> None:
        self.group = members[0][1].group
        self.columns = [
            column
            for _, series in members
            for column in range(series.column, series.column + series.entry.columns)
        ]
        self.failed: dict[str, str] = {}
        self._members = members
        self._points = dict.fromkeys((source.path for source, _ in members), 0)

    def __call__(self, archive: int, start: int, count: int) -> Sequence[array[float]]:
        """Some intervals of one archive of every file; nothing of one that could not be read."""
        result = []
        for source, series in self._members:
            values = array("d", [NAN]) * count
            if source.path not in self.failed:
                try:
                    values = read_archive(source.file, source.header, archive, start, count)
                except (OSError, FormatError) as error:
                    self.failed[source.path] = _reason(error)
            self._points[source.path] += sum(value == value for value in values)
            result.append(values)
            if series.method in PAIRED:
                result.append(array("d", [1.0 if value == value else NAN for value in values]))
        return result

    @property
    def points(self) -> int:
        """Points of the files that could be read."""
        return sum(n for path, n in self._points.items() if path not in self.failed)

    def free(self, catalog: Catalog, paths: Collection[str]) -> None:
        """Take the columns of some series away again."""
        entries = [series.entry for _, series in self._members if series.path in paths]
        if entries:
            catalog.free(self.group, entries)


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
