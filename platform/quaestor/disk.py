"""The steps on a disk that whole writes are made of; a simulation puts a disk of its own in their place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path


class Disk:
    """The machine's own disk. Every step raises OSError where it fails, and none is more than one system call."""

    def create(self, path: Path) -> int:
        """A new file, open for writing, that everybody may read: a service, a console."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.fchmod(descriptor, 0o644)
        return descriptor

    def write(self, descriptor: int, content: memoryview) -> int:
        """Writes as much as the disk takes at once; returns how many bytes."""
        return os.write(descriptor, content)

    def sync(self, descriptor: int) -> None:
        """Waits until a file's content is on the disk."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Lets go of a file."""
        os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Gives a file or folder another name; a file that has it already is replaced."""
        os.rename(source, target)

    def make_folder(self, path: Path) -> None:
        """Makes a folder; raises FileExistsError where it is there."""
        path.mkdir()

    def sync_folder(self, path: Path) -> None:
        """Waits until the names in a folder are on the disk."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remove(self, path: Path) -> None:
        """Removes what an interrupted write left, a file or a folder, as far as it goes."""
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


_OWN = Disk()
_DISK: ContextVar[Disk | None] = ContextVar("disk", default=None)


def disk() -> Disk:
    """The disk that is written to here."""
    return _DISK.get() or _OWN


@contextmanager
def written_to(other: Disk) -> Iterator[None]:
    """Inside, whole writes go to another disk."""
    reset = _DISK.set(other)
    try:
        yield
    finally:
        _DISK.reset(reset)
