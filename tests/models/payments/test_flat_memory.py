"""Memory does not grow with the rounds that teach, but for what is kept there on purpose."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

SCRIPT = """
import sys, tempfile
from pathlib import Path
import numpy as np
from benchmarks import peak_bytes
from models.payments import training_rows
from models.payments.oracles.additive import AdditiveParams
from models.payments.oracles.additive_fit import fit_rows
from models.payments.oracles.oracle import undescribed
from quaestor.export.encoding import CategoryFeature, Features, NumericFeature

training_rows.IN_MEMORY = 1
chunks, levels = int(sys.argv[1]), tuple(f"L{n:03d}" for n in range(99))
features = Features(
    tuple(NumericFeature(f"x{k}", 0.0, 1.0, -9.0, 9.0, "", "stand_in") for k in range(20)),
    (CategoryFeature("c", levels, "other"),),
)
with tempfile.TemporaryDirectory() as folder:
    rows, draw = training_rows.TrainingRows(4, Path(folder)), np.random.default_rng(0)
    for _ in range(chunks):
        count = training_rows.CHUNK
        design = np.ones((count, 21), dtype=np.float32)
        design[:, 1:] = draw.standard_normal((count, 20), dtype=np.float32)
        code = draw.integers(0, 100, (1, count)).astype(np.int32)
        rows.add(design, code, draw.integers(0, 4, count), draw.integers(0, 2, count).astype(np.float64), None)
    fit_rows(AdditiveParams(sweeps=2, terms=0), features, rows, undescribed(4), None)
print(peak_bytes())
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rounds() -> None:
    """Sixteen chunks of rounds, 120 MB, need no more than four do, give or take two chunks."""
    peaks = []
    for chunks in (4, 16):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(chunks)], cwd=ROOT, check=True, capture_output=True, text=True
        )
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 16_000_000
