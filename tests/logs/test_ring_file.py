"""The log file: fixed in size, nothing mixed up or lost between workers, the oldest rows go."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inapp_monitor.logs import ring_format
from inapp_monitor.logs.ring_file import FILE_NAME, LogFile
from inapp_monitor.logs.ring_format import BLOCK_BYTES

SIZE = 4 * BLOCK_BYTES


def texts(file: LogFile, after: int = 0) -> list[bytes]:
    """The rows, the oldest first."""
    return [row.data for row in file.rows(after=after)][::-1]


def test_rows_come_back_newest_first_and_again_after_a_restart(tmp_path: Path) -> None:
    """Also from another object, which begins with nothing in mind and appends behind them."""
    assert list(LogFile(tmp_path, SIZE).rows()) == []
    assert LogFile(tmp_path, SIZE).append([b"one", b"two"])
    other = LogFile(tmp_path, SIZE)
    assert other.append([b"three"])
    assert [row.data for row in other.rows()] == [b"three", b"two", b"one"]


def test_the_size_stays_and_the_newest_rows_stay(tmp_path: Path) -> None:
    """After many times its size it holds the latest three quarters at least, without a gap."""
    file = LogFile(tmp_path, SIZE)
    rows = [b"%06d" % number + b"x" * 2_000 for number in range(1_000)]
    for first in range(0, len(rows), 7):
        file.append(rows[first : first + 7])
    assert (tmp_path / FILE_NAME).stat().st_size == SIZE
    kept = texts(file)
    assert kept == rows[-len(kept) :]
    assert len(kept) * 2_014 > SIZE * 0.7
    assert file.oldest()[0] == kept[0]


def test_two_workers_that_take_turns_lose_nothing(tmp_path: Path) -> None:
    """Each finds where the other one ended, across blocks as well."""
    workers = LogFile(tmp_path, SIZE), LogFile(tmp_path, SIZE)
    rows = [b"%04d" % number + b"y" * 900 for number in range(300)]
    for number, row in enumerate(rows):
        workers[number % 3 % 2].append([row])
    assert texts(workers[0]) == rows


def test_who_comes_while_another_writes_is_turned_away(tmp_path: Path) -> None:
    """Nobody waits for the lock."""
    from inapp_monitor.ground.file_lock import LockFile

    lock = LockFile(tmp_path / f"{FILE_NAME}.lock")
    assert lock.acquire()
    assert not LogFile(tmp_path, SIZE).append([b"row"])
    lock.close()
    assert LogFile(tmp_path, SIZE).append([b"row"])


def test_a_cursor_leads_to_what_came_since(tmp_path: Path) -> None:
    """Also when that lies in later blocks."""
    file = LogFile(tmp_path, SIZE)
    file.append([b"a", b"b"])
    cursor = next(file.rows()).cursor
    assert texts(file, cursor) == []
    rows = [b"%03d" % number + b"z" * 3_000 for number in range(60)]
    file.append(rows)
    assert texts(file, cursor) == rows


@pytest.mark.parametrize("place", [3, BLOCK_BYTES // 2, BLOCK_BYTES + 40, 2 * BLOCK_BYTES - 9])
def test_damage_costs_what_is_behind_it_in_its_block(tmp_path: Path, place: int) -> None:
    """No garbage is shown, the other blocks stay, and writing goes on."""
    file = LogFile(tmp_path, SIZE)
    rows = [b"%04d" % number + b"w" * 1_000 for number in range(300)]
    file.append(rows)
    descriptor = os.open(tmp_path / FILE_NAME, os.O_RDWR)
    os.pwrite(descriptor, b"\xff" * 16, place)
    os.close(descriptor)
    left = texts(file)
    assert len(rows) > len(left) > 150
    assert set(left) < set(rows)
    file.append([b"later"])
    assert texts(LogFile(tmp_path, SIZE))[-1] == b"later"


def test_another_size_keeps_the_rows(tmp_path: Path) -> None:
    """A larger budget makes a larger file, whose rows go on where the old ones ended."""
    LogFile(tmp_path, SIZE).append([b"before"])
    larger = LogFile(tmp_path, 2 * SIZE)
    larger.append([b"after"])
    assert texts(larger) == [b"before", b"after"]
    assert (tmp_path / FILE_NAME).stat().st_size == 2 * SIZE


def test_a_full_disk_is_an_error_and_loses_no_row_written_before(tmp_path: Path) -> None:
    """What was there is there, and the next call writes behind it."""
    full = Path("/dev/full")
    file = LogFile(tmp_path, SIZE)
    file.append([b"before"])
    (tmp_path / FILE_NAME).rename(tmp_path / "aside")
    (tmp_path / FILE_NAME).symlink_to(full)
    with pytest.raises(OSError, match="not a regular file"):
        file.append([b"refused"])
    (tmp_path / FILE_NAME).unlink()
    (tmp_path / "aside").rename(tmp_path / FILE_NAME)
    file.append([b"after"])
    assert texts(file) == [b"before", b"after"]


@settings(max_examples=30)
@given(st.lists(st.binary(min_size=1, max_size=5_000), max_size=60), st.integers(1, 2**33))
def test_frames_of_a_block_come_back(rows: list[bytes], number: int) -> None:
    """Whatever is in them; of a block that is cut off, those that are whole."""
    framed = [ring_format.frame(number, row) for row in rows]
    block = ring_format.header(number) + b"".join(framed)
    assert [row for _, row in ring_format.frames(block)] == rows
    assert [row for _, row in ring_format.frames(block[:-1])] == rows[:-1]
    assert not list(ring_format.frames(ring_format.header(number + 1) + b"".join(framed)))
