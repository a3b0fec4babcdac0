"""A program of one's own that gets the notice as JSON on its standard input.

Off unless the setting `alert_programs` allows it. No shell is involved, and nothing of a notice is
part of the command line.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass

from inapp_monitor.alerts.notice import Notice
from inapp_monitor.alerts.notifiers.base import FailedError
from inapp_monitor.alerts.notifiers.options import Options


@dataclass(frozen=True, slots=True)
class Program:
    """Starts one program a notice."""

    command: tuple[str, ...]
    timeout_s: float

    @classmethod
    def read(cls, options: Options, *, allowed: bool) -> Program:
        """From its table: `command`, `timeout`.

        Raises:
            ValueError: see `Options`, or programs are not allowed.
        """
        if not allowed:
            raise ValueError(f"notifier {options.name!r}: needs the setting alert_programs = true")
        command = options.texts("command")
        if not command[0].startswith("/"):
            raise options.error("command", "a list that begins with an absolute path", command[0])
        return cls(command, options.seconds("timeout", 10.0, 0.1, 60.0))

    def send(self, notice: Notice) -> None:
        """See `base.Notifier`."""
        try:
            done = subprocess.run(  # noqa: S603  # no shell, a fixed command
                self.command,
                input=json.dumps(notice.as_json()).encode(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=self.timeout_s,
                check=False,
                start_new_session=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise FailedError(f"{self.command[0]}: {error}") from None
        if done.returncode:
            text = done.stderr[-200:].decode("utf-8", "replace").strip()
            raise FailedError(f"{self.command[0]} ended with {done.returncode}: {text}")
