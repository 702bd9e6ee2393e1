"""A disk that forgets: what was not synced may be lost, torn or out of order when the power goes."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from quaestor.disk import Disk
from tests.simulation.scheduler import Killed, World, current


@dataclass(eq=False)
class _File:
    """A file's content now, and as it last was made to last."""

    content: bytes = b""
    lasting: bytes | None = None


@dataclass
class _Step:
    """A change of a name in `folder`, and whether it was made to last. kind: create, folder, rename or remove."""

    kind: str
    folder: Path
    path: Path
    target: Path | None = None
    file: _File | None = None
    lasting: bool = False


class ForgetfulDisk(Disk):
    """Writes for real under a folder, and knows what of it a power loss would leave.

    Names change in order within a folder, as in a journal; contents that were never synced may be empty, torn or whole
    (Pillai et al., "All file systems are not created equal", OSDI 2014). Deaf, it takes every sync for done.
    """

    def __init__(self, world: World, root: Path, deaf: bool = False, deaf_folders: bool = False) -> None:
        self.world, self.root, self.deaf, self.deaf_folders = world, root, deaf, deaf_folders
        self.renamed: list[Path] = []
        self._open: dict[int, _File] = {}
        self._steps: list[_Step] = []
        self._image: dict[Path, _File | None] = {}
        self._remember()

    def create(self, path: Path) -> int:
        self._step("create")
        descriptor = super().create(path)
        file = _File()
        self._open[descriptor] = file
        self._steps.append(_Step("create", path.parent, path, file=file))
        return descriptor

    def write(self, descriptor: int, content: memoryview) -> int:
        file = self._open[descriptor]
        try:
            self._step("write")
        except Killed:  # in the middle of it
            part = bytes(content[: len(content) // 2])
            os.write(descriptor, part)
            file.content += part
            raise
        if len(content) > 1 and self.world.chance(0.1):
            content = content[: 1 + self.world.draw.randrange(len(content) - 1)]
        done = super().write(descriptor, content)
        file.content += bytes(content[:done])
        return done

    def sync(self, descriptor: int) -> None:
        self._step("sync")
        file = self._open[descriptor]
        if not self.deaf:
            file.lasting = file.content

    def close(self, descriptor: int) -> None:
        self._open.pop(descriptor, None)
        super().close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        self._step("rename")
        super().rename(source, target)
        self._steps.append(_Step("rename", target.parent, source, target))
        self.renamed.append(target)

    def make_folder(self, path: Path) -> None:
        self._step("folder")
        super().make_folder(path)
        self._steps.append(_Step("folder", path.parent, path))

    def sync_folder(self, path: Path) -> None:
        self._step("sync folder")
        if not self.deaf_folders:
            for step in self._steps:
                step.lasting = step.lasting or step.folder == path

    def remove(self, path: Path) -> None:
        self._step("remove")
        if path.exists():
            super().remove(path)
            self._steps.append(_Step("remove", path.parent, path))

    def lose_power(self) -> None:
        """Leaves what a disk might have kept, and starts again from there."""
        image = dict(self._image)
        draw = self.world.draw
        folders = {step.folder for step in self._steps}
        kept = {folder: draw.choice((0, draw.randrange(len(self._steps) + 1), len(self._steps)))
                for folder in sorted(folders)}  # fmt: skip
        for number, step in enumerate(self._steps):
            if (step.lasting or number < kept[step.folder]) and image.get(step.folder, _GONE) is None:
                _apply(image, step)
        for file in image.values():
            if file is not None and file.lasting != file.content:
                torn = file.content[: draw.randrange(len(file.content) + 1)]
                file.content = draw.choice((file.lasting or b"", torn, file.content))
        shutil.rmtree(self.root)
        for path, file in sorted(image.items(), key=lambda entry: len(entry[0].parts)):
            if file is None:
                path.mkdir()
            else:
                path.write_bytes(file.content)
        self._open.clear()
        self.renamed.clear()
        self._remember()

    def _remember(self) -> None:
        """What is there now has lasted."""
        self._steps = []
        self._image = {self.root: None}
        for path in self.root.rglob("*"):
            content = None if path.is_dir() else path.read_bytes()
            self._image[path] = None if content is None else _File(content, content)

    def _step(self, what: str) -> None:
        worker = current()
        if worker is None:
            return
        worker.step(f"disk: {what}")
        if what in ("create", "write", "folder") and self.world.now < self.world.full_until:
            raise OSError(errno.ENOSPC, "No space left on device")
        if not self.world.healed and self.world.chance(self.world.faults.io_error):
            raise OSError(errno.EIO, "Input/output error")


_GONE = _File()


def _apply(image: dict[Path, _File | None], step: _Step) -> None:
    if step.kind == "create":
        image[step.path] = step.file
    elif step.kind == "folder":
        image[step.path] = None
    elif step.kind == "remove":
        for path in _tree(image, step.path):
            del image[path]
    elif step.path in image:
        assert step.target is not None
        for path in _tree(image, step.path):
            image[step.target / path.relative_to(step.path)] = image.pop(path)


def _tree(image: dict[Path, _File | None], top: Path) -> list[Path]:
    inside = f"{top}/"
    return [path for path in image if path == top or str(path).startswith(inside)]
