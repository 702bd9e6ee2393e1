"""The inbox: files that wait to be ingested lie in FORMAT/FILE or FORMAT/SYSTEM/FILE, and move on when they were.

A file whose name starts with a dot or ends in .part is still being written. Files are moved, never deleted: to
`ingested` once their rows are in the store, to `refused`, with the reason beside them, when they cannot be read.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from quaestor.atomic import write_file
from quaestor.log.formats import FORMATS

UNFINISHED = (".part", ".tmp")
REASON = ".reason.txt"


@dataclass(frozen=True)
class Waiting:
    """A file in the inbox, and what its folders say of it."""

    path: Path
    file_format: str
    system: str | None


def waiting(inbox: Path) -> list[Waiting]:
    """The files of an inbox, decisions before outcomes and otherwise by name; none where there is no inbox."""
    found = []
    for path in sorted(inbox.glob("*/**/*")):
        file_format, *systems = path.relative_to(inbox).parts[:-1]
        known = file_format in FORMATS and len(systems) <= 1
        if path.is_file() and known and not path.name.startswith(".") and path.suffix not in UNFINISHED:
            found.append(Waiting(path, file_format, systems[0] if systems else None))
    return sorted(found, key=lambda each: each.file_format == "outcomes")


def strangers(inbox: Path) -> list[Path]:
    """The files that no format claims: in no folder of a format, or too deep in one."""
    claimed = {each.path for each in waiting(inbox)}
    finished = (path for path in sorted(inbox.glob("**/*")) if path.is_file() and path.suffix not in UNFINISHED)
    return [path for path in finished if path not in claimed and not path.name.startswith(".")]


def move_on(path: Path, inbox: Path, to: Path, reason: str | None = None) -> Path:
    """Moves a file out of the inbox to the same place under another folder, with a reason beside it where there is
    one; returns where it lies. A different file of that name is never overwritten."""
    target = to / path.relative_to(inbox)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and _digest(target) != _digest(path):
        target = target.with_name(f"{target.stem}-{_digest(path)[:12]}{target.suffix}")
    if reason is not None:
        write_file(target.with_name(target.name + REASON), (reason + "\n").encode())
    os.replace(path, target)
    return target


def refused(folder: Path) -> dict[str, str]:
    """The refused files that still lie there, with why."""
    return {
        str(path.relative_to(folder)).removesuffix(REASON): path.read_text(encoding="utf-8").strip()
        for path in sorted(folder.glob(f"**/*{REASON}"))
        if path.with_name(path.name.removesuffix(REASON)).exists()
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
