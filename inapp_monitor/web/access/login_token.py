"""The token that opens the dashboard: given as a setting, or made once and kept in a private file.

Beside it the key that signs forms where an authorizer decides and no token opens anything.

It must stay free of werkzeug: the monitor calls `obtain` and `announce` when it attaches, long
before anybody visits the dashboard.
"""

from __future__ import annotations

import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from inapp_monitor.ground import data_directory, private_files
from inapp_monitor.ground.config import Settings
from inapp_monitor.ground.guard import Guard, logger
from inapp_monitor.ground.visible_text import visible_line

#: Name of the file inside the data directory.
FILE_NAME = "token"
#: The file of the key for forms: made only where an authorizer decides.
KEY_NAME = "form-key"
#: Where the dashboard was last served, for `inapp-monitor open`.
ADDRESS_NAME = "address"
_LEGAL = re.compile(r"[!-~]{8,512}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9.\-:\[\]]{1,255}", re.ASCII)
#: The token that this process could not write, by directory: valid in it until it ends, and the
#: one that is written when the disk is back.
_unsaved: dict[str, str] = {}
#: Tokens that this process made and has shown to nobody yet, and those that it has shown.
_untold: set[str] = set()
_told: set[str] = set()


class LoginToken(NamedTuple):
    """The token of one dashboard.

    Attributes:
        value: The secret, never empty.
        source: `setting`, `file` or `memory` (the directory could not be written).
        newly_made: True in the one process that made it, until it has shown it.
        path: The file that holds it, or None.
        earlier: What this process showed people before another one wrote its own; or empty.
    """

    value: str
    source: str
    newly_made: bool
    path: Path | None
    earlier: str = ""


def obtain(settings: Settings, guard: Guard, *, may_write: bool = True) -> LoginToken:
    """The token of this data directory; made, 0600, when there is none. Never raises.

    Without `may_write` a missing one is made in memory only.

    *Threads and processes:* of several first starts at once one makes the file, all read it.
    """
    if settings.token:
        return LoginToken(settings.token, "setting", False, None)
    directory = str(settings.data_dir)
    path = settings.data_dir / FILE_NAME
    unsaved = _unsaved.get(directory, "")
    try:
        value = _read(path)
        if value is None and not may_write:
            return _in_memory(directory)
        if value is None:
            data_directory.prepare(settings.data_dir)
            value, newly_made = _make(path, unsaved or secrets.token_urlsafe(32))
            if newly_made and value not in _told:
                _untold.add(value)
    except (OSError, ValueError) as error:
        if "token file" not in guard.faults:  # it is tried again: reported once
            guard.failed("token file", error)
        return _in_memory(directory)
    guard.recovered("token file")
    earlier = _overtaken(directory, unsaved, value)
    return LoginToken(value, "file", value in _untold, path, earlier)


def form_key(settings: Settings, guard: Guard, *, may_write: bool) -> str:
    """What signs the forms when an authorizer decides: the same in all workers. It opens nothing.

    Where it cannot be written, a form counts only in the process that made the page.
    """
    if settings.token:
        return settings.token
    path, value = settings.data_dir / KEY_NAME, None
    try:
        value = _read(path)
        if value is None and may_write:
            data_directory.prepare(settings.data_dir)
            value, _ = _make(path, secrets.token_urlsafe(32))
    except (OSError, ValueError) as error:
        guard.failed("form key", error)  # a page and what it sends meet in one process, or do not
    return value or secrets.token_urlsafe(32)


def _in_memory(directory: str) -> LoginToken:
    made = secrets.token_urlsafe(32)
    value = _unsaved.setdefault(directory, made)
    if value == made:
        _untold.add(value)
    return LoginToken(value, "memory", value in _untold, None)


def _overtaken(directory: str, unsaved: str, written: str) -> str:
    """What stays valid beside the file's token: another one that people were shown here."""
    if unsaved in ("", written):
        return ""
    if unsaved in _told:
        if written not in _told:
            _untold.add(written)
        return unsaved
    _untold.discard(unsaved)
    _unsaved.pop(directory, None)
    return ""


def announce(token: LoginToken, root_url: str, *, at_each_start: bool = False) -> None:
    """Tell the people at the terminal, once in a process, where the dashboard is.

    Silent for a token that was there before, unless it is one to show `at_each_start`; one that
    somebody chose as a setting is never shown.
    """
    again = at_each_start and token.source != "setting" and token.value not in _told
    if token.value not in _untold and not again:
        return
    _untold.discard(token.value)
    _told.add(token.value)
    # Apart by a space: a terminal that makes a link of the address takes what touches it along.
    kept = f" (the token is kept in {token.path})" if token.path else ""
    _print(f"inapp-monitor: open the dashboard at {root_url}?token={token.value}{kept}")


def announce_address(root_url: str) -> None:
    """Tell the people at the terminal where the dashboard is, without what opens it."""
    _print(f"inapp-monitor: the dashboard is at {root_url}")


def _print(text: str) -> None:
    message = visible_line(text)
    logger.info("%s", message)
    try:
        sys.stderr.write(message + "\n")
    except (OSError, ValueError, AttributeError):  # no usable stderr: a daemon, a closed terminal
        pass


def keep_address(data_dir: Path, url: str, guard: Guard) -> None:
    """Write down where the dashboard is. Never raises."""
    path, line = data_dir / ADDRESS_NAME, url.encode("ascii", "replace") + b"\n"
    try:
        data_directory.prepare(data_dir)
        if not path.exists() or private_files.read(path, 1024) != line:
            private_files.replace(path, line)
    except OSError as error:
        guard.failed("address file", error)


def kept_address(data_dir: Path) -> str | None:
    """What `keep_address` wrote, or None.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        return private_files.read(data_dir / ADDRESS_NAME, 1024).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return None


def root_url(environ: Mapping[str, Any], mount: str) -> str:
    """The dashboard's address as the server knows it.

    The Host header is left aside on purpose: the sender of the first request would choose the
    host that the printed link, with the token in it, points to.
    """
    name = str(environ.get("SERVER_NAME") or "localhost")
    # Any address of the machine, or none: `waitress.invalid` stands for a name not given.
    nowhere = name in ("0.0.0.0", "::", "") or name.endswith(".invalid")  # noqa: S104  # compared
    if nowhere or not _HOST.fullmatch(name):
        name = "127.0.0.1"
    if ":" in name and not name.startswith("["):
        name = f"[{name}]"
    scheme = "https" if environ.get("wsgi.url_scheme") == "https" else "http"
    port = str(environ.get("SERVER_PORT") or "")
    standard = {"http": "80", "https": "443"}[scheme]
    suffix = f":{port}" if port.isdigit() and port not in (standard, "0") else ""
    return f"{scheme}://{name}{suffix}{mount}/"


def _read(path: Path) -> str | None:
    """The secret in a file that is private to its owner, or None when there is no file."""
    try:
        text = private_files.read_secret(path, 1024).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return None
    if not _LEGAL.fullmatch(text):
        raise ValueError(f"{path} must hold 8 to 512 printable characters; delete it for a new one")
    return text


def _make(path: Path, value: str) -> tuple[str, bool]:
    """Write a secret; when another process was faster, return its own."""
    if private_files.create_once(path, value.encode("ascii") + b"\n"):
        return value, True
    return _read(path) or value, False
