"""Which series there are, and where: name to group and column, name to distribution.

The directory itself is the catalog: each file says what it holds. A generation number beside the
lock tells every process that another one has added something. Assigning needs the store's lock;
reading does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from inapp_monitor.ground import private_files
from inapp_monitor.ground.exceptions import BudgetError, FormatError
from inapp_monitor.store import (
    column_rewrite,
    disk_budget,
    distribution_format,
    files,
    group_format,
    placement,
)
from inapp_monitor.store.distributions import DistributionFile
from inapp_monitor.store.files import Descriptors, DiskFile
from inapp_monitor.store.group_format import Entry, Geometry, State
from inapp_monitor.store.groups import Group, StoredSeries
from inapp_monitor.store.lock import StoreLock
from inapp_monitor.store.retention import Retention

DIRECTORY = "store"
LOCK_NAME = "lock"
_NAME = re.compile(r"(group|dist)-(\d{6,})", re.ASCII)
#: What is being made, see `private_files.replacement`.
_DRAFT = re.compile(r"(group|dist)-\d{6,}\.new", re.ASCII)
#: Seconds between two searches for idle columns.
_LOOK_AGAIN_S = 60
#: Called with (path of the file, what is wrong) when a file has been moved aside.
Damaged = Callable[[Path, str], None]


class Catalog:
    """All series of a store.

    Attributes:
        directory: Where its files are.
        series: Scalars on disk, by path.
        distributions: Distributions on disk, by path.
        groups: Group files by file name.
        generation: As read when the directory was scanned last; -1 before.
        budget: Bytes that all files together may ever take.
        has_new_files: Whether files were made since their directory was synced.
        has_unrepaired: Whether damage was seen that the next writer has to set aside.
        forbidden: Files that this process may not open, by name, and what to do.
        reused: Series that lost their place to others because they were idle.
    """

    def __init__(
        self,
        data_dir: Path,
        descriptors: Descriptors,
        budget: int,
        damaged: Damaged,
        *,
        read_only: bool = False,
    ) -> None:
        self.directory = data_dir / DIRECTORY
        self.series: dict[str, StoredSeries] = {}
        self.distributions: dict[str, DistributionFile] = {}
        self.groups: dict[str, Group] = {}
        self.generation = -1
        self.budget = budget
        self.reused = 0
        self.has_new_files = False
        self.forbidden: dict[str, str] = {}
        self._names: dict[str, str] = {}  # distribution file name -> path
        self._ceilings: dict[str, int] = {}  # file name -> full size
        self._descriptors = descriptors
        self._damaged = damaged
        self._read_only = read_only
        self._highest = 0
        self._looked_for_idle = 0
        self._found_no_idle = 0
        self._scanned_at = 0.0
        self.has_unrepaired = False

    @property
    def ceiling(self) -> int:
        """Bytes that all files together can ever take."""
        return sum(self._ceilings.values())

    def refresh(self, lock: StoreLock, now: float, *, repair: bool) -> bool:
        """Take in what other processes have added; True when anything was looked at.

        Args:
            lock: Knows the generation.
            now: For the names of files that are set aside.
            repair: Whether damaged files may be moved aside (needs the lock).
        """
        generation = lock.generation()
        due = repair and (self.has_unrepaired or self._look_again(now))
        if generation == self.generation and not due:
            return False
        self.has_unrepaired = False
        self._scan(now, repair)
        self.generation = generation
        return True

    def _look_again(self, now: float) -> bool:
        """Whether files that may not be opened are to be tried: their owner may have mended it."""
        return bool(self.forbidden) and not 0 <= now - self._scanned_at < _LOOK_AGAIN_S

    def forget(self) -> None:
        """Know nothing, so that the next refresh scans everything."""
        for file in self.files():
            file.close()
        self.series, self.distributions, self.groups = {}, {}, {}
        self._names, self._ceilings = {}, {}
        self.generation = -1

    def changed(self, lock: StoreLock) -> None:
        """Tell all processes that something was added. Needs the lock."""
        generation = lock.generation() + 1
        lock.set_generation(generation)
        self.generation = generation

    # -- assigning

    def assign(
        self,
        newcomers: list[StoredSeries],
        now: int,
        *,
        again: bool = False,
        keep_idle: bool = False,
    ) -> list[StoredSeries]:
        """Give columns to series of one retention. Needs the lock, and a fresh catalog.

        Args:
            newcomers: What is wanted: path, method, xFilesFactor.
            now: Wall time.
            again: Also for series that have a column already: a conversion takes that away later.
            keep_idle: No column is taken from a series that is idle: an operator's command never
                costs another series its past.

        Returns:
            The same series as they are on disk; fewer when the budget has no room for the rest.

        Raises:
            OSError: the disk refused; what was assigned before is kept and found by a retry.
        """
        result: list[StoredSeries] = []
        waiting = [s for s in newcomers if again or s.path not in self.series]
        retention = newcomers[0].group.retention if newcomers else None
        for own in (True, False):  # the kit's totals first, whatever the order
            some = [s for s in waiting if disk_budget.is_own(s.path) is own]
            while some and retention is not None:
                place = self._place(retention, some, now, keep_idle=keep_idle)
                if place is None:
                    break
                group, added = place
                group.store_entries(added)
                for entry in added:
                    self.series[entry.path] = StoredSeries(entry, group)
                some = some[len(added) :]
        for newcomer in newcomers:
            known = self.series.get(newcomer.path)
            if known is not None:
                result.append(known)
        return result

    def create_distribution(self, path: str, retention: Retention, now: int) -> DistributionFile:
        """Make the file of a new distribution. Needs the lock.

        Raises:
            BudgetError: no room.
            OSError: the disk refused.
        """
        geometry = self._geometry_for(path, retention)
        while geometry is None and self._drop_idle_distribution(now):
            geometry = self._geometry_for(path, retention)
        if geometry is None:
            raise BudgetError(f"no room for distribution {path!r} in {self.budget} bytes")
        name = self._new_name("dist")
        header = distribution_format.pack_header(geometry, path, now)
        self._create(name, geometry.size, header, retention, now)
        return self._add_distribution(name, path, geometry, now)

    def _geometry_for(
        self, path: str, retention: Retention
    ) -> distribution_format.DistributionGeometry | None:
        own = disk_budget.is_own(path)
        return disk_budget.geometry_for(retention, self._room(own=own), own=own)

    def _room(self, *, own: bool) -> int:
        """Bytes that new files may take; the last ones are for the kit's own series."""
        kept = 0 if own else disk_budget.reserve(self.budget)
        return self.budget - self.ceiling - kept

    def _place(
        self, retention: Retention, waiting: list[StoredSeries], now: int, *, keep_idle: bool
    ) -> tuple[Group, list[Entry]] | None:
        """A group with room, and entries for as many series as fit, in order."""
        for group in self.groups.values():
            if group.retention == retention and group.free_count():
                entries = placement.fitting(group, waiting, now)
                if entries:
                    return group, entries
        made = self._create_group(retention, waiting, now)
        if made is None and not keep_idle:
            made = self._free_idle(retention, waiting, now)
        entries = [] if made is None else placement.fitting(made, waiting, now)
        return (made, entries) if made is not None and entries else None

    def _free_idle(
        self, retention: Retention, waiting: list[StoredSeries], now: int
    ) -> Group | None:
        """Take columns from series that were written longest ago, when the budget is used up.

        Never one of the kit's, or one written within its finest retention. Looking for them reads
        whole files, so it happens at most once in a while.
        """
        if 0 <= now - self._looked_for_idle < _LOOK_AGAIN_S:
            return None
        self._looked_for_idle = now
        wanted = sum(series.entry.columns for series in waiting)
        for group in self.groups.values():
            if group.retention != retention:
                continue
            latest = column_rewrite.last_written(group)
            limit = now - retention.archives[0].retention
            idle = [e for e in group.entries.values() if latest[e.column] < limit]
            idle = [e for e in idle if e.created < limit and not disk_budget.is_own(e.path)]
            idle.sort(key=lambda entry: latest[entry.column])
            if idle:
                self.free(group, idle[:wanted])
                self.reused += len(idle[:wanted])
                return group
        return None

    def free(self, group: Group, entries: list[Entry]) -> None:
        """Take columns away from their series, whose past is lost. Needs the lock."""
        columns = [c for e in entries for c in range(e.column, e.column + e.columns)]
        column_rewrite.wipe(group, columns)
        group.erase_entries(entries)
        for entry in entries:
            if self.series.get(entry.path) and self.series[entry.path].group is group:
                del self.series[entry.path]

    def _drop_idle_distribution(self, now: int) -> bool:
        """Remove the file of a distribution without a value in its finest retention, if any.

        When there is none, looking again has to wait: it reads every distribution.
        """
        if 0 <= now - self._found_no_idle < _LOOK_AGAIN_S:
            return False
        idle = []
        for name, rings in self.all_rings():
            if isinstance(rings, DistributionFile) and not disk_budget.is_own(rings.path):
                latest = max(rings.times(0), default=0)
                if max(latest, rings.created) < now - rings.retention.archives[0].retention:
                    idle.append((latest, name))
        if not idle:
            self._found_no_idle = now
            return False
        name = min(idle)[1]
        (self.directory / name).unlink()
        self.drop(name)
        self.reused += 1
        return True

    def _create_group(
        self, retention: Retention, waiting: list[StoredSeries], now: int
    ) -> Group | None:
        """A new group file, narrower when the budget asks for it; None when there is no room."""
        wanted = sum(series.entry.columns for series in waiting)
        siblings = sum(group.retention == retention for group in self.groups.values())
        room = self._room(own=False)
        widths = placement.widths_for(wanted, siblings, retention, room)
        if disk_budget.is_own(waiting[0].path) and Geometry.of(widths[0], retention).size > room:
            room = self._room(own=True)
            widths = [w for w in widths if w <= placement.width_at_least(wanted)]
        for width in reversed(widths):
            geometry = Geometry.of(width, retention)
            if geometry.size <= room:
                name = self._new_name("group")
                self._create(
                    name, geometry.size, group_format.pack_header(geometry), retention, now
                )
                return self._add_group(name, geometry)
        return None

    def _create(self, name: str, size: int, header: bytes, retention: Retention, now: int) -> None:
        self.has_new_files = True
        marks = (0, *(archive.floor(now) for archive in retention.archives[1:]))
        state = group_format.pack_state(State(1, marks))
        files.create(self.directory / name, size, [(0, header), (group_format.STATE_OFFSET, state)])

    def _new_name(self, kind: str) -> str:
        self._highest += 1
        return f"{kind}-{self._highest:06d}"

    # -- scanning

    def _scan(self, now: float, repair: bool) -> None:
        """Compare the directory with what is known: open new files, drop what is gone."""
        try:
            names = sorted(entry.name for entry in self.directory.iterdir())
        except FileNotFoundError:
            names = []
        self._scanned_at = now
        # First what is gone: a distribution may have been made anew under another name.
        for name in self._ceilings.keys() - set(names):
            self.drop(name)
        present = set()
        for name in names:
            match = _NAME.fullmatch(name)
            if match is None:
                if repair and _DRAFT.fullmatch(name):
                    self._remove_draft(name)
                continue
            self._highest = max(self._highest, int(match[2]))
            try:
                self._open(name, match[1])
            except FormatError as error:
                self.has_unrepaired = not repair
                if repair:
                    self._set_aside(name, now, error)
            except IsADirectoryError as error:
                self.has_unrepaired = not repair
                if repair:
                    self._rename(name, now, error)
            except PermissionError as error:
                self._note_forbidden(name, error)
            else:
                present.add(name)
                self.forbidden.pop(name, None)
        for name in self.forbidden.keys() - set(names):
            del self.forbidden[name]
        for name in [n for n in self._ceilings if n not in present]:
            self.drop(name)
        self.index()

    def lose_access(self, name: str, error: PermissionError) -> None:
        """A file may not be opened any more: its series go on in another one."""
        self.drop(name)
        self._note_forbidden(name, error)

    def _note_forbidden(self, name: str, error: PermissionError) -> None:
        """It costs what is in this file, and nothing else."""
        self.forbidden[name] = f"{name}: {error.strerror}"

    def _remove_draft(self, name: str) -> None:
        """Of a process that was killed while it made a file: making one takes the lock."""
        try:
            (self.directory / name).unlink()
        except OSError:
            pass  # a directory, or another user's in a sticky one: the next file has another name

    def _open(self, name: str, kind: str) -> None:
        if name in self.groups:
            self.groups[name].load_table()
            return
        if name in self._names:
            return
        file = DiskFile(self.directory / name, self._descriptors, read_only=self._read_only)
        page = file.read(group_format.PAGE, 0)
        if kind == "group":
            geometry = group_format.unpack_header(page)
            self._add_group(name, geometry, file).load_table()
        else:
            dist_geometry, path, created = distribution_format.unpack_header(page)
            self._add_distribution(name, path, dist_geometry, created, file)

    def _add_group(self, name: str, geometry: Geometry, file: DiskFile | None = None) -> Group:
        file = file or DiskFile(self.directory / name, self._descriptors)
        file.size = self._ceilings[name] = geometry.size
        group = self.groups[name] = Group(geometry.retention, file, geometry)
        return group

    def _add_distribution(
        self,
        name: str,
        path: str,
        geometry: distribution_format.DistributionGeometry,
        created: int,
        file: DiskFile | None = None,
    ) -> DistributionFile:
        file = file or DiskFile(self.directory / name, self._descriptors)
        file.size = self._ceilings[name] = geometry.size
        self._names[name] = path
        distribution = DistributionFile(path, geometry.retention, file, geometry, created)
        self.distributions[path] = distribution
        return distribution

    def index(self) -> None:
        """The series of all groups, by path; a series keeps its object while it keeps its place."""
        old = self.series
        series: dict[str, StoredSeries] = {}
        for group in self.groups.values():
            for entry in group.entries.values():
                path = entry.path
                known = old.get(path)
                if known is None or known.group is not group or known.entry != entry:
                    known = StoredSeries(entry, group)
                # A conversion that did not finish leaves two: the older one has everything.
                if path not in series or entry.created < series[path].entry.created:
                    series[path] = known
        self.series = series

    def drop(self, name: str) -> None:
        """Forget a file that is gone."""
        self._ceilings.pop(name, None)
        group = self.groups.pop(name, None)
        if group is not None and group.file is not None:
            group.file.close()
        path = self._names.pop(name, None)
        if path is not None:
            distribution = self.distributions.pop(path, None)
            if distribution is not None and distribution.file is not None:
                distribution.file.close()

    def _set_aside(self, name: str, now: float, error: Exception) -> None:
        page = DiskFile(self.directory / name, self._descriptors, read_only=True)
        try:
            if group_format.is_of_a_later_version(page.read(group_format.PAGE, 0)):
                self._damaged(self.directory / name, f"{error}; left alone")
                return
        finally:
            page.close()
        self._rename(name, now, error)

    def _rename(self, name: str, now: float, error: Exception) -> None:
        target = private_files.set_aside(self.directory / name, now)
        if target is not None:
            self._damaged(self.directory / name, f"{error}; moved to {target.name}")

    def files(self) -> Iterable[DiskFile]:
        """Every file."""
        for _, rings in self.all_rings():
            if rings.file is not None:
                yield rings.file

    def all_rings(self) -> list[tuple[str, Group | DistributionFile]]:
        """Every file with its name."""
        by_path = {path: name for name, path in self._names.items()}
        result: list[tuple[str, Group | DistributionFile]] = list(self.groups.items())
        result += [(by_path[path], d) for path, d in self.distributions.items()]
        return result
