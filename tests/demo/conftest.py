"""What the demo's journeys share: real processes, started and ended."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TOKEN = "demo-journey-token-1"
PATIENCE_S = 60.0


def until(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """Wait for a condition of another process; its first true value."""
    pause = threading.Event()
    for _ in range(int(patience_s / 0.1)):
        value = condition()
        if value:
            return value
        pause.wait(0.1)
    raise AssertionError(f"waited {patience_s} s for {what}")


def fetch(url: str) -> bytes:
    """The body of a page of a server of ours; the token is sent along."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        body: bytes = answer.read()
        return body


def total(url: str, target: str) -> float:
    """Sum of all points of a target in the last five minutes."""
    answer = json.loads(fetch(f"{url}/_metrics/render?target={target}&from=-5min&format=json"))
    return sum(value or 0 for series in answer for value, _ in series["datapoints"])


class Process:
    """A Python module run in a process of its own, its output read line by line as it comes."""

    def __init__(self, *arguments: str, **environ: str) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "INAPP_MONITOR_TOKEN": TOKEN, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._output: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        self._output.extend(iter(self.popen.stdout.readline, ""))

    @property
    def output(self) -> str:
        return "".join(self._output)

    def line(self, pattern: str) -> re.Match[str]:
        """Wait for a line of the output."""

        def look() -> re.Match[str] | bool | None:
            found = re.search(pattern, self.output)
            if found is None and self.popen.poll() is not None and not self._reader.is_alive():
                raise AssertionError(f"ended without {pattern!r}:\n{self.output}")
            return found

        match: re.Match[str] = until(look, f"{pattern!r} in:\n{self.output}")
        return match

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; the exit code."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        try:
            code = self.popen.wait(PATIENCE_S)
        finally:
            if self.popen.poll() is None:
                self.popen.kill()
                self.popen.wait()
        self._reader.join(PATIENCE_S)
        if self.popen.stdout is not None:
            self.popen.stdout.close()
        return code


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    """Starts processes and ends what is left of them."""
    started: list[Process] = []

    def begin(*arguments: str, **environ: str) -> Process:
        started.append(Process(*arguments, **environ))
        return started[-1]

    yield begin
    for process in started:
        process.end()
