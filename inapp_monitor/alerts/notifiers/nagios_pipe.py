"""Passive check results for Nagios, Icinga or Shinken: lines for its command file.

Each rule is a service whose status is the worst of its series'. A pipe is opened without waiting:
when Nagios does not run, the results of this time are lost, and the next ones replace them. No line
is longer than what a pipe takes at once.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inapp_monitor.alerts import nagios_output
from inapp_monitor.alerts.nagios_output import Metric
from inapp_monitor.alerts.notifiers.base import FailedError, Standing
from inapp_monitor.alerts.notifiers.options import Options
from inapp_monitor.alerts.status import Status, worst


@dataclass(frozen=True, slots=True)
class NagiosPipe:
    """Writes to one command file."""

    path: Path
    host: str
    prefix: str
    every_s: float

    @classmethod
    def read(cls, options: Options) -> NagiosPipe:
        """From its table: `command_file`, `host`, `prefix`, `interval`.

        Raises:
            ValueError: see `Options`.
        """
        return cls(
            path=Path(options.text("command_file")),
            host=options.text("host", socket.gethostname()),
            prefix=options.text("prefix", ""),
            every_s=options.seconds("interval", 60.0, 1.0, 3_600.0),
        )

    def push(self, standings: Sequence[Standing], now: float) -> None:
        """See `base.Pusher`."""
        by_rule: dict[str, list[Standing]] = {}
        for standing in standings:
            by_rule.setdefault(standing.rule, []).append(standing)
        lines = [self._line(rule, each) for rule, each in by_rule.items()]
        if not lines:
            return
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise FailedError(f"command file {self.path}: {error.strerror}") from None
        try:
            if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                raise FailedError(f"command file {self.path} is no pipe")
            for line in lines:
                os.write(descriptor, f"[{int(now)}] {line}\n".encode())
        except OSError as error:
            raise FailedError(f"command file {self.path}: {error.strerror}") from None
        finally:
            os.close(descriptor)

    def _line(self, rule: str, standings: list[Standing]) -> str:
        status = worst([Status(each.hard_status) for each in standings])
        found = [each for each in standings if each.hard_status == status]
        first = found[0]
        more = f" (+{len(found) - 1} more)" if status and len(found) > 1 else ""
        text = f"{status.name}: {first.title}: {first.detail}{more}" if status else "OK"
        return nagios_output.passive(
            self.host, self.prefix + rule, status, text, metrics(standings)
        )


def metrics(standings: Sequence[Standing]) -> list[Metric]:
    """Perfdata of some states, problems first."""
    ordered = sorted(standings, key=lambda each: -Status(each.status).severity)
    return [
        Metric(each.series or each.rule, each.value, each.unit, each.warning, each.critical)
        for each in ordered
    ]
