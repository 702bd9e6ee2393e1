"""Writes that are whole or absent, whatever interrupts them: a temporary name, sync, rename, sync of the folder."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from quaestor.disk import Disk, disk
from quaestor.errors import DiskError


def write_file(path: Path, content: bytes, by_way_of: Path | None = None) -> None:
    """Writes a file so that a reader sees the old content or the new, never a part; it has lasted when this returns.

    by_way_of: where the temporary file lies, for a folder that may hold no other file even after a power loss; a folder
    of the same disk. Raises DiskError where the disk does not take it.
    """
    on = disk()
    with _told(path):
        _make_folders(on, path.parent)
        temporary = _temporary((by_way_of or path.parent) / path.name)
        try:
            _write(on, temporary, content)
            on.rename(temporary, path)
        except BaseException:
            on.remove(temporary)
            raise
        on.sync_folder(path.parent)


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Writes a folder of files under its final name only when all are on disk; leaves one that is there as it is.

    Raises DiskError where the disk does not take it.
    """
    on = disk()
    with _told(path):
        if not path.exists():
            _make_folders(on, path.parent)
            temporary = _temporary(path)
            try:
                on.make_folder(temporary)
                for name, content in files.items():
                    _write(on, temporary / name, content)
                on.sync_folder(temporary)
                _rename_unless_there(on, temporary, path)
            finally:
                on.remove(temporary)
        on.sync_folder(path.parent)  # also of another process's folder: what is built on it must not outlast it


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DiskError(error.errno, error.strerror, str(path)) from error


def _write(on: Disk, path: Path, content: bytes) -> None:
    descriptor = on.create(path)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[on.write(descriptor, rest) :]
        on.sync(descriptor)
    finally:
        on.close(descriptor)


def _rename_unless_there(on: Disk, temporary: Path, path: Path) -> None:
    try:
        on.rename(temporary, path)
    except OSError:
        if not path.exists():  # else another process wrote the same content first
            raise


def _make_folders(on: Disk, path: Path) -> None:
    """Makes a folder and those above it; a new name lasts only when the folder that holds it is on disk, too."""
    if path.exists():
        return
    _make_folders(on, path.parent)
    try:
        on.make_folder(path)
    except FileExistsError:
        return
    on.sync_folder(path.parent)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name[:32]}.{secrets.token_hex(4)}")
