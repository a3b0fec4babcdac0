"""The token that opens the dashboard: given as a setting, or made once and kept in a private file.

It must stay free of werkzeug: the monitor calls `obtain` and `announce` when it attaches, long
before anybody visits the dashboard.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from inapp_monitor import datadir
from inapp_monitor.config import Settings
from inapp_monitor.guard import Guard, logger

#: Name of the file inside the data directory.
FILE_NAME = "token"
_LEGAL = re.compile(r"[!-~]{8,512}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9.\-:\[\]]{1,255}", re.ASCII)
#: Tokens of processes that could write no file, by directory, so that asking twice gives the same.
_unsaved: dict[str, str] = {}


class LoginToken(NamedTuple):
    """The token of one dashboard.

    Attributes:
        value: The secret, never empty.
        source: `setting`, `file` or `memory` (the directory could not be written).
        newly_made: True for the one process that made it: that one tells people.
        path: The file that holds it, or None.
    """

    value: str
    source: str
    newly_made: bool
    path: Path | None


def obtain(settings: Settings, guard: Guard) -> LoginToken:
    """The token of this data directory; made, 0600, when there is none. Never raises.

    *Threads and processes:* of several first starts at once one makes the file, all read it.
    """
    if settings.token:
        return LoginToken(settings.token, "setting", False, None)
    path = settings.data_dir / FILE_NAME
    try:
        found = _read(path)
        if found is not None:
            return LoginToken(found, "file", False, path)
        datadir.prepare(settings.data_dir)
        made, newly_made = _make(path)
        return LoginToken(made, "file", newly_made, path)
    except (OSError, ValueError) as error:
        guard.failed("token file", error)
        key = str(settings.data_dir)
        newly_made = key not in _unsaved
        return LoginToken(
            _unsaved.setdefault(key, secrets.token_urlsafe(32)), "memory", newly_made, None
        )


def announce(token: LoginToken, root_url: str) -> None:
    """Tell the people at the terminal, once, where the dashboard is; silent for a known token."""
    if not token.newly_made:
        return
    kept = f"; the token is kept in {token.path}" if token.path else ""
    message = f"inapp-monitor: open the dashboard at {root_url}?token={token.value}{kept}"
    logger.info("%s", message)
    try:
        sys.stderr.write(message + "\n")
    except (OSError, ValueError, AttributeError):  # no usable stderr: a daemon, a closed terminal
        pass


def root_url(environ: Mapping[str, Any], mount: str) -> str:
    """The dashboard's address as the server knows it.

    The Host header is left aside on purpose: whoever sends the first request would choose the
    host that the printed link, with the token in it, points to.
    """
    name = str(environ.get("SERVER_NAME") or "localhost")
    if name in ("0.0.0.0", "::", "") or not _HOST.fullmatch(name):  # noqa: S104  # compared only
        name = "127.0.0.1"
    if ":" in name and not name.startswith("["):
        name = f"[{name}]"
    scheme = "https" if environ.get("wsgi.url_scheme") == "https" else "http"
    port = str(environ.get("SERVER_PORT") or "")
    standard = {"http": "80", "https": "443"}[scheme]
    suffix = f":{port}" if port.isdigit() and port not in (standard, "0") else ""
    return f"{scheme}://{name}{suffix}{mount}/"


def _read(path: Path) -> str | None:
    """The token in a file that is ours alone, or None when there is no file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise PermissionError(13, "token is no regular file", str(path))
        if status.st_mode & 0o077:
            raise PermissionError(13, "token file is open to other users: chmod 600", str(path))
        text = os.read(descriptor, 1024).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)
    if not _LEGAL.fullmatch(text):
        raise ValueError(f"{path} must hold 8 to 512 printable characters; delete it for a new one")
    return text


def _make(path: Path) -> tuple[str, bool]:
    """Write a new token; when another process was faster, its token. `link` cannot overwrite."""
    value = secrets.token_urlsafe(32)
    draft = path.with_name(f".{FILE_NAME}-{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, value.encode("ascii") + b"\n")
    finally:
        os.close(descriptor)
    try:
        os.link(draft, path)
    except FileExistsError:
        return _read(path) or value, False
    finally:
        draft.unlink(missing_ok=True)
    return value, True
