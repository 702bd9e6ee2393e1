"""What is on record and missing or changed is found, and what an interrupted write left is not taken for it."""

from __future__ import annotations

import shutil

import pytest

from quaestor.export.from_iteration import export_iteration
from quaestor.registry.integrity import damages
from quaestor.settings import Settings
from tests.evidence import approved


@pytest.mark.slow
def test_each_file_that_is_changed_or_gone_is_named(settings: Settings) -> None:
    made = approved(settings)
    bundle, _ = export_iteration(settings.store, settings.data, made.iteration_id, settings.bundles, "ann")
    (settings.data / "iterations" / ".left by a kill").mkdir()
    assert damages(settings.store, settings.data) == []
    parts = [bundle.path / name for name in ("policy.onnx", "checksums.json", "golden.json")]
    files = [*made.folder.iterdir(), *parts, bundle.archive, *(settings.data / "episodes").iterdir()]
    for path in files:
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert len(damages(settings.store, settings.data)) == 1, path
        path.unlink()
        assert len(damages(settings.store, settings.data)) == 1, path
        path.write_bytes(content)
    for folder in (made.folder, bundle.path):
        kept = shutil.move(folder, settings.data / "kept")
        assert "is on record and" in damages(settings.store, settings.data)[0]
        shutil.move(kept, folder)
    assert damages(settings.store, settings.data) == []
