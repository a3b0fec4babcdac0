"""Jobs that did not run, did not end in time, or failed, by what they check in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from inapp_monitor.alerts.looks import Seen
from inapp_monitor.alerts.status import Status

_WRONG = {
    "missed": (Status.CRITICAL, "did not run"),
    "timeout": (Status.CRITICAL, "did not end in time"),
    "error": (Status.WARNING, "failed"),
}
_SHORT = 80


class Schedule(Protocol):
    """When a job is due."""

    def as_text(self) -> str: ...


class Job(Protocol):
    """What is asked of a job."""

    @property
    def project(self) -> str: ...
    @property
    def slug(self) -> str: ...
    @property
    def environment(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def schedule(self) -> Schedule | None: ...


class MissedJobs:
    """Looks at the jobs that check in.

    Args:
        jobs: All of them as they stand.
    """

    def __init__(self, jobs: Callable[[], Iterable[Job]]) -> None:
        self._jobs = jobs

    def __call__(self, now: float, open_: Mapping[str, float]) -> Iterable[Seen]:  # noqa: ARG002
        """The state of each job; see `looks.Find`."""
        for job in self._jobs():
            name = job.slug[:_SHORT]
            series = f"{job.project}.{job.slug}.{job.environment}"
            if job.status == "in_progress":  # it has not reported how it ends
                yield Seen(series, None, "", "")
            elif job.status in _WRONG:
                status, what = _WRONG[job.status]
                schedule = f", schedule {job.schedule.as_text()}" if job.schedule else ""
                detail = f"{name} {what}{schedule} ({job.environment})"
                yield Seen(series, status, f"Job {name} {what}", detail)
            else:
                yield Seen(series, Status.OK, "", f"{name} ran")
