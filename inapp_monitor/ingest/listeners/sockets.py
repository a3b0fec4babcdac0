"""Bound sockets for addresses: nothing of what they carry.

A Unix socket's file is removed before only when nobody answers there: it was left by a process that
is dead. It is removed at the end by the process that made it.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

from inapp_monitor.ingest.addresses import Address
from inapp_monitor.ingest.listeners.streams import BACKLOG

_OTHER = {socket.SOCK_STREAM: socket.SOCK_DGRAM, socket.SOCK_DGRAM: socket.SOCK_STREAM}


def bound(address: Address) -> socket.socket:
    """A socket at an address: bound, not blocking, listening where clients connect.

    Raises:
        OSError: the address is taken, its directory is missing, or we may not.
    """
    is_stream = address.transport in ("tcp", "unixstream")
    family = socket.AF_UNIX if address.path else _family_of(address.host)
    made = socket.socket(family, socket.SOCK_STREAM if is_stream else socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        if address.path:
            _bind_path(made, address)
        else:
            if is_stream:  # not for datagrams: there it would let two receive at one port
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((address.host, address.port))
        if is_stream:
            made.listen(BACKLOG)
    except BaseException:
        made.close()
        raise
    return made


def _family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _bind_path(made: socket.socket, address: Address) -> None:
    _remove_if_dead(address.path, made.type)
    made.bind(address.path)  # the umask is the whole process's, and stays as it is
    os.chmod(address.path, address.mode)  # noqa: PTH101  # a string, as everywhere here


def _remove_if_dead(path: str, kind: socket.SocketKind) -> None:
    """Remove what a dead process has left.

    Raises:
        OSError: somebody lives there, or it is no socket.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "there is a file that is no socket", path)
    for each in (kind, _OTHER[kind]):
        with socket.socket(socket.AF_UNIX, each) as probe:
            probe.setblocking(False)
            try:
                probe.connect(path)
            except ConnectionRefusedError:
                Path(path).unlink(missing_ok=True)
                return
            except OSError as error:
                if error.errno == errno.EPROTOTYPE:  # a socket of the other type
                    continue
        break
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), path)


def identity(path: str) -> tuple[int, int] | None:
    """What tells the file at a path from another one there later."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def remove_own(path: str, made: tuple[int, int] | None) -> None:
    """Remove the file that this process has made, unless another one stands there by now."""
    if made is not None and identity(path) == made:
        Path(path).unlink(missing_ok=True)
