"""The data directory is private, ignored by git, and refused when others could write into it."""

import stat
from pathlib import Path

import pytest

from inapp_monitor import datadir


def test_it_is_made_private_with_a_gitignore(tmp_path: Path) -> None:
    """0700, parents included, and `*` in `.gitignore`."""
    directory = tmp_path / "a" / "data"
    datadir.prepare(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert (directory / ".gitignore").read_text().endswith("*\n")


def test_an_existing_directory_is_left_as_it_is(tmp_path: Path) -> None:
    """No file is written into it."""
    datadir.prepare(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    """Somebody else could plant files there."""
    tmp_path.chmod(0o777)
    with pytest.raises(PermissionError, match="writable for everybody"):
        datadir.prepare(tmp_path)


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    """With an OSError, as any other trouble with the disk."""
    file = tmp_path / "data"
    file.write_text("")
    with pytest.raises(NotADirectoryError):
        datadir.prepare(file)
