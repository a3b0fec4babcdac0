"""Debian's Apache with mod_wsgi: whether it can run here, and its configuration for a test."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PROGRAM = "apache2"
MODULES = Path("/usr/lib/apache2/modules")
#: Daemon processes in a sub-interpreter and in the main one; and within Apache's own processes.
KINDS = {
    "mod_wsgi daemon": "WSGIDaemonProcess site processes=2 threads=3 python-path={paths}\n"
    "WSGIProcessGroup site",
    "mod_wsgi daemon global": "WSGIDaemonProcess site processes=2 threads=3 python-path={paths}\n"
    "WSGIProcessGroup site\nWSGIApplicationGroup %{{GLOBAL}}",
    "mod_wsgi embedded": "WSGIPythonPath {paths}",
}
USER = "www-data"
CONFIG = """
ServerRoot /etc/apache2
LoadModule mpm_prefork_module {modules}/mod_mpm_prefork.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {modules}/mod_wsgi.so
ServerName site
Listen 127.0.0.1:{port}
PidFile "{directory}/apache.pid"
ErrorLog "{directory}/server.log"
WSGISocketPrefix "{directory}/socket"
Mutex posixsem
WSGIPassAuthorization On
LogLevel warn
StartServers 3
MinSpareServers 3
MaxRequestWorkers 6
WSGIScriptAlias / "{script}"
<Directory "{folder}">
Require all granted
</Directory>
"""


def missing() -> str:
    """Why it cannot run here; empty when it can."""
    if shutil.which(PROGRAM) is None or not (MODULES / "mod_wsgi.so").exists():
        return "apache2 with mod_wsgi is not installed"
    linked = subprocess.run(["ldd", MODULES / "mod_wsgi.so"], capture_output=True, text=True)
    found = re.search(r"libpython(\d+\.\d+)", linked.stdout)
    ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if found is None or found[1] != ours:
        return f"mod_wsgi is not for Python {ours}"
    return ""


def write_config(kind: str, directory: Path, port: int, paths: Sequence[str]) -> None:
    """Write `apache.conf`. As root, Apache's children are another user: give them the directory."""
    script = Path(__file__).with_name("served_site.py")
    text = CONFIG.format(
        modules=MODULES, port=port, directory=directory, script=script, folder=script.parent
    )
    text += KINDS[kind].format(paths=":".join(paths)) + "\n"
    if os.geteuid() == 0:
        text += f"User {USER}\nGroup {USER}\n"
        user = pwd.getpwnam(USER)
        os.chown(directory, user.pw_uid, user.pw_gid)
    (directory / "apache.conf").write_text(text)
