"""Backup and restore of everything that cannot be made again: the store and the files that its rows name."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from quaestor import __version__
from quaestor.atomic import write_file
from quaestor.clock import utc_now
from quaestor.errors import QuaestorError, UsageError
from quaestor.log.subjects import KEY_FILE
from quaestor.store import Store, bundles
from quaestor.store.archive import read_tables, write_tables
from quaestor.study import parse

FOLDERS = ("iterations", "bundles", "episodes")
"""Of the data folder: written once, under the digests that rows of the store carry."""
CONTENT = "backup.json"


@dataclass(frozen=True)
class Backup:
    """What a backup holds. version: of the store. rows: by table. files: the sha256 of each by its path in the backup.
    data: the data folder as it was named, which rows about bundles repeat."""

    made_at: str
    quaestor: str
    version: int
    data: str
    rows: dict[str, int]
    files: dict[str, str]


def back_up(store: Store, data: Path, folder: Path) -> Backup:
    """Writes a backup into a new folder, whole or not at all.

    The tables are of one committed state and are read first: files are on disk before the rows that name them. Raises
    UsageError where the folder exists.
    """
    if folder.exists():
        raise UsageError(f"{folder} exists; a backup never overwrites. Name a new folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a backup that was interrupted
    version, rows = write_tables(store, partial / "store")
    for name in FOLDERS:
        if (data / name).is_dir():  # what begins with a dot is still being written
            shutil.copytree(data / name, partial / name, ignore=shutil.ignore_patterns(".*"))
    if (store.path.parent / KEY_FILE).exists():
        shutil.copy2(store.path.parent / KEY_FILE, partial / KEY_FILE)
    files = {str(path.relative_to(partial)): _digest(path) for path in _files(partial)}
    made = Backup(utc_now().isoformat(timespec="seconds"), __version__, version, str(data), rows, files)
    for path in _files(partial):
        _sync(path)
    write_file(partial / CONTENT, json.dumps(asdict(made), indent=1).encode())
    os.rename(partial, folder)
    _sync(folder.parent)
    return made


def restore(store: Store, data: Path, folder: Path) -> Backup:
    """Makes an empty store and data folder what the backup holds; interrupted, it can be run again.

    Raises UsageError where there is no backup or the store holds anything, QuaestorError where a file of the backup is
    missing or changed, or another one of its name is in the data folder.
    """
    if not (folder / CONTENT).exists():
        raise UsageError(f"No backup at {folder}: it has no {CONTENT}.")
    made = parse(Backup, json.loads((folder / CONTENT).read_text()), str(folder / CONTENT))
    for name in made.files:
        if ".." in Path(name).parts or Path(name).parts[0] not in (*FOLDERS, KEY_FILE, "store"):
            raise QuaestorError(f"{folder / CONTENT} names {name!r}, which no backup holds; nothing was restored.")
    kept = {name: digest for name, digest in made.files.items() if not name.startswith("store/")}
    for name, digest in made.files.items():
        if not (folder / name).is_file() or _digest(folder / name) != digest:
            raise QuaestorError(f"{folder / name} is missing or was changed since the backup; nothing was restored.")
    places = {name: (store.path.parent if name == KEY_FILE else data) / name for name in kept}
    for name, place in places.items():
        if place.exists() and _digest(place) != kept[name]:
            raise QuaestorError(f"{place} exists and differs; nothing was restored. Name an empty data folder.")
    for name, place in places.items():
        if not place.exists():
            write_file(place, (folder / name).read_bytes())
            shutil.copymode(folder / name, place)
    read_tables(store, folder / "store", made.version, made.rows)
    with store.write() as connection:
        bundles.move(connection, made.data, str(data))
    return made


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
