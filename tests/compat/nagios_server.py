"""A real Nagios 4 in a directory of its own, fed by its command file."""

from __future__ import annotations

import grp
import os
import pwd
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

BINARY = shutil.which("nagios4") or shutil.which("nagios")

_MAIN = """
log_file={d}/nagios.log
cfg_dir={d}/objects
object_cache_file={d}/objects.cache
precached_object_file={d}/objects.precache
status_file={d}/status.dat
status_update_interval=1
temp_file={d}/nagios.tmp
temp_path={d}
check_result_path={d}/results
state_retention_file={d}/retention.dat
command_file={d}/nagios.cmd
lock_file={d}/nagios.pid
query_socket={d}/nagios.qh
check_external_commands=1
nagios_user={user}
nagios_group={group}
check_result_reaper_frequency=1
interval_length=1
log_notifications=1
log_passive_checks=0
log_external_commands=0
enable_notifications=1
enable_flap_detection=1
execute_service_checks=1
execute_host_checks=0
low_service_flap_threshold=5.0
high_service_flap_threshold=20.0
illegal_macro_output_chars=`~$&|'"<>
date_format=iso8601
check_for_updates=0
enable_environment_macros=0
use_syslog=0
"""

BASE_OBJECTS = """
define command {{
  command_name discard
  command_line /bin/true
}}
define timeperiod {{
  timeperiod_name always
  alias always
  sunday 00:00-24:00
  monday 00:00-24:00
  tuesday 00:00-24:00
  wednesday 00:00-24:00
  thursday 00:00-24:00
  friday 00:00-24:00
  saturday 00:00-24:00
}}
define contact {{
  contact_name operator
  host_notifications_enabled 1
  service_notifications_enabled 1
  host_notification_period always
  service_notification_period always
  host_notification_options d,u,r,f,s
  service_notification_options w,u,c,r,f,s
  host_notification_commands discard
  service_notification_commands discard
}}
define host {{
  host_name {host}
  address 127.0.0.1
  max_check_attempts 1
  active_checks_enabled 0
  contacts operator
  notification_period always
  check_period always
}}
"""

PASSIVE_SERVICE = """
define service {{
  host_name {host}
  service_description {name}
  check_command discard
  active_checks_enabled 0
  passive_checks_enabled 1
  max_check_attempts {attempts}
  check_interval 300
  retry_interval 300
  check_period always
  notification_interval 0
  notification_period always
  notification_options w,u,c,r,f,s
  flap_detection_enabled {flap}
  contacts operator
}}
"""


class NagiosServer:
    """Runs from `with`; `objects` is what it watches."""

    def __init__(self, directory: Path, objects: str) -> None:
        self.directory = directory
        user = pwd.getpwuid(os.getuid()).pw_name
        group = grp.getgrgid(os.getgid()).gr_name
        (directory / "objects").mkdir(parents=True)
        (directory / "results").mkdir()
        (directory / "objects" / "all.cfg").write_text(objects)
        (directory / "nagios.cfg").write_text(_MAIN.format(d=directory, user=user, group=group))
        self.process: subprocess.Popen[bytes] | None = None

    def verify(self) -> str:
        """What `nagios -v` prints about the configuration."""
        assert BINARY
        done = subprocess.run(
            [BINARY, "-v", self.directory / "nagios.cfg"], capture_output=True, text=True
        )
        return done.stdout + done.stderr

    def __enter__(self) -> NagiosServer:
        assert BINARY
        output = (self.directory / "stdout").open("wb")
        self.process = subprocess.Popen(
            [BINARY, self.directory / "nagios.cfg"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        self.wait(lambda: (self.directory / "nagios.cmd").exists() and bool(self.status()), 20)
        return self

    def __exit__(self, *exc: object) -> None:
        assert self.process
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def command(self, *lines: str) -> None:
        """Write external commands; the time is put before each."""
        descriptor = os.open(self.directory / "nagios.cmd", os.O_WRONLY)
        try:
            for line in lines:
                os.write(descriptor, f"[{int(time.time())}] {line}\n".encode())
        finally:
            os.close(descriptor)

    def status(self) -> dict[str, dict[str, str]]:
        """Fields of each service, by its description."""
        try:
            text = (self.directory / "status.dat").read_text(errors="replace")
        except FileNotFoundError:
            return {}
        found = {}
        for block in re.findall(r"servicestatus \{\n(.*?)\n\t\}", text, re.DOTALL):
            fields = dict(line.strip().split("=", 1) for line in block.split("\n") if "=" in line)
            found[fields["service_description"]] = fields
        return found

    def notifications(self) -> list[tuple[str, str]]:
        """(service, what) of each so far: `CRITICAL`, `ACKNOWLEDGEMENT (CRITICAL)`, ..."""
        log = (self.directory / "nagios.log").read_text(errors="replace")
        found = re.findall(r"SERVICE NOTIFICATION: [^;]*;[^;]*;([^;]*);([^;]*);", log)
        return [(service, what) for service, what in found]

    def wait(self, ready: Callable[[], bool], seconds: float = 15) -> None:
        """Until something is so.

        Raises:
            TimeoutError: it is not so in time.
        """
        end = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > end:
                raise TimeoutError((self.directory / "nagios.log").read_text()[-2000:])
            time.sleep(0.05)
