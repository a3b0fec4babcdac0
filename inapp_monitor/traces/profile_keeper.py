"""From the profiles that requests left to the table: named, put together, handed over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from inapp_monitor.ground.clock import Clock
from inapp_monitor.recorder.routes import method_name, route_name
from inapp_monitor.traces import profile_tree
from inapp_monitor.traces.code_owner import CodeOwners
from inapp_monitor.traces.profile_table import Profile, ProfileTable
from inapp_monitor.traces.profiling import Finished, Profiling

#: Functions that are noted in the trace of a profiled request.
MAX_FUNCTIONS: Final = 8


class ProfileKeeper:
    """The profiles of one process.

    Args:
        profiling: Where they wait.
        table: Where they go.
        clock: Source of time.
        slug_of: The slug of a route.
        packages: Packages of the application.
        note: Called with the start of a request and the functions that took its time:
            `[function, place, owner, ms]` each.

    *Threads:* for the one that ticks.
    """

    def __init__(
        self,
        profiling: Profiling,
        table: ProfileTable,
        clock: Clock,
        slug_of: Callable[[str], str],
        packages: Callable[[], Sequence[str]],
        note: Callable[[float, list[list[Any]]], object],
    ) -> None:
        self.dropped = 0
        self._profiling = profiling
        self._table = table
        self._clock = clock
        self._slug_of = slug_of
        self._packages = packages
        self._note = note
        self._owners: CodeOwners | None = None

    def write(self) -> None:
        """Hand over what has ended."""
        finished = self._profiling.take()
        if not finished:
            return
        if self._owners is None:
            self._owners = CodeOwners(self._packages())
        profiles = [self._profile(each, self._owners) for each in finished if each.stacks]
        if profiles and not self._table.add(profiles, self._clock.wall()):
            self.dropped += len(profiles)

    def _profile(self, each: Finished, owners: CodeOwners) -> Profile:
        tree = profile_tree.tree_of(each.stacks, owners.frame_of)
        found = profile_tree.functions(tree)
        by_own = sorted(found.items(), key=lambda entry: -entry[1][0])[:MAX_FUNCTIONS]
        rows = [[*frame, round(own, 3)] for frame, (own, _) in by_own if own >= 1.0]
        self._note(each.start, rows)
        slug = self._slug_of(route_name(each.route, each.status))
        ended = self._clock.wall() - max(self._clock.perf() - each.end, 0.0)
        return Profile(slug, method_name(each.method), ended, tree)

    def forked(self) -> None:
        """In a child process: what has ended is the parent's."""
        self._profiling.forked()
        self.dropped = 0
