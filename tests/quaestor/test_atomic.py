"""Whole writes with the first, second, … n-th step of I/O failing: whole or absent, and fine the next time."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from quaestor.atomic import write_file, write_folder
from quaestor.disk import Disk, written_to
from quaestor.errors import DiskError

NEW, OLD = b"new content" * 1000, b"old content"
FOLDER = {"one": b"1" * 5000, "two": b"2", "empty": b""}


class Plug(BaseException):
    """Pulled: nothing that unwinds it may touch the disk."""


class FailingDisk(Disk):
    """Fails at one step, counted from 1; `pulled`: and takes nothing after it, as when the process is killed."""

    def __init__(self, failing: int, pulled: bool) -> None:
        self.failing, self.pulled, self.steps = failing, pulled, 0

    def _step(self) -> None:
        self.steps += 1
        if self.pulled and self.steps >= self.failing:
            raise Plug
        if self.steps == self.failing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def create(self, path: Path) -> int:
        self._step()
        return super().create(path)

    def write(self, descriptor: int, content: memoryview) -> int:
        self._step()
        return super().write(descriptor, content[: len(content) // 2 + 1])  # a disk need not take all at once

    def sync(self, descriptor: int) -> None:
        self._step()
        super().sync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        self._step()
        super().rename(source, target)

    def make_folder(self, path: Path) -> None:
        self._step()
        super().make_folder(path)

    def sync_folder(self, path: Path) -> None:
        self._step()
        super().sync_folder(path)

    def remove(self, path: Path) -> None:
        self._step()
        super().remove(path)


def _each_step(folder: Path, pulled: bool, work: Callable[[Path], None], check: Callable[[Path, bool], None]) -> int:
    """Fails each step in turn in a fresh folder, checks, does the work again without failure and checks again; returns
    how many steps there are."""
    for failing in range(1, 200):
        place = folder / f"{failing}"
        place.mkdir()
        disk = FailingDisk(failing, pulled)
        try:
            with written_to(disk):
                work(place)
        except (Plug, DiskError):
            check(place, False)
            if not pulled and failing < disk.steps:
                assert list(place.rglob(".*")) == []  # nothing is left lying about
        work(place)
        check(place, True)
        if disk.steps < failing:
            return failing - 1
    raise AssertionError("it never ended")


@pytest.mark.parametrize("pulled", [True, False], ids=["pulled", "disk full"])
@pytest.mark.parametrize("there", [True, False], ids=["replaced", "new"])
def test_a_file_is_old_or_new_whatever_step_fails(tmp_path: Path, pulled: bool, there: bool) -> None:
    def work(place: Path) -> None:
        path = place / "deep" / "er" / "file"
        if there and not path.exists():
            path.parent.mkdir(parents=True)
            path.write_bytes(OLD)
        write_file(path, NEW)

    def check(place: Path, done: bool) -> None:
        path = place / "deep" / "er" / "file"
        found = path.read_bytes() if path.exists() else None
        assert found == NEW if done else found in (NEW, OLD if there else None)

    assert _each_step(tmp_path, pulled, work, check) > 10


@pytest.mark.parametrize("pulled", [True, False], ids=["pulled", "disk full"])
def test_a_folder_is_whole_or_absent_whatever_step_fails(tmp_path: Path, pulled: bool) -> None:
    def check(place: Path, done: bool) -> None:
        path = place / "sub" / "folder"
        assert path.exists() or not done
        if path.exists():
            assert {each.name: each.read_bytes() for each in path.iterdir()} == FOLDER

    assert _each_step(tmp_path, pulled, lambda place: write_folder(place / "sub" / "folder", FOLDER), check) > 12


def test_what_a_full_disk_means_is_said(tmp_path: Path) -> None:
    with pytest.raises(DiskError) as caught, written_to(FailingDisk(2, pulled=False)):
        write_file(tmp_path / "file", NEW)
    assert caught.value.exit_code == 1
    assert caught.value.errno == errno.ENOSPC
    assert "file cannot be written: No space left on device. What was there before is whole" in str(caught.value)


def test_everybody_may_read_what_was_written(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_file(tmp_path / "file", NEW)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


def test_a_folder_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    write_folder(tmp_path / "folder", FOLDER)
    write_folder(tmp_path / "folder", {"other": b""})
    assert {path.name for path in (tmp_path / "folder").iterdir()} == set(FOLDER)
