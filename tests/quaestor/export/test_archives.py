"""What lies in a bundle's place is read without trust: nothing is written, followed or unfolded."""

from __future__ import annotations

import io
import os
import shutil
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from quaestor.errors import QuaestorError
from quaestor.export.contents import MOST_FILES, archive_bytes, read_contents

GOOD = {"policy.onnx": b"graph", "spec.json": b"{}"}


def _zip(*members: tuple[zipfile.ZipInfo | str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def _entry(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, mode << 16
    return entry


def _tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("../outside")
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"evil"))
    return buffer.getvalue()


def _overlapping() -> bytes:
    """Two members that name the same bytes: the core of a bomb without compression."""
    content = bytearray(_zip(("first", b"x" * 1000), ("second", b"y" * 1000)))
    directory = content.rfind(b"PK\x01\x02")
    content[directory + 42 : directory + 46] = struct.pack("<I", 0)
    return bytes(content)


def _million_members() -> bytes:
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 60_000, 60_000, 46 * 60_000, 0, 0)
    return b"PK\x03\x04" + b"PK\x01\x02" + bytes(46 * 1000) + end


def _huge_claim() -> bytes:
    content = bytearray(_zip(("policy.onnx", b"x")))
    directory = content.rfind(b"PK\x01\x02")
    content[directory + 20 : directory + 28] = struct.pack("<II", 10**9, 10**9)
    return bytes(content)


ATTACKS: dict[str, tuple[Callable[[], bytes], str]] = {
    "a path upwards": (lambda: _zip((_entry("../x"), b"evil")), "not a name"),
    "a path upwards, encoded": (lambda: _zip((_entry("%2e%2e%2fx"), b"evil")), "not a name"),
    "an absolute path": (lambda: _zip((_entry("/etc/x"), b"evil")), "not a name"),
    "a drive": (lambda: _zip((_entry("c:\\x"), b"evil")), "not a name"),
    "a share": (lambda: _zip((_entry("\\\\host\\x"), b"evil")), "not a name"),
    "a folder": (lambda: _zip((_entry("a/b"), b"evil")), "not a name"),
    "NUL": (lambda: _zip((_entry("spec"), b"{}")).replace(b"spec", b"s\0\0c"), "not a name|damaged"),
    "hidden": (lambda: _zip((_entry(".profile"), b"evil")), "not a name"),
    "right to left": (lambda: _zip((_entry("\u202egpj.exe"), b"evil")), "not a name"),
    "names that differ in case": (lambda: _zip((_entry("a"), b"1"), (_entry("A"), b"2")), "differ only in"),
    "a link": (lambda: _zip((_entry("spec.json", stat.S_IFLNK | 0o777), b"/etc/passwd")), "not a plain file"),
    "a device": (lambda: _zip((_entry("spec.json", stat.S_IFCHR | 0o666), b"")), "not a plain file"),
    "a pipe": (lambda: _zip((_entry("spec.json", stat.S_IFIFO | 0o666), b"")), "not a plain file"),
    "a bomb": (lambda: _zip(("spec.json", bytes(10**7)), compression=zipfile.ZIP_DEFLATED), "is compressed"),
    "overlapping members": (_overlapping, "damaged"),
    "a member larger than the archive": (_huge_claim, "more bytes than it has|damaged|larger"),
    "too many members": (lambda: _zip(*((f"f{n}", b"") for n in range(MOST_FILES + 1))), "more than 32 files"),
    "a million members": (_million_members, "more than 32 files"),
    "a comment behind the end": (lambda: _zip(("a", b"1")) + b"more", "is not a bundle"),
    "a tar": (_tar, "is not a bundle"),
    "nothing": (lambda: b"", "is not a bundle"),
    "cut off": (lambda: archive_bytes(GOOD)[:-30], "is not a bundle"),
    "damaged content": (lambda: archive_bytes(GOOD).replace(b"graph", b"grapf"), "damaged"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_archive_is_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    build, said = ATTACKS[name]
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "bundle.zip"
    path.write_bytes(build())
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(QuaestorError, match=said):
        read_contents(path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_double_name_is_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        content = _zip(("spec.json", b"1"), ("spec.json", b"2"))
    (tmp_path / "bundle.zip").write_bytes(content)
    with pytest.raises(QuaestorError, match="differ only in"):
        read_contents(tmp_path / "bundle.zip")


def test_an_archive_is_what_was_put_in(tmp_path: Path) -> None:
    (tmp_path / "bundle.zip").write_bytes(archive_bytes(GOOD))
    assert read_contents(tmp_path / "bundle.zip") == GOOD
    assert archive_bytes(dict(reversed(GOOD.items()))) == archive_bytes(GOOD)


IN_FOLDERS: dict[str, Callable[[Path], object]] = {
    "a link": lambda folder: (folder / "spec.json").symlink_to("/etc/passwd"),
    "a folder": lambda folder: (folder / "deeper").mkdir(),
    "a pipe": lambda folder: os.mkfifo(folder / "pipe"),
    "an upper-case name": lambda folder: (folder / "SPEC").write_text("{}"),
    "too many files": lambda folder: [(folder / f"f{n}").write_text("") for n in range(40)],
}


@pytest.mark.parametrize("name", IN_FOLDERS)
def test_a_folder_holds_plain_files_and_nothing_else(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "policy.onnx").write_bytes(b"graph")
    IN_FOLDERS[name](folder)
    with pytest.raises(QuaestorError):
        read_contents(folder)
    shutil.rmtree(folder)
    with pytest.raises(QuaestorError, match="No bundle at"):
        read_contents(folder)
