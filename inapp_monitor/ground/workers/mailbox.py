"""Short questions from one process of a data directory to another, by its pid, and the answers.

A question is a small file in `DATA_DIR/questions`; the other process looks there once a tick, takes
what is for it and leaves an answer beside it, which the asker takes away. Files are written under
another name and renamed, so nobody reads half of one; what nobody took is removed by whoever asks
next. It must not know what is asked.

Looking costs one `listdir`, of a directory that is empty or not there.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from inapp_monitor.ground import data_directory, private_files

FOLDER = "questions"
#: Questions answered in one look; the others wait for the next.
AT_ONCE = 8
MAX_QUESTION_BYTES = 1_000
MAX_ANSWER_BYTES = 256 * 1024
#: Seconds after which a file belongs to nobody any more.
FORGOTTEN_AFTER_S = 60.0


class Questions:
    """The questions of one data directory.

    *Threads:* any; there is no state but the files.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._folder = data_dir / FOLDER

    def ask(self, pid: int, question: str, now: float) -> str:
        """Leave a question for a process. Returns the name under which the answer will be.

        Raises:
            OSError: it cannot be written.
        """
        data_directory.prepare(self._data_dir)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._forget_old(now)
        name = f"{pid}-{secrets.token_hex(8)}"
        text = question.encode()[:MAX_QUESTION_BYTES]
        private_files.replace(self._folder / f"{name}.ask", text)
        return name

    def take(self) -> list[tuple[str, str]]:
        """The questions for this process: name and text. Each is taken once.

        Raises:
            OSError: the directory is there and cannot be read.
        """
        try:
            found = [path.name for path in self._folder.iterdir()]
        except FileNotFoundError:
            return []
        mine = f"{os.getpid()}-"
        names = [name for name in found if name.startswith(mine) and name.endswith(".ask")]
        taken = []
        for name in sorted(names)[:AT_ONCE]:
            data = private_files.read(self._folder / name, MAX_QUESTION_BYTES)
            if self._remove(name):
                taken.append((name.removesuffix(".ask"), data.decode("utf-8", "replace")))
        return taken

    def answer(self, name: str, text: str) -> None:
        """Answer a taken question.

        Raises:
            OSError: it cannot be written.
            ValueError: the answer is longer than what is read.
        """
        data = text.encode()
        if len(data) > MAX_ANSWER_BYTES:
            raise ValueError(f"an answer of {len(data)} bytes, at most {MAX_ANSWER_BYTES} are read")
        private_files.replace(self._folder / f"{name}.answer", data)

    def answered(self, name: str) -> str | None:
        """The answer, taken away; None while there is none."""
        try:
            data = private_files.read(self._folder / f"{name}.answer", MAX_ANSWER_BYTES)
        except OSError:
            return None
        self._remove(f"{name}.answer")
        return data.decode("utf-8", "replace")

    def withdraw(self, name: str) -> None:
        """Nobody waits for the answer any more."""
        self._remove(f"{name}.ask")
        self._remove(f"{name}.answer")

    def _remove(self, name: str) -> bool:
        try:
            (self._folder / name).unlink()
        except OSError:
            return False
        return True

    def _forget_old(self, now: float) -> None:
        for entry in os.scandir(self._folder):
            try:
                if now - entry.stat(follow_symlinks=False).st_mtime > FORGOTTEN_AFTER_S:
                    self._remove(entry.name)
            except OSError:
                continue  # its asker was faster
