"""Short messages from one process of a data directory to another, and the replies.

A message is a small file in `DATA_DIR/questions`, addressed by the token of the other process
(`ground.process.identity`: in two containers two have the same id). That process looks there once
a tick, removes what is addressed to it and leaves a reply beside it, which the sender fetches.
Files are written under another name and renamed, so nobody reads half of one; what nobody received
is removed when the next message is sent. It must not know what the messages mean.

Looking costs one `listdir`, of a directory that is empty or not there.
"""

from __future__ import annotations

import os
from pathlib import Path

from inapp_monitor.ground import data_directory, private_files
from inapp_monitor.ground.process import identity

FOLDER = "questions"
#: Messages received in one look; the others wait for the next.
MAX_RECEIVED_AT_ONCE = 8
MAX_MESSAGE_BYTES = 1_000
MAX_REPLY_BYTES = 256 * 1024
#: Seconds after which nobody waits for a file any more.
MAX_AGE_S = 60.0


class Mailbox:
    """The messages of one data directory.

    *Threads:* any; there is no state but the files.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._folder = data_dir / FOLDER

    def send(self, token: str, text: str, now: float) -> str:
        """Leave a message for a process. Returns the name under which its reply will be.

        Raises:
            OSError: it cannot be written.
        """
        data_directory.prepare(self._data_dir)
        private_files.make_directory(self._folder)
        self._remove_old(now)
        name = f"{token}-{os.urandom(8).hex()}"
        data = text.encode()[:MAX_MESSAGE_BYTES]
        private_files.replace(self._folder / f"{name}.ask", data)
        return name

    def receive(self) -> list[tuple[str, str]]:
        """The messages for this process: name and text. Each is received once.

        Raises:
            OSError: the directory is there and cannot be read.
        """
        try:
            found = [path.name for path in self._folder.iterdir()]
        except FileNotFoundError:
            return []
        mine = f"{identity.current().token}-"
        names = [name for name in found if name.startswith(mine) and name.endswith(".ask")]
        received = []
        for name in sorted(names)[:MAX_RECEIVED_AT_ONCE]:
            try:
                data = private_files.read(self._folder / name, MAX_MESSAGE_BYTES)
            except OSError:
                continue  # removed meanwhile, or no message: it goes with the old ones
            if self._remove(name):
                received.append((name.removesuffix(".ask"), data.decode("utf-8", "replace")))
        return received

    def reply(self, name: str, text: str) -> None:
        """Reply to a received message.

        Raises:
            OSError: it cannot be written.
            ValueError: the reply is longer than what is read.
        """
        data = text.encode()
        if len(data) > MAX_REPLY_BYTES:
            raise ValueError(f"a reply of {len(data)} bytes, at most {MAX_REPLY_BYTES} are read")
        private_files.replace(self._folder / f"{name}.answer", data)

    def fetch_reply(self, name: str) -> str | None:
        """The reply, which is removed; None while there is none."""
        try:
            data = private_files.read(self._folder / f"{name}.answer", MAX_REPLY_BYTES)
        except OSError:
            return None
        self._remove(f"{name}.answer")
        return data.decode("utf-8", "replace")

    def withdraw(self, name: str) -> None:
        """Nobody waits for the reply any more."""
        self._remove(f"{name}.ask")
        self._remove(f"{name}.answer")

    def _remove(self, name: str) -> bool:
        try:
            (self._folder / name).unlink()
        except OSError:
            return False
        return True

    def _remove_old(self, now: float) -> None:
        for entry in os.scandir(self._folder):
            try:
                if now - entry.stat(follow_symlinks=False).st_mtime > MAX_AGE_S:
                    self._remove(entry.name)
            except OSError:
                continue  # removed meanwhile
