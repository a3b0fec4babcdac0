"""`inapp-monitor run`: any program as a job; its duration, status, CPU and memory are recorded.

The program's output and exit status pass through; what is recorded never changes them.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from pathlib import Path
from types import FrameType

import click

from inapp_monitor.cli import echo
from inapp_monitor.ground.clock import perf_counter
from inapp_monitor.ground.names import clean_node
from inapp_monitor.monitor.monitor import Monitor
from inapp_monitor.monitor.recording import JOBS, job_monitor, record_run

#: As shells have it: not found, and found but not to be executed.
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
#: Linux counts the memory of a process in KiB.
_RSS_UNIT = 1024
_MAX_COMMAND_LENGTH = 200


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--data-dir", type=click.Path(path_type=Path), default=None, help="Of the app.")
@click.option("--name", default="", help="Of the job; default: the program's.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(data_dir: Path | None, name: str, command: tuple[str, ...]) -> None:
    """Run COMMAND and record it as a job: `inapp-monitor run --name nightly -- ./backup.sh`.

    Its series are jobs.NAME.time, .runs, .failures, .last_run, .exit_status, .cpu_time and
    .max_rss_bytes; an exit status other than 0 becomes an issue.
    """
    name = clean_node(name or Path(command[0]).name)
    monitor = job_monitor(data_dir, name, {})
    begin = perf_counter()
    status, usage, problem = _run(command)
    duration_ms = (perf_counter() - begin) * 1000.0
    try:
        _record(monitor, name, status, usage, duration_ms, problem or " ".join(command))
    finally:
        monitor.close()
    for fault in monitor.guard.faults.values():
        echo.line(f"inapp-monitor: {fault.part} failed: {fault.last}", err=True)
    raise SystemExit(status)


def _run(command: tuple[str, ...]) -> tuple[int, resource.struct_rusage | None, str]:
    """Exit status, what the program used, and why it could not be started."""
    try:
        process = subprocess.Popen(command)  # noqa: S603  # what the caller asks for
    except OSError as error:
        problem = f"{command[0]}: {error.strerror}"
        echo.line(f"inapp-monitor: {problem}", err=True)
        found = not isinstance(error, FileNotFoundError)
        return (_NOT_EXECUTABLE if found else _NOT_FOUND), None, problem

    def pass_on(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            pass

    before = {number: signal.signal(number, pass_on) for number in _PASSED_ON}
    try:
        _, waited, usage = os.wait4(process.pid, 0)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    process.returncode = os.waitstatus_to_exitcode(waited)  # else it would be waited for again
    code = process.returncode
    return (code if code >= 0 else 128 - code), usage, ""


def _record(
    monitor: Monitor,
    name: str,
    status: int,
    usage: resource.struct_rusage | None,
    duration_ms: float,
    what: str,
) -> None:
    monitor.life.attach_if_needed()
    record_run(monitor, name, duration_ms, has_failed=status != 0)
    monitor.gauge(f"{JOBS}.{name}.exit_status", status)
    if usage is not None:
        monitor.timing(f"{JOBS}.{name}.cpu_time", (usage.ru_utime + usage.ru_stime) * 1000.0)
        monitor.gauge(f"{JOBS}.{name}.max_rss_bytes", usage.ru_maxrss * _RSS_UNIT)
    if status:
        monitor.tracker.capture_message(
            f"job {name} failed with exit status {status}: {what[:_MAX_COMMAND_LENGTH]}",
            template=f"job {name} failed",
            kind="JobFailed",
        )


COMMANDS = (run,)
