"""Reads the files of a bundle, from its folder or its archive, into memory; nothing is ever unpacked to disk.

An archive is a plain zip without compression, so that the same files give the same bytes with any library, and an
archive cannot unfold into more than its own size.
"""

from __future__ import annotations

import io
import os
import re
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

from quaestor.errors import QuaestorError

ARCHIVE = ".zip"
MOST_FILES = 32
LARGEST_BYTES = 1 << 30
"""Of a whole bundle."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9]+)?")
_END, _END_SIZE, _LOCATOR = b"PK\x05\x06", 22, b"PK\x06\x07"
_UTF8 = 0x800


def read_contents(path: Path) -> dict[str, bytes]:
    """The files of a bundle by name.

    Raises QuaestorError for what is no bundle, for any name that is not a plain one (paths, links, devices, names
    that differ only in case), and beyond 32 files or 1 GiB, before anything of it is read.
    """
    try:
        target = path.resolve()  # the path itself may be a link: what is live often is one
        if target.is_dir():
            return _read_folder(target)
        if target.is_file():
            return _read_archive(target)
    except OSError as error:
        raise QuaestorError(f"{path} cannot be read: {error.strerror}.") from None
    raise QuaestorError(f"No bundle at {path}; give the folder or the archive that `quaestor export` printed.")


def archive_bytes(files: Mapping[str, bytes]) -> bytes:
    """The archive of these files; the same files give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def _read_folder(folder: Path) -> dict[str, bytes]:
    names: list[str] = []
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink() or not entry.is_file(follow_symlinks=False):
                raise QuaestorError(f"{folder}: {entry.name!r} is not a plain file; a bundle holds nothing else.")
            names.append(entry.name)
            total += entry.stat(follow_symlinks=False).st_size
            _refuse_size(folder, len(names), total)
    _refuse_names(folder, names)
    return {name: _read_plain(folder / name) for name in sorted(names)}


def _read_plain(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise QuaestorError(f"{path} is not a plain file.")
        content = file.read(LARGEST_BYTES + 1)
    _refuse_size(path, 1, len(content))
    return content


def _read_archive(path: Path) -> dict[str, bytes]:
    _refuse_size(path, 1, path.stat().st_size)
    content = _read_plain(path)
    _refuse_directory(path, content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            for entry in entries:
                _refuse_entry(path, entry)
            _refuse_size(path, len(entries), sum(entry.file_size for entry in entries))
            if sum(entry.file_size for entry in entries) > len(content):
                raise QuaestorError(f"{path}: the archive claims more bytes than it has.")
            _refuse_names(path, [entry.orig_filename for entry in entries])
            return {entry.orig_filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, OverflowError) as error:
        raise QuaestorError(f"{path} is damaged: {error}. Copy or export it again.") from None


def _refuse_directory(path: Path, content: bytes) -> None:
    """Looks at the end of the archive before a library builds an object for each of a million members."""
    end = content[-_END_SIZE:]
    if len(end) < _END_SIZE or not content.startswith(b"PK") or not end.startswith(_END):
        raise QuaestorError(f"{path} is not a bundle: neither a folder nor an archive that `quaestor export` wrote.")
    members = int.from_bytes(end[10:12], "little")
    if members > MOST_FILES or content[-_END_SIZE - 20 :].startswith(_LOCATOR):
        raise QuaestorError(f"{path}: the archive lists more than {MOST_FILES} files; no bundle does.")
    if int.from_bytes(end[12:16], "little") > MOST_FILES * 1024:
        raise QuaestorError(f"{path}: the archive's directory is larger than any bundle's.")


def _refuse_entry(path: Path, entry: zipfile.ZipInfo) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise QuaestorError(f"{path}: {entry.orig_filename!r} is not a plain file; a bundle holds nothing else.")
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
        raise QuaestorError(f"{path}: {entry.orig_filename!r} is compressed; bundles are not.")
    if entry.flag_bits & ~_UTF8:
        raise QuaestorError(f"{path}: {entry.orig_filename!r} is encrypted or streamed; bundles are not.")


def _refuse_size(where: Path, files: int, size: int) -> None:
    if files > MOST_FILES or size > LARGEST_BYTES:
        raise QuaestorError(f"{where} is larger than a bundle may be: {MOST_FILES} files and 1 GiB.")


def _refuse_names(where: Path, names: list[str]) -> None:
    if len({name.casefold() for name in names}) != len(names):
        raise QuaestorError(f"{where}: two names differ only in upper and lower case, or not at all.")
    for name in names:
        if not _NAME.fullmatch(name) or len(name) > 64:
            raise QuaestorError(f"{where}: {name[:80]!r} is not a name that a bundle's file can have.")
