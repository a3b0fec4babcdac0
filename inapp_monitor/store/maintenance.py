"""What an operator does to a store: import, export, convert, plan. Called by the command line.

Each function opens the data directory itself and may run beside processes that use it: whatever
changes files holds the store's lock meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from inapp_monitor.ground import data_directory, disk_shares, private_files
from inapp_monitor.ground.clock import perf_counter
from inapp_monitor.ground.config import Settings
from inapp_monitor.ground.ranges import Leaf, ScalarRange
from inapp_monitor.store import column_rewrite, disk_budget
from inapp_monitor.store.catalog import DIRECTORY, LOCK_NAME, Catalog
from inapp_monitor.store.distribution_format import GRADES, DistributionGeometry
from inapp_monitor.store.files import Descriptors
from inapp_monitor.store.group_format import WIDTHS, Geometry
from inapp_monitor.store.groups import Group, StoredSeries
from inapp_monitor.store.lock import StoreLock
from inapp_monitor.store.resampling import Resampler
from inapp_monitor.store.retention import Retention
from inapp_monitor.store.series import Store, schemas_of
from inapp_monitor.store.whisper_export import Exporter, ExportReport
from inapp_monitor.store.whisper_import import ImportReport, import_files

#: Seconds that a command waits for the lock: writers hold it for a millisecond.
_PATIENCE_S = 10.0
#: Series that an export reads at a time: a group is read as a whole anyway, memory is the bound.
_AT_ONCE = 100
#: Series that a conversion moves under one hold of the lock: each step rewrites the rows.
MOVED_AT_ONCE = 250


@contextmanager
def exclusive(data_dir: Path, settings: Settings, now: float) -> Iterator[Catalog]:
    """The catalog of a data directory, locked; other processes see what was changed afterwards.

    Raises:
        OSError: no lock, or the disk refused.
    """
    data_directory.prepare(data_dir)
    directory = data_dir / DIRECTORY
    private_files.make_directory(directory)
    descriptors = Descriptors()
    catalog = Catalog(
        data_dir,
        descriptors,
        disk_shares.of_series(settings.disk_budget),
        lambda _path, _what: None,
    )
    lock = StoreLock(directory / LOCK_NAME)
    lock.acquire(_PATIENCE_S)
    try:
        catalog.refresh(lock, now, repair=False)
        try:
            yield catalog
        finally:
            catalog.changed(lock)  # also after a failure: a part of it may be done
    finally:
        descriptors.close_all()
        lock.close()


def import_whisper(
    data_dir: Path, settings: Settings, source: Path, now: float, *, prefix: str = ""
) -> ImportReport:
    """Take Whisper files in; see `whisper_import.import_files`.

    Raises:
        OSError: the store's disk refused, or somebody holds its lock.
    """
    with exclusive(data_dir, settings, now) as catalog:
        return import_files(catalog, source, prefix, int(now))


def export_whisper(store: Store, directory: Path, now: float) -> ExportReport:
    """Write every series of a store as Whisper files below a directory."""
    exporter = Exporter(directory)
    moment = int(now)
    alike: dict[tuple[Retention, float], list[Leaf]] = {}
    for leaf in store.leaves():
        facts = store.retention_of(leaf.path)
        if facts is None:
            continue  # a Whisper file is one already
        if leaf.kind == "distribution":
            _export_distribution(store, exporter, leaf.path, facts[0], moment)
        else:
            alike.setdefault(facts, []).append(leaf)
    for (retention, x_files_factor), leaves in alike.items():
        for first in range(0, len(leaves), _AT_ONCE):
            some = leaves[first : first + _AT_ONCE]
            _export_scalars(store, exporter, some, retention, x_files_factor, moment)
    return exporter.report


def _export_scalars(
    store: Store,
    exporter: Exporter,
    leaves: list[Leaf],
    retention: Retention,
    x_files_factor: float,
    now: int,
) -> None:
    paths = [leaf.path for leaf in leaves]
    rings: dict[str, list[ScalarRange]] = {path: [] for path in paths}
    for archive in retention.archives:
        for answer in store.fetch(paths, now - archive.retention, now, now):
            rings[answer.path].append(answer)
    for leaf in leaves:
        if len(rings[leaf.path]) == len(retention.archives):
            exporter.write(leaf, retention, x_files_factor, rings[leaf.path])
        else:
            exporter.report.failed.append((leaf.path, "could not be read"))


def _export_distribution(
    store: Store, exporter: Exporter, path: str, retention: Retention, now: int
) -> None:
    starts = [now - archive.retention for archive in retention.archives]
    found = [store.fetch_distribution(path, start, now, now) for start in starts]
    rings = [(answer.start, answer.slots) for answer in found if answer is not None]
    if len(rings) == len(found):
        exporter.write_distribution(path, retention, rings)
    else:
        exporter.report.failed.append((path, "could not be read"))


def clear(data_dir: Path, settings: Settings, now: float) -> int:
    """Forget all series with their past; returns how many there were. Whisper files stay.

    Processes that use the store go on with what they record from now on.

    Raises:
        OSError: the disk refused, or somebody holds the lock.
    """
    with exclusive(data_dir, settings, now) as catalog:
        count = len(catalog.series) + len(catalog.distributions)
        _clear(catalog)
    return count


def _clear(catalog: Catalog) -> None:
    """Take every series away. Needs the store's lock and a fresh catalog.

    The file with the highest number stays, or a later one would get a name under which other
    processes may still know another distribution.
    """
    rings = catalog.all_rings()
    last = max((name for name, _ in rings), key=lambda name: name.rpartition("-")[2], default="")
    for name, each in rings:
        if isinstance(each, Group):
            each.clear()
        elif name == last and each.file is not None:
            each.file.empty(each.geometry.offsets[0])
        else:
            (catalog.directory / name).unlink()
            catalog.drop(name)
    catalog.index()


@dataclass(slots=True)
class ConvertReport:
    """What a conversion did.

    Attributes:
        converted: Series that moved, with their old and their new retention.
        failed: Path and reason of series that stayed.
    """

    converted: list[tuple[str, str, str]] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)


def convert(
    data_dir: Path,
    settings: Settings,
    now: float,
    *,
    dry_run: bool = False,
    between: Callable[[], object] = lambda: None,
) -> ConvertReport:
    """Move series whose retention is not what the settings say now, with their past.

    Each stored value goes to the new interval in which its own begins, see `resampling`; nothing is
    left out but what is older than the new archives. Some series are moved at a time: processes
    that use the store write between two steps, and meanwhile points wait in their buffers.

    Args:
        data_dir, settings, now: Which store, what is wanted, and the wall clock's time.
        dry_run: Only report.
        between: Called between two steps.

    Raises:
        ConfigError: a retention or a schema file is not valid.
        OSError: the disk refused; a series is in its old place or in its new one, never in none.
    """
    report = ConvertReport()
    begin = perf_counter()
    schemas = schemas_of(settings)
    with exclusive(data_dir, settings, now) as catalog:
        moves: dict[tuple[int, Retention], list[str]] = {}
        for path, series in sorted(catalog.series.items()):
            target, old = schemas.retention_for(path), series.group
            if target != old.retention:
                moves.setdefault((id(old), target), []).append(path)
                if dry_run:
                    report.converted.append((path, str(old.retention), str(target)))
    if dry_run:
        return report
    for (_, target), paths in moves.items():
        for first in range(0, len(paths), MOVED_AT_ONCE):
            between()
            some = paths[first : first + MOVED_AT_ONCE]
            moment = now + (perf_counter() - begin)  # others have written meanwhile
            with exclusive(data_dir, settings, moment) as catalog:
                _move_some(catalog, some, target, int(moment), report)
    return report


def _move_some(
    catalog: Catalog, paths: list[str], target: Retention, now: int, report: ConvertReport
) -> None:
    """Move series that are still there, and where they were."""
    by_group: dict[int, list[StoredSeries]] = {}
    for path in paths:
        series = catalog.series.get(path)
        if series is not None and series.group.retention != target:
            by_group.setdefault(id(series.group), []).append(series)
    for some in by_group.values():
        old = some[0].group
        _move(catalog, old, some, target, now, report)
        failed = {path for path, _ in report.failed}
        report.converted += [
            (s.path, str(old.retention), str(target)) for s in some if s.path not in failed
        ]


def _move(
    catalog: Catalog,
    old: Group,
    some: list[StoredSeries],
    target: Retention,
    now: int,
    report: ConvertReport,
) -> None:
    wanted = Group(target, None, None)
    catalog.assign([StoredSeries(s.entry, wanted) for s in some], now, again=True, keep_idle=True)
    places = {
        entry.path: (group, entry)
        for group in catalog.groups.values()
        if group.retention == target
        for entry in group.entries.values()
    }
    by_group: dict[int, list[StoredSeries]] = {}
    for series in some:
        if series.path in places:
            by_group.setdefault(id(places[series.path][0]), []).append(series)
        else:
            report.failed.append((series.path, "no room in the disk budget"))
    for members in by_group.values():
        group = places[members[0].path][0]
        columns: list[int] = []
        for series in members:
            first = places[series.path][1].column
            columns += range(first, first + series.entry.columns)
        column_rewrite.fill(group, columns, now, Resampler(old, members, target, now))
        catalog.free(old, [series.entry for series in members])


@dataclass(frozen=True, slots=True)
class PlanReport:
    """What series cost, and how many fit.

    Attributes:
        disk_budget: Bytes that all files may take.
        store_budget: The store's share of it.
        taken: Bytes that the existing files can ever take.
        series: Scalars there are.
        distributions: Distributions there are.
        retention: Archives of a new series by the settings.
        series_bytes: Bytes of one more column.
        distribution_retention: Archives of a new distribution.
        distribution_bytes: Bytes of the finest and of the smallest distribution.
        more_series: How many further columns fit, if nothing else is added.
        more_distributions: How many further distributions fit, if nothing else is added.
    """

    disk_budget: int
    store_budget: int
    taken: int
    series: int
    distributions: int
    retention: str
    series_bytes: int
    distribution_retention: str
    distribution_bytes: tuple[int, int]
    more_series: int
    more_distributions: int


def plan(store: Store, settings: Settings) -> PlanReport:
    """What each further series costs, and how many fit into the budget."""
    status = store.status()
    retention = Retention.parse(settings.retention)
    distribution_retention = Retention.parse(settings.distribution_retention)
    budget = disk_shares.of_series(settings.disk_budget)
    room = max(budget - disk_budget.reserve(budget) - status.size, 0)
    sizes = {width: Geometry.of(width, retention).size for width in WIDTHS}
    more, left = sum(f.room for f in status.files if f.retention == str(retention)), room
    for width in sorted(sizes, reverse=True):
        more += left // sizes[width] * width
        left %= sizes[width]
    return PlanReport(
        disk_budget=settings.disk_budget,
        store_budget=budget,
        taken=status.size,
        series=status.series,
        distributions=status.distributions,
        retention=str(retention),
        series_bytes=sizes[WIDTHS[-1]] // WIDTHS[-1],
        distribution_retention=str(distribution_retention),
        distribution_bytes=(
            DistributionGeometry.of(distribution_retention).size,
            DistributionGeometry.of(distribution_retention, len(GRADES) - 1).size,
        ),
        more_series=more,
        more_distributions=sum(
            1 for _ in disk_budget.further_distributions(distribution_retention, room)
        ),
    )
