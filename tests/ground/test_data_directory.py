"""The data directory is private, ignored by git, and refused when others could write into it."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from inapp_monitor.ground import data_directory


def test_it_is_made_private_with_a_gitignore(tmp_path: Path) -> None:
    """0700, parents included, and `*` in `.gitignore`."""
    directory = tmp_path / "a" / "data"
    data_directory.prepare(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert (directory / ".gitignore").read_text().endswith("*\n")


@pytest.mark.parametrize("there", [None, ""])
def test_an_existing_directory_gets_a_gitignore(tmp_path: Path, there: str | None) -> None:
    """Where it is missing, or a full disk left an empty one; the mode stays."""
    tmp_path.chmod(0o750)
    if there is not None:
        (tmp_path / ".gitignore").write_text(there)
    data_directory.prepare(tmp_path)
    assert (tmp_path / ".gitignore").read_text().endswith("*\n")
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o750


def test_what_people_wrote_into_gitignore_stays(tmp_path: Path) -> None:
    """Also a link is not followed, and the top of a repository is not hidden from git."""
    (tmp_path / ".gitignore").write_text("mine\n")
    data_directory.prepare(tmp_path)
    assert (tmp_path / ".gitignore").read_text() == "mine\n"
    linked, repository = tmp_path / "linked", tmp_path / "repository"
    linked.mkdir()
    (linked / ".gitignore").symlink_to(tmp_path / "elsewhere")
    data_directory.prepare(linked)
    assert not (tmp_path / "elsewhere").exists()
    (repository / ".git").mkdir(parents=True)
    data_directory.prepare(repository)
    assert not (repository / ".gitignore").exists()


def test_a_full_disk_costs_only_the_gitignore(tmp_path: Path) -> None:
    """It is written when the disk is back; the limit is the kernel's own."""
    data_dir = tmp_path / "data"
    script = f"""
import pathlib, resource, signal
from inapp_monitor.ground import data_directory
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
data_dir = pathlib.Path({str(data_dir)!r})
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
data_directory.prepare(data_dir)
assert list(data_dir.iterdir()) == []
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
data_directory.prepare(data_dir)
assert (data_dir / ".gitignore").stat().st_size > 0
"""
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", script], cwd=root, check=True, timeout=60)


@pytest.mark.parametrize(
    ("mode", "told"), [(0o700, ""), (0o750, "look into"), (0o705, "look into"), (0o770, "change")]
)
def test_a_directory_that_others_may_enter_is_told(tmp_path: Path, mode: int, told: str) -> None:
    """With what to do about it."""
    tmp_path.chmod(mode)
    text = data_directory.exposure(tmp_path)
    assert bool(text) == bool(told)
    assert told in text
    assert not text or f"chmod 700 {tmp_path}" in text


def test_a_directory_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    """Somebody else could plant files there."""
    tmp_path.chmod(0o777)
    with pytest.raises(PermissionError, match="writable by everybody"):
        data_directory.prepare(tmp_path)


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    """With an OSError, as any other trouble with the disk."""
    file = tmp_path / "data"
    file.write_text("")
    with pytest.raises(NotADirectoryError):
        data_directory.prepare(file)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("made_by_root", [True, False])
def test_a_directory_of_somebody_else_is_refused_with_a_remedy(made_by_root: bool) -> None:
    """An application that runs as another user than the one who made the directory is told."""
    with tempfile.TemporaryDirectory() as parent:
        data_dir = Path(parent) / "data"
        if made_by_root:
            Path(parent).chmod(0o755)
            data_directory.prepare(data_dir)
        os.seteuid(65534)
        try:
            with pytest.raises(OSError, match=r"user id 65534 cannot .*INAPP_MONITOR_DATA_DIR"):
                data_directory.prepare(data_dir)
        finally:
            os.seteuid(0)
