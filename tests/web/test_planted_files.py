"""Secrets that another user put into the data directory: refused, also by root, with the remedy."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from werkzeug.test import Client

from inapp_monitor.ground import config
from inapp_monitor.ground.guard import Guard
from inapp_monitor.web.access import login_token, shared_state
from inapp_monitor.web.app import WebApp
from tests.web.stored_backend import stored_backend

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")

STRANGER = 65_533
PLANTED = "planted-by-a-stranger"


def strangers_file(directory: Path) -> None:
    """A file of the stranger's, in a directory of the owner's."""
    os.chown(directory / login_token.FILE_NAME, STRANGER, STRANGER)


def strangers_directory(directory: Path) -> None:
    """File and directory are the stranger's."""
    strangers_file(directory)
    os.chown(directory, STRANGER, STRANGER)


def sticky_directory(directory: Path) -> None:
    """As /tmp, but of a stranger, who may replace what is in it."""
    directory.chmod(0o1777)
    os.chown(directory, STRANGER, STRANGER)


def open_directory(directory: Path) -> None:
    """Everybody may replace what is in it."""
    directory.chmod(0o777)


def plant(directory: Path, name: str, text: str) -> Path:
    """A private file, of the owner's so far."""
    path = directory / name
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    "arrange", [strangers_file, strangers_directory, sticky_directory, open_directory]
)
def test_a_planted_token_opens_nothing(
    arrange: Callable[[Path], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The process makes a token for itself, shows its link, and the fault has the remedy."""
    plant(tmp_path, login_token.FILE_NAME, PLANTED)
    arrange(tmp_path)
    backend = stored_backend(tmp_path, token=None)
    client = Client(WebApp(backend))
    headers = {"Authorization": f"Bearer {PLANTED}"}
    assert client.get("/status", headers=headers).status_code == 401
    told = backend.guard.faults["token file"].last
    assert "remove it" in told or "chmod 700" in told
    link = capsys.readouterr().err.partition("?token=")[2].split()[0]
    assert client.get(f"/?token={link}").status_code == 303
    assert "token file" in client.get("/status").text


def test_an_own_token_is_believed_in_a_directory_of_another_user(tmp_path: Path) -> None:
    """A container's root in a directory that belongs to the developer outside."""
    os.chown(tmp_path, STRANGER, STRANGER)
    settings = config.load({"data_dir": tmp_path}, environ={}).settings
    guard = Guard()
    made = login_token.obtain(settings, guard)
    assert made.source == "file"
    assert login_token.obtain(settings, guard) == made
    shared_state.SharedState(tmp_path, guard).change(lambda state: state.end("a", 5, 1.0))
    assert "a" in shared_state.SharedState(tmp_path, guard).read().ended
    assert not guard.faults


def test_a_sticky_directory_of_root_is_as_good_as_tmp(tmp_path: Path) -> None:
    """Nobody but the owner of a file there can replace it."""
    tmp_path.chmod(0o1777)
    settings = config.load({"data_dir": tmp_path}, environ={}).settings
    first = login_token.obtain(settings, Guard())
    assert login_token.obtain(settings, Guard()) == first._replace(newly_made=True)


def test_a_planted_key_signs_no_form(tmp_path: Path) -> None:
    """The key of forms where an authorizer decides."""
    path = plant(tmp_path, login_token.KEY_NAME, PLANTED)
    os.chown(path, STRANGER, STRANGER)
    settings = config.load({"data_dir": tmp_path}, environ={}).settings
    guard = Guard()
    assert login_token.form_key(settings, guard, may_write=True) != PLANTED
    assert "remove it" in guard.faults["form key"].last


def test_a_planted_list_of_guesses_is_not_read(tmp_path: Path) -> None:
    """It could keep everybody out; it is replaced at the next change."""
    state = shared_state.State(ended_until=2**40)
    path = plant(tmp_path, shared_state.FILE_NAME, state.to_bytes().decode())
    os.chown(path, STRANGER, STRANGER)
    guard = Guard()
    shared = shared_state.SharedState(tmp_path, guard)
    assert shared.read() == shared_state.State()
    assert "remove it" in guard.faults["access file"].last
    shared.change(lambda state: state.end("a", 5, 1.0))
    assert path.stat().st_uid == os.geteuid()
    assert not guard.faults
