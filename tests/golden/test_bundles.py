"""Bundles that earlier releases exported: each loads, and decides as it did then."""

from __future__ import annotations

from pathlib import Path

import pytest

from quaestor.export.bundle import FORMAT
from quaestor.export.golden import replay
from quaestor.export.runtime import load
from tests.quaestor.export.conftest import TRUSTED

KEPT = sorted((Path(__file__).parent / "bundles").glob("*.zip"))
"""One of each kind for each format from 2 on, written when the format was new."""


def test_every_format_is_kept() -> None:
    names = {f"{kind}_format_{number}" for kind in ("payments", "inventory") for number in range(2, FORMAT + 1)}
    assert names == {path.stem for path in KEPT}


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_a_bundle_of_each_format_loads_and_repeats_its_choices(path: Path) -> None:
    if int(path.stem.rsplit("_", 1)[1]) < FORMAT - 2:
        pytest.skip("older than the two formats before this one")
    bundle = load(path, TRUSTED).bundle
    assert bundle.signed_by is not None
    assert replay(bundle.policy, bundle.files["golden.json"], bundle.iteration_id, str(path)) > 0
