"""The command line says what is wrong in one line, and never waits for what does not come."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "inapp_monitor"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    command = [*COMMAND, *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30
    )


def test_a_taken_port_is_told_in_one_line(tmp_path: Path) -> None:
    """Without traceback and advice, status 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("serve", str(tmp_path), "--port", port)
    line = f"inapp-monitor: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    """As with `fetch ... | head -1`: silence."""
    targets = [f"constantLine({number})" for number in range(20)]
    command = [*COMMAND, "fetch", str(tmp_path), *targets, "--from", "-7d", "--format", "csv"]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, check=False, timeout=30
        )
    finally:
        os.close(writer)
    assert (done.stderr, done.returncode) == (b"", 141)


def test_info_reads_files_only(tmp_path: Path) -> None:
    """A pipe without a writer and a directory are refused at once."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        done = run("info", str(path))
        line = f"inapp-monitor: {path} is no regular file\n"
        assert (done.returncode, done.stderr) == (2, line)


@pytest.mark.parametrize(
    "arguments",
    [
        ("fetch",),
        ("fetch", "/nonexistent", "x"),
        ("fetch", "/tmp", "x", "--no-such-option"),
        ("serve", "/tmp", "--port", "no"),
        ("serve", "/tmp", "--host", "host.invalid", "--port", "0"),
        ("serve", "/tmp", "--host", "x" * 70, "--port", "0"),
        ("errors", "/tmp", "do-something"),
        ("no-such-command",),
        ("--no-such-option",),
        ("info", "/nonexistent"),
    ],
    ids=" ".join,
)
def test_wrong_arguments_are_told_in_one_line(arguments: tuple[str, ...]) -> None:
    """Status 2, nothing on stdout."""
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("inapp-monitor: ")
    assert done.stderr.count("\n") == 1


def test_no_arguments_at_all_show_the_help() -> None:
    """All commands are named."""
    done = run()
    assert "serve" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
